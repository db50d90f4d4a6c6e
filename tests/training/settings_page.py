"""The tables of docs/training.md: every setting of a recipe with its default, its bounds and its meaning.

Knows: how configuration classes are described in Markdown. test_documentation.py holds the page equal.

    python -m tests.training.settings_page docs/training.md      write them between the page's marks
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from training.config import FROM_TOKENIZER, TrainingConfig, sections

BEGIN = "<!-- settings: written by python -m tests.training.settings_page docs/training.md -->"
END = "<!-- end of settings -->"
_SIGNS = {Ge: "≥ {0.ge}", Gt: "> {0.gt}", Le: "≤ {0.le}", Lt: "< {0.lt}"}
# The network's and the decoder's classes have no descriptions that a program can read.
MODEL_MEANINGS = {
    "d_model": "width of embeddings and layers",
    "num_encoder_layers": "layers that read the source",
    "num_decoder_layers": "layers that write the target; fewer of these translate faster",
    "num_encoder_heads": "attention heads of each encoder layer, a divisor of `d_model`",
    "num_decoder_heads": "attention heads of each decoder layer, a divisor of `d_model`",
    "encoder_ffn_dim": "inner width of the encoder's feed-forward blocks",
    "decoder_ffn_dim": "inner width of the decoder's feed-forward blocks",
    "norm": "layer normalisation before (`pre`) or after (`post`, the paper) each block",
    "final_norm": "one more layer normalisation at each stack's end; `pre` wants it",
    "embedding_norm": "layer normalisation of the embedded input",
    "activation": "of the feed-forward blocks",
    "positions": "fixed sinusoids (the paper), or learned",
    "sinusoid_layout": "order of sines and cosines",
    "position_offset": "number of the first position",
    "max_source_length": "most source tokens, `</s>` included",
    "max_target_length": "most target tokens, `</s>` included",
    "share_embeddings": "source and target read one table; false with `tokenizer.joint: false`",
    "tie_output": "the output projection is the target's embedding table",
    "scale_embeddings": "embeddings are multiplied by the square root of `d_model`",
    "output_bias": "a bias for each target token",
    "alignment_layer": "decoder layer whose attention to the source aligns words; -1: the last",
    "dropout": "share of sublayer outputs and embeddings that is zeroed during training",
    "attention_dropout": "share of attention weights that is zeroed",
    "activation_dropout": "share of the feed-forward blocks' inner values that is zeroed",
}
DECODING_MEANINGS = {
    "strategy": "how translations are searched",
    "beam_size": "hypotheses kept at each step, 1 to 32 (beam)",
    "num_hypotheses": "translations in an answer, at most `beam_size` (beam)",
    "length_penalty": "alpha of Wu et al. 2016, 0 to 5; above 0 favours longer translations (beam)",
    "coverage_penalty": "beta of Wu et al. 2016, 0 to 5; favours translations of the whole source (beam)",
    "patience": "a search ends with `beam_size` times this many finished hypotheses, up to 4 (beam)",
    "diversity_groups": "the beams are dealt to so many groups that search apart; divides `beam_size` (beam)",
    "diversity_penalty": "off a token for each row of an earlier group that takes it, 0 to 20 (beam)",
    "temperature": "log-probabilities are divided by it, 0.01 to 10 (sample)",
    "top_k": "only the so many likeliest tokens; 0: all (sample)",
    "top_p": "only the likeliest tokens that hold this mass together, above 0 up to 1 (sample)",
    "min_p": "only tokens at least this share as likely as the likeliest, 0 to 1 (sample)",
    "epsilon": "only tokens of at least this probability, 0 to below 1 (sample)",
    "seed": "of the random numbers, 0 to 2^63-1; without one, a new one each time (sample)",
    "repetition_penalty": "multiplies log-probabilities of tokens that are there already, 0.1 to 10",
    "no_repeat_ngram_size": "no sequence of so many tokens twice, 0 to 16; 0: any may",
    "min_length": "target tokens at least",
    "max_length": "target tokens at most",
    "max_length_ratio": "target tokens at most per source token, 0.1 to 100",
    "prefix_ids": "token ids that every translation begins with",
    "banned_ids": "token sequences that no translation contains, up to 1,024",
    "required_ids": "token sequences that every translation contains, up to 8 (beam)",
}


def settings_tables() -> str:
    """Markdown: one table for the top level and one for each section, in the order of the classes."""
    parts = [_table("Top level", _rows(TrainingConfig))]
    parts += [_table(title, _rows(section)) for title, section in _distinct_sections()]
    parts.append(_table("`model`", _dataclass_rows(ModelConfig, MODEL_MEANINGS)))
    parts.append(_table("`decoding`", _dataclass_rows(DecodingOptions, DECODING_MEANINGS)))
    return "\n\n".join(parts)


def with_tables(page: str) -> str:
    """The page with everything between its marks replaced. Raises `ValueError` when a mark is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must hold {BEGIN!r} and, later, {END!r}")
    return f"{before}{BEGIN}\n\n{settings_tables()}\n\n{END}{after}"


def _distinct_sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each section once: `data.train` and `data.dev` are lists of the same."""
    places: dict[type[BaseModel], list[str]] = {}
    for place, section in sections():
        places.setdefault(section, []).append(place)
    for section, where in places.items():
        yield f"`{'`, `'.join(where)}`{_form(section)}", section


def _form(section: type[BaseModel]) -> str:
    """Which of several forms of one section this is, where a field with one value says so."""
    choices = ((name, get_args(field.annotation)) for name, field in section.model_fields.items())
    named = [
        f"`{name}: {values[0]}`"
        for name, values in choices
        if len(values) == 1 and isinstance(values[0], str)
    ]
    return f", {named[0]}" if named else ""


def _table(title: str, rows: list[str]) -> str:
    return "\n".join(
        [f"### {title}", "", "| setting | default | allowed | meaning |", "|---|---|---|---|", *rows]
    )


def _rows(section: type[BaseModel]) -> list[str]:
    return [
        f"| `{name}` | {_default(field)} | {_allowed(field)} | {field.description} |"
        for name, field in section.model_fields.items()
        if field.description  # without one, it is a section, which has a table of its own
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    return _shown(field.default)


def _shown(value: Any) -> str:
    if value is None or value == () or value == "":
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    if choices := _choices(field.annotation):
        return choices
    signs = [_SIGNS[type(one)].format(one) for one in field.metadata if type(one) in _SIGNS]
    if any(isinstance(one, MinLen) for one in field.metadata):
        signs.append("exactly 1" if any(isinstance(one, MaxLen) for one in field.metadata) else "at least 1")
    return ", ".join(signs)


def _choices(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    return ""


def _dataclass_rows(of: type[ModelConfig] | type[DecodingOptions], meanings: dict[str, str]) -> list[str]:
    allowed = {name: _choices(hint) for name, hint in get_type_hints(of).items()}
    return [
        f"| `{field.name}` | {_shown(field.default)} | {allowed[field.name]} | {meanings[field.name]} |"
        for field in fields(of)
        if field.name not in FROM_TOKENIZER and field.default is not MISSING
    ]


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
