"""Bookkeeping: what counts, from when, and what of it is good."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measures import percentile
from loadtests.traffic.figures import ALL, Figure, figures, tally
from loadtests.traffic.kinds import BATCH, STREAM, TRANSLATE
from loadtests.traffic.limits import DEFAULT, is_good
from loadtests.traffic.samples import DONE, FAILED, OUTCOMES, REFUSED, Sample
from tests.loadtests.traffic.builders import sample, stream, window

FIGURES = {one.name: one for one in figures(DEFAULT)}


def of(name: str, *samples: Sample, kind: str = ALL, seconds: float = 1.0) -> float:
    return FIGURES[name].of([window(samples, seconds)], kind)


samples_of_any_kind = st.lists(
    st.builds(
        sample,
        due=st.floats(-1, 3),
        latency=st.floats(0, 4),
        outcome=st.sampled_from(OUTCOMES),
        kind=st.sampled_from([TRANSLATE, BATCH]),
    ),
    max_size=40,
)


@given(samples_of_any_kind)
def test_every_request_that_was_due_is_counted_once(samples: list[Sample]) -> None:
    counts = tally([window(samples, 2.0)], DEFAULT)
    due = [one for one in samples if 0 <= one.due < 2.0]
    assert counts.asked == len(due) == counts.done + counts.refused + counts.failed
    assert counts.good == sum(is_good(one, DEFAULT) for one in due) <= counts.done
    kinds = [tally([window(samples, 2.0)], DEFAULT, kind) for kind in (TRANSLATE, BATCH)]
    assert sum(one.asked for one in kinds) == counts.asked
    assert sum(one.good for one in kinds) == counts.good


@given(samples_of_any_kind)
def test_goodput_never_exceeds_what_was_asked_and_percentiles_are_samples(samples: list[Sample]) -> None:
    seconds = 2.0
    assert 0 <= of("goodput", *samples, seconds=seconds) * seconds <= len(samples)
    latencies = [1000 * one.latency for one in samples if one.outcome == DONE and 0 <= one.due < seconds]
    found = of("latency p95", *samples, seconds=seconds)
    assert found == percentile(latencies, 0.95) or (math.isnan(found) and not latencies)


@given(samples_of_any_kind, st.integers(1, 4))
def test_windows_together_are_what_their_samples_are_together(samples: list[Sample], parts: int) -> None:
    apart = [window(samples[part::parts], 2.0) for part in range(parts)]
    whole = [window(samples, 2.0)]
    for figure in FIGURES.values():
        rate = figure.share is None
        expected = figure.of(whole) / parts if rate else figure.of(whole)
        assert figure.of(apart) == pytest.approx(expected, nan_ok=True)


def test_latency_counts_from_the_moment_that_was_due() -> None:
    """Coordinated omission: a request that had to wait until it was sent has waited for the server."""
    late = sample(0.0, 0.9, sent=0.8)
    assert of("latency p99", late) == pytest.approx(900.0)
    assert tally([window([late])], DEFAULT).lateness_p99_ms == pytest.approx(800.0)


def test_throughput_counts_answers_within_the_window_and_goodput_what_was_asked_in_it() -> None:
    early, late = sample(-0.1, 0.2), sample(0.9, 0.2)
    assert of("throughput", early, late, late) == 1.0
    assert of("goodput", early, late, late) == 2.0
    assert of("characters", early, late) == 50.0


def test_refusals_are_no_failures_and_neither_is_fast() -> None:
    refused, failed = sample(latency=0.001, outcome=REFUSED), sample(latency=0.001, outcome=FAILED)
    assert (of("refused", refused, failed), of("failed", refused, failed)) == (1.0, 1.0)
    assert math.isnan(of("latency p50", refused, failed))
    assert of("throughput", refused, failed) == of("goodput", refused, failed) == 0.0


@pytest.mark.parametrize(
    ("one", "good"),
    [
        (sample(latency=0.99), True),
        (sample(latency=1.01), False),
        (sample(latency=4.9, kind=BATCH), True),
        (sample(latency=5.1, kind=BATCH), False),
        (stream(0.0, 0.49, 0.6), True),
        (stream(0.0, 0.51, 0.6), False),
        (stream(0.0, 0.1, 0.39), True),  # 97 ms for each of three tokens behind the first
        (stream(0.0, 0.1, 0.42), False),
        (stream(0.0, 0.1, 9.0, tokens=200), True),  # a long stream may take long
        (sample(outcome=REFUSED), False),
        (sample(outcome=FAILED), False),
    ],
)
def test_a_good_request_is_done_within_the_limits_of_its_kind(one: Sample, good: bool) -> None:
    assert is_good(one, DEFAULT) is good


def test_a_stream_is_told_by_its_first_text_its_pieces_and_its_tokens() -> None:
    one = stream(0.5, 0.1, 0.2, 0.5, tokens=5)
    assert of("first text p50", one, kind=STREAM) == pytest.approx(100.0)
    assert of("between pieces p99", one) == pytest.approx(300.0)
    assert of("per token p50", one) == pytest.approx(100.0)
    assert of("latency p50", one) == pytest.approx(510.0)
    assert math.isnan(of("per token p50", stream(0.5, 0.1, tokens=9)))


def test_figures_have_names_of_their_own() -> None:
    assert len(FIGURES) == len(figures(DEFAULT))
    assert all(isinstance(one, Figure) for one in FIGURES.values())
