"""What `verto evaluate` says: scores with the signatures that make them comparable, and how long it took.

Knows how to show; must not know how anything was measured.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationReport:
    """`decoding` as the bundle would be asked; times are without loading the model."""

    model: str
    version: str
    source: str
    target: str
    test: tuple[str, ...]
    sentences: int
    cut_at_length_limit: int
    bleu: float
    bleu_signature: str
    chrf: float
    chrf_signature: str
    decoding: Mapping[str, Any]
    split: str
    seconds: float
    sentences_per_second: float
    target_tokens_per_second: float


def as_json(report: EvaluationReport) -> str:
    """One object, numbers unrounded."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False)


def as_text(report: EvaluationReport) -> str:
    """A few lines for a file or a pipe."""
    rows = [f"{name:<5} {value:6.2f}  {signature}" for name, value, signature in _scores(report)]
    return "\n".join([_heading(report), *rows, _speed(report)])


def print_table(report: EvaluationReport) -> None:
    """For people at a terminal."""
    table = Table("metric", "score", "sacreBLEU signature", title=_heading(report), caption=_speed(report))
    table.columns[1].justify = "right"
    table.columns[2].overflow = "fold"  # a shortened signature compares nothing
    for name, value, signature in _scores(report):
        table.add_row(name, f"{value:.2f}", signature)
    Console().print(table)


def _scores(report: EvaluationReport) -> list[tuple[str, float, str]]:
    return [
        ("BLEU", report.bleu, report.bleu_signature),
        ("chrF", report.chrf, report.chrf_signature),
    ]


def _heading(report: EvaluationReport) -> str:
    decoding = ", ".join(f"{name} {value}" for name, value in report.decoding.items() if value is not None)
    return (
        f"{report.model} {report.version}, {report.source}-{report.target}, {' + '.join(report.test)}, "
        f"{report.sentences:,} sentences; {decoding}, split {report.split}"
    )


def _speed(report: EvaluationReport) -> str:
    text = (
        f"translated in {report.seconds:.1f} s: {report.sentences_per_second:,.1f} sentences/s, "
        f"{report.target_tokens_per_second:,.0f} target tokens/s"
    )
    if report.cut_at_length_limit:
        text += f"; {report.cut_at_length_limit:,} cut at a length limit"
    return text
