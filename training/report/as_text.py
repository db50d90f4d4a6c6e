"""An evaluation as lines for a file or a pipe, and as tables for a terminal: the same content.

Knows how to show; must not know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from training.evaluation_scores import Evaluation, System, SystemScores, TestScores, Translations
from training.scoring import LOWER_IS_BETTER, METRICS
from training.significance import LEVEL, Significance


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: its first column and the last, where `notes`, are text, the others numbers."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    notes: bool = False


def as_text(evaluation: Evaluation) -> str:
    """Some lines for each test set, an empty one between two."""
    return "\n\n".join("\n".join(_lines(evaluation, test)) for test in evaluation.tests)


def print_tables(evaluation: Evaluation) -> None:
    """For people at a terminal."""
    console = Console()
    for test in evaluation.tests:
        console.print(heading(evaluation, test), markup=False, highlight=False)
        for rows in tables(evaluation, test):
            console.print(_table(rows))
        for line in speeds(evaluation, test):
            console.print(line, markup=False, highlight=False)


def heading(evaluation: Evaluation, test: TestScores) -> str:
    """Who translated what, and how."""
    files = " + ".join(test.test_set.names)
    pair = f"{evaluation.source}-{evaluation.target}" if evaluation.source else ""
    what = _joined(", ", str(evaluation.system), pair, files, f"{len(test.test_set):,} sentences")
    text = _joined("; ", what, _joined(", ", _decoding(evaluation.system), evaluation.segments))
    if evaluation.baseline is None:
        return text
    same = evaluation.is_translated and evaluation.baseline.decoding == evaluation.system.decoding
    how = "decoded likewise" if same else _decoding(evaluation.baseline)
    return f"{text}; against {_joined(', ', str(evaluation.baseline), how)}"


def tables(evaluation: Evaluation, test: TestScores) -> Iterator[Rows]:
    """Scores with signatures, the comparison if there is one, scores by length."""
    yield _scores(test)
    if test.baseline is not None:
        yield _comparison(evaluation, test)
    yield _by_length(evaluation, test)


def speeds(evaluation: Evaluation, test: TestScores) -> Iterator[str]:
    """How long each system took, as far as anybody saw it."""
    if test.system.translations.seconds is not None:
        yield _speed("translated", test.system.translations)
    if test.baseline is not None and test.baseline.translations.seconds is not None:
        yield _speed(f"{evaluation.baseline} translated", test.baseline.translations)


def metric_label(name: str) -> str:
    """`TER, lower is better` for what is not plain."""
    return f"{METRICS[name]}, lower is better" if name in LOWER_IS_BETTER else METRICS[name]


def verdict(name: str, found: Significance) -> str:
    """Whether the system is better than the baseline by more than chance."""
    if not found.is_significant:
        return f"no significant difference (p ≥ {LEVEL})"
    return "better" if (found.difference > 0) != (name in LOWER_IS_BETTER) else "worse"


def _scores(test: TestScores) -> Rows:
    body = [(METRICS[name], f"{one.value:.2f}", one.signature) for name, one in test.system.scores.items()]
    return Rows(("metric", "score", "sacreBLEU signature"), tuple(body), notes=True)


def _comparison(evaluation: Evaluation, test: TestScores) -> Rows:
    """Scores with half their confidence intervals, and whether they differ by more than chance."""
    assert test.baseline is not None
    head = ("95 % interval", str(evaluation.system), str(evaluation.baseline), "difference", "p", "")
    body = []
    for name, found in test.significance.items():
        system, baseline = test.system.scores[name].value, test.baseline.scores[name].value
        own, other = f"{system:.2f} ± {found.interval:.2f}", f"{baseline:.2f} ± {found.baseline_interval:.2f}"
        change = f"{found.difference:+.2f}"
        body.append((METRICS[name], own, other, change, f"{found.p_value:.4f}", verdict(name, found)))
    return Rows(head, tuple(body), notes=True)


def _by_length(evaluation: Evaluation, test: TestScores) -> Rows:
    names = list(test.system.scores)
    systems: list[tuple[str, SystemScores]] = [("", test.system)]
    if test.baseline is not None:
        systems.append((f" {evaluation.baseline}", test.baseline))
    columns = [f"{METRICS[name]}{whose}" for name in names for whose, _ in systems]
    body = []
    for place, one in enumerate(test.system.by_length):
        values = [f"{scores.by_length[place].scores[name]:.2f}" for name in names for _, scores in systems]
        body.append((one.bucket.label, f"{len(one.bucket.indices):,}", *values))
    counted = evaluation.unit if test.test_set.has_sources else f"{evaluation.unit} of the reference"
    return Rows((counted, "sentences", *columns), tuple(body))


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)


def _decoding(system: System) -> str:
    return ", ".join(f"{name} {value}" for name, value in system.decoding.items() if value is not None)


def _speed(what: str, one: Translations) -> str:
    text = (
        f"{what} in {one.seconds:.1f} s: {one.sentences_per_second:,.1f} sentences/s, "
        f"{one.target_tokens_per_second:,.0f} target tokens/s"
    )
    if one.cut_at_length_limit:
        text += f"; {one.cut_at_length_limit:,} cut at a length limit"
    return text


def _lines(evaluation: Evaluation, test: TestScores) -> Iterator[str]:
    yield heading(evaluation, test)
    scores, *others = tables(evaluation, test)
    for name, value, signature in scores.body:
        yield f"{name:<5} {value:>6}  {signature}"
    for rows in others:
        yield from _aligned(rows)
    yield from speeds(evaluation, test)


def _aligned(rows: Rows) -> Iterator[str]:
    lines = [rows.head, *rows.body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows.head))]
    for line in lines:
        cells = [_cell(line, column, widths, rows.notes) for column in range(len(line))]
        yield "  ".join(cells).rstrip()


def _cell(line: Sequence[str], column: int, widths: Sequence[int], notes: bool) -> str:
    is_text = column == 0 or (notes and column == len(line) - 1)
    return line[column].ljust(widths[column]) if is_text else line[column].rjust(widths[column])


def _table(rows: Rows) -> Table:
    """Its cells are plain texts: of a string rich takes what stands in brackets for markup."""
    # Folded: a shortened signature compares nothing, nor does a name without its end.
    table = Table(*(Column(Text(name), overflow="fold") for name in rows.head))
    for column in table.columns[1 : len(rows.head) - rows.notes]:
        column.justify = "right"
    for line in rows.body:
        table.add_row(*map(Text, line))
    return table
