"""Attention of one sentence as SVG: a cell for each pair of tokens, the darker, the more was looked at.

Knows: tokens, numbers. Must not know: models, files. Drawn by hand, since the tokens may be of any script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from unicodedata import east_asian_width

from training.report.attention_maps import AttentionMap

CELL = 18  # side of a cell, in pixels
LETTER, WIDE_LETTER = 7.2, 12.5  # width to reserve for a letter at a font size of 12; Chinese ones are square
SMALL = 3  # side of a cell where every head is shown
WORD_START = "▁"


def attention_picture(one: AttentionMap) -> str:
    """Source tokens above, target tokens on the left; the mean of the heads of the aligning layer."""
    left = 12 + max(map(_length, one.target_tokens), default=0)
    top = 12 + max(map(_length, one.source_tokens), default=0)
    width, height = left + CELL * len(one.source_tokens) + 12, top + CELL * len(one.target_tokens) + 12
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(_described(one))}" font-size="12">'
        f"{_columns(one.source_tokens, left, top)}{_rows(one.target_tokens, left, top)}"
        f"{_cells(one, left, top)}</svg>"
    )


def every_head(one: AttentionMap) -> str:
    """A small map for each head, a row for each layer, the first on top."""
    rows = []
    for layer, heads in enumerate(one.values):
        maps = "".join(_small(values, f"layer {layer + 1}, head {n + 1}") for n, values in enumerate(heads))
        rows.append(f'<div class="heads"><span>layer {layer + 1}</span>{maps}</div>')
    return "".join(rows)


def _length(token: str) -> float:
    return sum(WIDE_LETTER if east_asian_width(letter) in "WF" else LETTER for letter in token)


def _described(one: AttentionMap) -> str:
    pairs = zip(one.target_tokens, one.mean_of_heads(), strict=True)
    looked = [f"{token} at {one.source_tokens[row.index(max(row))]}" for token, row in pairs if row]
    return "looked most: " + ", ".join(looked).replace(WORD_START, " ")


def _columns(tokens: Sequence[str], left: float, top: float) -> str:
    parts = []
    for number, token in enumerate(tokens):
        x = left + CELL * (number + 0.5) + 4
        place = f'transform="translate({x:.1f},{top - 6:.1f}) rotate(-90)"'
        parts.append(f'<text {place} class="token">{escape(token)}</text>')
    return "".join(parts)


def _rows(tokens: Sequence[str], left: float, top: float) -> str:
    parts = []
    for number, token in enumerate(tokens):
        y = top + CELL * (number + 0.5) + 4
        parts.append(
            f'<text x="{left - 6:.1f}" y="{y:.1f}" text-anchor="end" class="token">{escape(token)}</text>'
        )
    return "".join(parts)


def _cells(one: AttentionMap, left: float, top: float) -> str:
    parts = []
    for y, (target, row) in enumerate(zip(one.target_tokens, one.mean_of_heads(), strict=True)):
        for x, (source, share) in enumerate(zip(one.source_tokens, row, strict=True)):
            place = f'x="{left + CELL * x:.1f}" y="{top + CELL * y:.1f}"'
            parts.append(_cell(place, share, f"{target} at {source}: {share:.2f}"))
    return "".join(parts)


def _cell(place: str, share: float, said: str) -> str:
    """A square that says, under the mouse, what it stands for."""
    square = f'{place} width="{CELL - 1}" height="{CELL - 1}" fill-opacity="{share:.2f}"'
    return f'<rect {square} class="cell"><title>{escape(said)}</title></rect>'


def _small(values: Sequence[Sequence[float]], label: str) -> str:
    """Without tokens; what is almost not looked at is not drawn."""
    height, width = len(values), len(values[0]) if values else 0
    cells = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" class="cell" fill-opacity="{share:.2f}"/>'
        for y, row in enumerate(values)
        for x, share in enumerate(row)
        if share >= 0.05
    )
    size = f'viewBox="0 0 {width} {height}" width="{SMALL * width}" height="{SMALL * height}"'
    return f'<svg {size} role="img" aria-label="{label}" class="small">{cells}</svg>'
