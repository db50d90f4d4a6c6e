"""What a request must keep to count as good: goodput is the rate of those that do.

Knows: samples, limits in milliseconds. Must not know: how either came about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import BATCH, KINDS, STREAM, TRANSLATE
from loadtests.traffic.samples import DONE, Sample

# What can be limited: until the end, until the first text, per token behind it.
LATENCY, FIRST_TEXT, PER_TOKEN = "latency", "first-text", "per-token"
OF_ALL, OF_STREAMS = (LATENCY,), (LATENCY, FIRST_TEXT, PER_TOKEN)

Limits = Mapping[str, float]  # `kind.what` to milliseconds
DEFAULT: Limits = {
    f"{TRANSLATE}.{LATENCY}": 1000.0,
    f"{BATCH}.{LATENCY}": 5000.0,
    f"{STREAM}.{FIRST_TEXT}": 500.0,
    f"{STREAM}.{PER_TOKEN}": 100.0,
}


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    milliseconds: float


def read_limits(texts: Sequence[str]) -> Limits:
    """Those of `DEFAULT` with what `KIND.WHAT=MILLISECONDS` sets in their place. Raises LoadTestError."""
    return {**DEFAULT, **{one.name: one.milliseconds for one in map(_read, texts)}}


def _read(text: str) -> _Limit:
    name, equals, value = text.partition("=")
    known = [f"{kind}.{what}" for kind in KINDS for what in (OF_STREAMS if kind == STREAM else OF_ALL)]
    if name not in known or not equals:
        raise LoadTestError(f"--limit: {text!r} is none; write NAME=MILLISECONDS, NAME: {', '.join(known)}")
    try:
        milliseconds = float(value.removesuffix("ms"))
    except ValueError:
        milliseconds = math.nan
    if not milliseconds > 0:
        raise LoadTestError(f"--limit: {name} must be milliseconds above 0, got {value!r}")
    return _Limit(name, milliseconds)


def is_good(sample: Sample, limits: Limits) -> bool:
    """Done, and within every limit of its kind."""
    return sample.outcome == DONE and all(
        measured <= limits.get(f"{sample.kind}.{what}", math.inf) for what, measured in _measured(sample)
    )


def _measured(sample: Sample) -> Iterable[tuple[str, float]]:
    """In milliseconds; what a sample has not cannot pass a limit either."""
    yield LATENCY, 1000 * sample.latency
    if sample.first_text is not None:
        yield FIRST_TEXT, 1000 * sample.first_text
    if sample.seconds_per_token is not None:
        yield PER_TOKEN, 1000 * sample.seconds_per_token


def told(limits: Limits, kinds: Iterable[str]) -> str:
    """For a report."""
    parts = []
    for kind in kinds:
        ours = [(what, limits.get(f"{kind}.{what}", math.inf)) for what in OF_STREAMS]
        listed = ", ".join(f"{what.replace('-', ' ')} {ms:g} ms" for what, ms in ours if ms < math.inf)
        parts.append(f"{kind}: {listed or 'no limit'}")
    return "; ".join(parts)
