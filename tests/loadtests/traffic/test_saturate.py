"""The highest rate is found where it is, with a confidence that falls where windows are noisy."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.live_load.rate_search import GRID, MOST_WINDOWS
from loadtests.traffic.arrivals import POISSON, moments
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.plan import Asking
from loadtests.traffic.samples import DONE, REFUSED
from loadtests.traffic.saturate import Saturation, Search, search_rates
from loadtests.traffic.saturation_report import doubts, report, sentence
from loadtests.traffic.windows import OPEN, Level, Window
from tests.cli.conftest import Verto, verto
from tests.loadtests.traffic.builders import sample, stream, window
from tests.loadtests.traffic.fake_server import FakeServer, at_most, running

__all__ = ["verto"]  # the fixture

SECONDS = 20.0
SEARCH = Search(bound_ms=500.0, seconds=SECONDS)


def one_at_a_time(service_seconds: float, noise: float = 0.0) -> Callable[[float, int], Window]:
    """A server that takes so long for each request, a little longer in some windows."""

    def look(rate: float, number: int) -> Window:
        rng, free = random.Random(f"{rate}/{number}"), 0.0
        slow = rng.lognormvariate(0, noise)
        samples = []
        for due in moments(POISSON, rate, SECONDS, round(100 * rate) + number):
            free = max(free, due) + service_seconds * slow
            samples.append(sample(due, free - due))
        return window(samples, SECONDS, number, Level(OPEN, rate, POISSON))

    return look


def searched(
    look: Callable[[float, int], Window], first_rate: float = 30.0, search: Search = SEARCH
) -> Saturation:
    return search_rates(search, first_rate, look, lambda: None)


@pytest.mark.parametrize("first_rate", [5.0, 40.0, 300.0])
def test_the_rate_of_a_steady_server_is_found_from_anywhere(first_rate: float) -> None:
    """99 of 100 requests of an M/D/1 queue of 20 ms wait less than 500 ms up to a load of about 0.9."""
    seen = searched(one_at_a_time(0.02), first_rate)
    assert 38.0 < seen.rate < 50.0
    assert seen.rate < seen.next_rate < seen.rate * GRID**3
    assert sum(one.windows for one in seen.looked) <= MOST_WINDOWS
    low, high = seen.between(0.95)
    assert low <= seen.rate < high


def test_noise_lowers_the_confidence_and_widens_what_is_sure() -> None:
    noisy = searched(one_at_a_time(0.02, noise=0.15))
    low, high = noisy.between(0.95)
    assert noisy.confidence < 0.9
    assert high / low > GRID


def test_a_server_that_refuses_does_not_hold_however_quick_it_is() -> None:
    def look(rate: float, number: int) -> Window:
        outcome = REFUSED if rate > 25 else DONE
        samples = [sample(n / rate, 0.01, outcome if n == 3 else DONE) for n in range(int(rate * SECONDS))]
        return window(samples, SECONDS, number, Level(OPEN, rate, POISSON))

    seen = searched(look)
    assert 25 / GRID <= seen.rate <= 25
    assert seen.confidence == 1.0
    assert "sure of just these two" in sentence(SEARCH, seen)


def test_a_rate_at_which_most_windows_were_refused_surely_does_not_hold() -> None:
    """Though the one window that was answered is as quick as can be."""

    def look(rate: float, number: int) -> Window:
        outcome = REFUSED if rate > 25 and number != 1 else DONE
        samples = [sample(n / rate, 0.01, outcome) for n in range(int(rate * SECONDS))]
        return window(samples, SECONDS, number, Level(OPEN, rate, POISSON))

    seen = searched(look)
    assert seen.rate <= 25 < seen.next_rate
    assert seen.confidence == 1.0


def test_a_server_that_never_holds_has_no_rate() -> None:
    seen = searched(lambda rate, number: window([], SECONDS, number, Level(OPEN, rate, POISSON)))
    assert (seen.rate, seen.between(0.95)[0]) == (0.0, 0.0)
    assert sentence(SEARCH, seen).startswith("No rate with p99 of the latency under 500 ms was found")


def test_a_server_that_always_holds_is_said_to_be_better_than_was_seen() -> None:
    def look(rate: float, number: int) -> Window:
        return window([sample(n / rate) for n in range(int(rate * SECONDS))], SECONDS, number,
                      Level(OPEN, rate, POISSON))  # fmt: skip

    seen = searched(look)
    assert math.isinf(seen.next_rate)
    assert "at least; the search ended before" in sentence(SEARCH, seen)


def test_first_text_can_be_bounded_instead() -> None:
    def look(rate: float, number: int) -> Window:
        first = 0.1 if rate < 10 else 0.9
        streams = [stream(n / rate, first, 5.0) for n in range(int(rate * SECONDS))]
        return window(streams, SECONDS, number, Level(OPEN, rate, POISSON))

    search = Search(Asking(traffic="stream=1"), bound_ms=300.0, what="first-text", seconds=SECONDS)
    assert 10 / GRID <= searched(look, search=search).rate <= 10


def test_the_report_says_what_was_found_and_what_to_doubt() -> None:
    few = searched(one_at_a_time(0.4), 2.0, search=Search(bound_ms=2000.0, seconds=SECONDS))
    assert "too few for a 99th percentile: give more --seconds" in doubts(few)[0]
    content = json.loads(report(SEARCH, few, {}, "s").json(), parse_constant=pytest.fail)
    assert content["rate"] == few.rate
    assert content["looked"][0]["windows"] >= 1
    assert sentence(SEARCH, few) in content["notes"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"what": "speed"}, "--of: 'speed' is none; use latency or first-text"),
        ({"what": "first-text"}, "give --traffic stream with it"),
        ({"bound_ms": 0.0}, "--bound-ms: must be above 0"),
        ({"seconds": -1.0}, "--seconds: must be above 0"),
    ],
    ids=str,
)
def test_a_search_that_cannot_be_is_refused(given: dict[str, float], words: str) -> None:
    with pytest.raises(LoadTestError) as error:
        Search(**given)  # type: ignore[arg-type]
    assert words in str(error.value)


@pytest.mark.slow
def test_the_command_searches_a_server_at_an_address(verto: Verto, tmp_path: Path) -> None:
    with running(FakeServer(at_most(60.0))) as server:
        ended = verto(
            "loadtest",
            "saturate",
            "--url",
            server.url,
            "--seconds",
            "1",
            "--results",
            tmp_path,
            "--name",
            "s",
        )
    assert ended.code == 0, ended.err
    content = json.loads((tmp_path / "s.json").read_text())
    assert content["search"]["bound_ms"] == 1000.0
    assert 5 < content["rate"] < 100
    assert "Highest rate with p99 of the latency under 1000 ms" in ended.text
