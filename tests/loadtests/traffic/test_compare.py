"""A change is called one where it is, noise is not, and runs that asked different things are not compared."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.traffic.bootstrap import SLICES, resampled, sliced
from loadtests.traffic.compare import BETTER, SAME, TOO_FEW, UNSURE, WORSE, Change, changes
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.figures import ALL, figures
from loadtests.traffic.limits import DEFAULT
from loadtests.traffic.plan import Asking
from loadtests.traffic.result_file import to_json
from loadtests.traffic.run import Run
from loadtests.traffic.samples import DONE, FAILED, REFUSED, Sample
from tests.cli.conftest import Verto, verto
from tests.loadtests.traffic.builders import run_of, sample, stream, window

__all__ = ["verto"]  # the fixture


def queue(rng: random.Random, slow: float, seconds: float, rate: float = 30.0) -> list[Sample]:
    """Latencies as behind a queue: each near the one before."""
    samples, due, state = [], 0.0, 0.0
    while (due := due + rng.expovariate(rate)) < seconds:
        state = 0.9 * state + rng.gauss(0, 0.2)
        samples.append(sample(due, 0.1 * slow * math.exp(state) * rng.lognormvariate(0, 0.3)))
    return samples


def run_with(seed: int, slow: float = 1.0, rounds: int = 3, drift: float = 0.08, seconds: float = 6.0) -> Run:
    """The machine is a little faster in one round than in another."""
    rng = random.Random(seed)
    windows = [
        window(queue(rng, slow * rng.lognormvariate(0, drift), seconds), seconds, number)
        for number in range(rounds)
    ]
    return run_of(windows, asking=Asking(traffic="translate=1"))


def verdicts(found: list[Change]) -> dict[str, str]:
    return {one.figure.name: one.verdict for one in found}


def test_equal_servers_are_seldom_called_unequal() -> None:
    called = sum(
        any(one.verdict in (BETTER, WORSE) for one in changes(run_with(2 * n), run_with(2 * n + 1)))
        for n in range(40)
    )
    assert called <= 6  # 5 % of comparisons are allowed, 2 of 40; 7 or more have a probability below 1 %


def steady_run(seed: int, rounds: int) -> Run:
    """Many answers much like each other, so that the machine's moods are nearly all of the noise."""
    rng = random.Random(seed)
    windows = []
    for number in range(rounds):
        slow = rng.lognormvariate(0, 0.08)
        answers = [sample(n / 80, 0.1 * slow * rng.lognormvariate(0, 0.3)) for n in range(400)]
        windows.append(window(answers, 5.0, number))
    return run_of(windows, asking=Asking(traffic="translate=1"))


@pytest.mark.parametrize("rounds", [2, 3])
def test_two_or_three_rounds_of_a_moody_machine_are_no_change(rounds: int) -> None:
    called = sum(
        any(
            c.verdict in (BETTER, WORSE)
            for c in changes(steady_run(2 * n, rounds), steady_run(2 * n + 1, rounds))
        )
        for n in range(100)
    )
    assert called <= 10  # 5 are allowed; 11 or more have a probability of about 1 %


def test_a_server_at_half_the_speed_is_found_out_and_one_at_twice_is_too() -> None:
    slower = changes(run_with(1, seconds=20.0), run_with(2, slow=2.0, seconds=20.0))
    assert verdicts(slower)["latency p50"] == WORSE
    p50 = next(one for one in slower if one.figure.name == "latency p50")
    assert p50.low < 2.0 < p50.high
    faster = changes(run_with(2, slow=2.0, seconds=20.0), run_with(1, seconds=20.0))
    assert verdicts(faster)["latency p50"] == BETTER


def test_a_run_is_the_same_as_itself() -> None:
    run = run_with(1, seconds=20.0)
    found = changes(run, run)
    assert {one.verdict for one in found} <= {SAME, UNSURE}
    assert all(one.ratio in (1.0, 0.0) for one in found)


def test_times_too_short_to_be_told_from_none_are_compared_as_very_short_ones() -> None:
    def instant(seconds: float) -> Run:
        answers = [[sample(n / 100, seconds if n % 2 else 0.0) for n in range(100)] for _ in range(3)]
        return run_of([window(one, number=n) for n, one in enumerate(answers)])

    found = {one.figure.name: one for one in changes(instant(0.0), instant(0.001))}["latency p95"]
    assert (found.before, found.verdict) == (0.0, WORSE)
    assert found.after == pytest.approx(1.0)
    assert found.ratio == pytest.approx(20.0)
    assert all(math.isfinite(bound) for bound in (found.low, found.high))


def test_one_round_says_nothing_and_few_requests_say_nothing_of_a_tail() -> None:
    assert set(verdicts(changes(run_with(1, rounds=1), run_with(2, slow=9.0, rounds=1))).values()) == {
        TOO_FEW
    }
    found = verdicts(changes(run_with(1, seconds=3.0), run_with(2, seconds=3.0)))
    assert (found["latency p50"], found["latency p99"]) == (UNSURE, TOO_FEW)


def test_a_figure_is_the_same_only_where_nothing_else_can_be() -> None:
    steady = [
        window([sample(n / 50, 0.1 + n % 3 / 1000) for n in range(300)], 6.0, number) for number in range(3)
    ]
    same = changes(run_of(steady), run_of(steady))
    assert verdicts(same)["latency p50"] == SAME
    noisy = changes(run_with(1, drift=0.5), run_with(2, drift=0.5))
    assert verdicts(noisy)["latency p50"] == UNSURE


def with_outcomes(outcome: str, share: float, seed: int) -> Run:
    rng = random.Random(seed)
    return run_of([
        window([
            sample(n / 50, 0.1, outcome if rng.random() < share else DONE) for n in range(300)
        ], 6.0, number)
        for number in range(3)
    ])  # fmt: skip


@pytest.mark.parametrize("outcome", [REFUSED, FAILED])
def test_more_failures_or_refusals_are_a_change_even_where_there_were_none(outcome: str) -> None:
    before, after = with_outcomes(outcome, 0.0, 1), with_outcomes(outcome, 0.1, 2)
    one = next(one for one in changes(before, after) if one.figure.name == outcome)
    assert (one.before, one.verdict) == (0.0, WORSE)
    assert 0.05 < one.after < 0.15
    assert one.is_over(0.5)
    few = next(o for o in changes(before, with_outcomes(outcome, 0.001, 4)) if o.figure.name == outcome)
    assert few.verdict in (SAME, UNSURE)


def test_a_change_is_over_a_bound_only_where_it_is_sure_and_larger() -> None:
    (one,) = (c for c in changes(run_with(1), run_with(2)) if c.figure.name == "latency p50")
    worse = dataclasses.replace(one, ratio=1.2, verdict=WORSE)
    assert (worse.is_over(0.1), worse.is_over(0.3)) == (True, False)
    assert not dataclasses.replace(worse, verdict=SAME).is_over(0.1)
    goodput = next(one for one in figures(DEFAULT) if one.name == "goodput")
    assert dataclasses.replace(worse, figure=goodput, ratio=0.8).is_over(0.1)
    assert not dataclasses.replace(worse, figure=goodput, ratio=0.95).is_over(0.1)


def test_a_server_that_does_nothing_well_any_more_is_worse() -> None:
    found = changes(with_outcomes(FAILED, 0.0, 1), with_outcomes(FAILED, 1.0, 1))
    assert verdicts(found)["goodput"] == WORSE


def test_streams_are_compared_by_their_first_text() -> None:
    runs = []
    for slow in (1.0, 3.0):
        streams = [stream(n / 30, slow * 0.1 * (1 + n % 7 / 20), slow * 0.4) for n in range(180)]
        windows = [window(streams, 6.0, number) for number in range(3)]
        runs.append(run_of(windows, asking=Asking(traffic="stream=1")))
    assert verdicts(changes(*runs))["first text p50"] == WORSE


@given(
    st.lists(st.tuples(st.floats(0, 2.99), st.floats(0.001, 5)), min_size=1, max_size=60),
    st.integers(1, 3),
    st.sampled_from([0.5, 0.95, None]),
)
@settings(max_examples=40)
def test_a_resample_is_a_figure_of_slices_that_were_seen(
    moments: list[tuple[float, float]], rounds: int, share: float | None
) -> None:
    windows = [window([sample(*one) for one in moments], 3.0, number) for number in range(rounds)]
    figure = next(
        one for one in figures(DEFAULT) if one.share == share and one.name.startswith(("lat", "goo"))
    )
    what = sliced(figure, windows, ALL)
    assert len(what.values) == rounds * len(moments)
    assert what.slices.max() < rounds * SLICES
    found = resampled(figure, what, numpy.random.default_rng(0))
    if share is not None:
        assert set(found[~numpy.isnan(found)]) <= set(what.values)
    else:
        assert found.min() >= 0


def write(run: Run, path: Path) -> Path:
    path.write_text(to_json(run))
    return path


def test_the_command_prints_a_table_and_ends_with_1_where_something_is_over(
    verto: Verto, tmp_path: Path
) -> None:
    a = write(run_with(1, seconds=20.0), tmp_path / "a.json")
    b = write(run_with(2, slow=2.0, seconds=20.0), tmp_path / "b.json")
    ended = verto("loadtest", "compare", a, b)
    assert ended.code == 0, ended.err
    assert "B beside A; 95% sure for the table as a whole" in ended.text
    assert "A: today, en-de 1 float32" in ended.text
    failed = verto("loadtest", "compare", a, b, "--fail-over", "10%")
    assert failed.code == 1
    assert "over 10%: 10/s, all, latency p50" in failed.text
    assert verto("loadtest", "compare", a, b, "--fail-over", "900%").code == 0
    assert verto("loadtest", "compare", b, a, "--fail-over", "10%").code == 0


def test_runs_that_asked_different_things_are_not_compared(verto: Verto, tmp_path: Path) -> None:
    a = write(run_with(1), tmp_path / "a.json")
    other = run_of(run_with(1).windows, asking=Asking(traffic="batch=1"))
    ended = verto("loadtest", "compare", a, write(other, tmp_path / "b.json"))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert (
        "asked different things (traffic: translate=1 and batch=1); repeat the first one's with" in ended.err
    )
    assert "verto loadtest run --like" in ended.err


def test_other_files_are_refused(verto: Verto, tmp_path: Path) -> None:
    a = write(run_with(1), tmp_path / "a.json")
    (tmp_path / "b.json").write_text('{"cells": []}')
    ended = verto("loadtest", "compare", a, tmp_path / "b.json")
    assert ended.code == 2
    assert "b.json is no result of a load test" in ended.err
    assert verto("loadtest", "compare", a, tmp_path / "none.json").code == 2
    share = verto("loadtest", "compare", a, a, "--fail-over", "much")
    assert "--fail-over: 'much' is no share; write it as 10%" in share.err


def test_different_machines_are_told(verto: Verto, tmp_path: Path) -> None:
    a, b = run_with(1), run_with(2)
    other = dataclasses.replace(b, facts={**b.facts, "machine": "another"})
    with pytest.raises(LoadTestError, match="no load in common"):
        changes(a, dataclasses.replace(b, windows=[]))
    ended = verto("loadtest", "compare", write(a, tmp_path / "a"), write(other, tmp_path / "b"))
    assert "machine: None in A, another in B" in ended.text
    assert "more --seconds or --rounds" in ended.text
