"""Samples as columns of numbers, for files: a tenth of a millisecond is enough, names stand there once.

Knows: samples, JSON values. Must not know: files, windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.traffic.kinds import KINDS
from loadtests.traffic.samples import OUTCOMES, Sample, Verdict

Columns = Mapping[str, Any]


def encoded(samples: Sequence[Sample]) -> dict[str, Any]:
    """One list per property, all in the same order; `arrivals` are told from `due` on, faults by place."""
    return {
        "kind": "".join(str(KINDS.index(one.kind)) for one in samples),
        "outcome": "".join(str(OUTCOMES.index(one.outcome)) for one in samples),
        "due_ms": [_ms(one.due) for one in samples],
        "late_ms": [_ms(one.lateness) for one in samples],
        "latency_ms": [_ms(one.latency) for one in samples],
        "status": _sparse([one.status for one in samples], 200),
        "fault": _sparse([one.verdict.fault for one in samples], ""),
        "target_tokens": [one.verdict.target_tokens for one in samples],
        "characters": [one.characters for one in samples],
        "arrivals_ms": _sparse([[_ms(at - one.due) for at in one.arrivals] for one in samples], []),
    }


def decoded(columns: Columns) -> list[Sample]:
    """The samples again. Raises `KeyError`, `ValueError`, `TypeError` or `IndexError` for anything else."""
    samples = []
    for place, (kind, outcome, due, late, latency, tokens, characters) in enumerate(
        zip(*(columns[name] for name in _DENSE), strict=True)
    ):
        key = str(place)
        verdict = Verdict(OUTCOMES[int(outcome)], columns["fault"].get(key, ""), int(tokens))
        arrivals = tuple((due + float(ms)) / 1000 for ms in columns["arrivals_ms"].get(key, ()))
        moments = (due / 1000, (due + late) / 1000, (due + latency) / 1000)
        status = int(columns["status"].get(key, 200))
        samples.append(Sample(KINDS[int(kind)], *moments, status, verdict, int(characters), arrivals))
    return samples


SHORTEST_MS = 0.1  # a time of which less is left is written as none
_DENSE = ("kind", "outcome", "due_ms", "late_ms", "latency_ms", "target_tokens", "characters")


def _ms(seconds: float) -> float:
    """As finely as `SHORTEST_MS` says."""
    return round(1000 * seconds, 1)


def _sparse(values: Sequence[Any], usual: Any) -> dict[str, Any]:
    """Place to value, for the values that are not the usual one."""
    return {str(place): value for place, value in enumerate(values) if value != usual}
