"""What is typed becomes a plan, or one line that says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtests.traffic.commands import asking_of, plan_of
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import KINDS, read_mix
from loadtests.traffic.limits import DEFAULT, read_limits
from loadtests.traffic.plan import Plan, differences, read_plan
from loadtests.traffic.windows import CLOSED, OPEN, Level


@pytest.mark.parametrize("text", ["translate=7,batch=1,stream=2", "stream=1", "batch=0.5,stream=2"])
def test_a_mix_is_read_as_it_is_written(text: str) -> None:
    assert str(read_mix(text)) == text


def test_mixed_holds_every_kind_and_a_kind_alone_is_all_there_is() -> None:
    assert read_mix("mixed").kinds == KINDS
    assert read_mix("batch").shares == {"batch": 1.0}


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (read_mix, "translat", "unknown kind 'translat'; use translate, batch, stream, mixed"),
        (read_mix, "", "unknown kind ''"),
        (read_mix, "translate=0", "weight of translate must be a number above 0, got '0'"),
        (read_mix, "translate=many", "got 'many'"),
        (read_mix, "translate=inf", "got 'inf'"),
        (read_limits, ["translate.first-text=5"], "write NAME=MILLISECONDS, NAME: translate.latency"),
        (read_limits, ["translate.latency"], "'translate.latency' is none"),
        (read_limits, ["stream.first-text=-1"], "must be milliseconds above 0, got '-1'"),
        (read_limits, ["stream.first-text=soon"], "got 'soon'"),
    ],
)
def test_a_slip_is_told_with_what_would_be_right(read: Any, text: Any, words: str) -> None:
    with pytest.raises(LoadTestError) as error:
        read(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rates": "0"}, "--rates: must be above 0, got 0"),
        ({"rates": "5,-1"}, "--rates: must be above 0, got -1"),
        ({"rates": "inf"}, "--rates: must be above 0, got inf"),
        ({"rates": "fast"}, "--rates: 'fast' is no list of numbers"),
        ({"bursts": "0"}, "--bursts: must be above 0"),
        ({"users": "0"}, "--users: must be 1 or more, got 0"),
        ({"users": "1.5"}, "--users: '1.5' is no list of numbers"),
        ({"users": "", "rates": "", "bursts": ""}, "no load at all"),
        ({"arrivals": "sometimes"}, "'sometimes' is none; use poisson, constant, bursts"),
        ({"seconds": 0.0}, "--seconds: must be above 0"),
        ({"seconds": float("nan")}, "--seconds: must be above 0"),
        ({"rounds": 0}, "--rounds: must be 1 or more"),
        ({"warm_up_seconds": -1.0}, "--warm-up-seconds: must be 0 or more"),
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadTestError) as error:
        plan_of(None, {}, **given)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strategy": "guess"}, "use beam, greedy, sample"),
        ({"timeout_seconds": 0.0}, "--timeout-seconds: must be above 0"),
        ({"traffic": "all"}, "unknown kind 'all'"),
    ],
    ids=str,
)
def test_asking_for_what_is_not_there_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadTestError) as error:
        plan_of(None, asking_of(**given))
    assert words in str(error.value)


def test_rates_that_were_left_out_are_shares_of_the_peak_in_two_digits() -> None:
    plan = plan_of(None, {}, users="4").with_rates(87.4)
    assert (plan.users, plan.rates, plan.bursts) == ((4,), (26.0, 52.0, 79.0, 100.0), (44.0,))
    given = plan_of(None, {}, rates="3", bursts="").with_rates(87.4)
    assert (given.rates, given.bursts) == ((3.0,), ())
    assert given.closed == [Level(CLOSED, 1), Level(CLOSED, 8), Level(CLOSED, 32)]
    assert given.open == [Level(OPEN, 3.0, "poisson")]


def test_a_plan_comes_back_from_its_file() -> None:
    plan = plan_of(
        None, asking_of(traffic="batch", seed=3), users="2", rates="1.5", limits=["batch.latency=9"]
    )
    assert read_plan(json.loads(json.dumps(plan.scenario()))) == plan
    assert plan.limits == {**DEFAULT, "batch.latency": 9.0}


def test_plans_differ_in_what_was_asked_and_not_in_how_long() -> None:
    one = plan_of(None, asking_of(traffic="batch"), users="2", rates="1")
    other = plan_of(None, asking_of(traffic="stream"), users="3", rates="1", seconds=9.0, rounds=9)
    assert differences(one, one) == []
    assert differences(one, other) == ["users: 2 and 3", "traffic: batch=1 and stream=1"]
    assert differences(one, Plan()) != []


def test_like_leaves_nothing_to_be_typed(tmp_path: Any) -> None:
    with pytest.raises(LoadTestError, match=r"leave out --timeout-seconds, --users, --limit$"):
        plan_of(tmp_path / "a.json", asking_of(timeout_seconds=1.0), users="1", limits=["x"])
