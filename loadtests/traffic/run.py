"""A whole run: every level of load, in rounds, against one server.

Knows: the order of windows, what is asked before and after. Must not know: files, how results are shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.traffic.address import Address, Served, probe
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.figures import figures
from loadtests.traffic.kinds import read_mix
from loadtests.traffic.locust_window import locust_window
from loadtests.traffic.open_window import open_window, warm
from loadtests.traffic.plan import Asking, Plan
from loadtests.traffic.requests import Traffic, english_or_given
from loadtests.traffic.samples import DONE
from loadtests.traffic.scrape import Scraper
from loadtests.traffic.sender import Sender
from loadtests.traffic.windows import CLOSED, Level, Scrape, Window

GUESSING_USERS = 16  # who find the peak where no closed loop was asked for


@dataclass(frozen=True, slots=True)
class Run:
    """`plan` with the rates that were really offered; `notes` what a reader must know."""

    plan: Plan
    facts: Mapping[str, str]
    windows: Sequence[Window]
    notes: Sequence[str] = ()
    stopped: str = ""  # why, where it did not come to its end

    def at(self, level: Level) -> list[Window]:
        """Those of one level, by round."""
        return [window for window in self.windows if window.level == level]

    @property
    def levels(self) -> list[Level]:
        """In the order of the first round."""
        return list(dict.fromkeys(window.level for window in self.windows))


@dataclass(frozen=True, slots=True)
class Bench:
    """A server that was asked who it is, and a sender to it."""

    address: Address
    asking: Asking
    sender: Sender
    served: Served
    workload: str


def bench(address: Address, asking: Asking) -> Bench:
    """Ready for load. Raises LoadTestError, WorkloadError, also for a server that answers nothing well."""
    served = probe(address)
    direction = served.direction(asking.source, asking.target)
    texts = english_or_given(Path(asking.sentences) if asking.sentences else None, direction, asking.seed)
    traffic = Traffic(read_mix(asking.traffic), texts, direction, asking.strategy, asking.seed)
    sender = Sender(address, traffic, asking.timeout_seconds)
    samples = warm(sender)
    if not any(sample.outcome == DONE for sample in samples):
        faults = ", ".join(sorted({sample.verdict.fault for sample in samples}))
        raise LoadTestError(
            f"{address.url}: none of {len(samples)} requests was answered well ({faults}); see its log"
        )
    return Bench(address, asking, sender, served, texts.name)


def run(
    on: Bench, plan: Plan, facts: Mapping[str, str], done: Callable[[Level], None] = lambda level: None
) -> Run:
    """Load at every level of the plan, `rounds` times. `done` is told of every window that has ended.

    Where that cannot go on (the server is gone) the run has what was seen until then. Raises LoadTestError
    where nothing was.
    """
    windows: list[Window] = []
    known, stopped = plan, ""
    with Scraper(on.address) as scraper:
        try:
            for known, one in _windows(on, plan):  # noqa: B007 (the last one is used)
                windows.append(one)
                done(one.level)
        except LoadTestError as error:
            if not windows:
                raise
            stopped = f"Stopped before its end: {error}"
    seen = _with_scrapes(windows, scraper.scrapes())
    told = {"server": on.served.told, "workload": on.workload}
    return Run(known, {**facts, **told}, seen, _notes(on, scraper, seen), stopped)


def _windows(on: Bench, plan: Plan) -> Iterator[tuple[Plan, Window]]:
    """One after the other, with the plan as it is then: rates that were left out are known after users."""
    closed: list[Window] = []
    for number in range(plan.rounds):
        for level in plan.closed:
            closed.append(window(on, plan, level, number))
            yield plan, closed[-1]
        if plan.rates is None or plan.bursts is None:
            plan = plan.with_rates(_peak(on, plan, closed))
        for level in plan.open:
            yield plan, window(on, plan, level, number)


def window(on: Bench, plan: Plan, level: Level, number: int) -> Window:
    """Load at one level."""
    lengths = (plan.seconds, plan.warm_up_seconds)
    if level.loop == CLOSED:
        return locust_window(on.address, on.asking, level, *lengths, number)
    return open_window(on.sender, level, *lengths, number, 1000 * on.asking.seed)


def _peak(on: Bench, plan: Plan, windows: Sequence[Window]) -> float:
    """Requests a second that users who wait have reached; those of a few of them where there were none."""
    throughput = figures(plan.limits)[0]
    windows = windows or [window(on, plan, Level(CLOSED, GUESSING_USERS), 0)]
    peak = max(throughput.of([one]) for one in windows)
    if peak == 0:
        raise LoadTestError(f"{on.address.url}: no request was answered well; give --rates, or see its log")
    return peak


def _with_scrapes(windows: Sequence[Window], scrapes: Sequence[Scrape]) -> list[Window]:
    """Each with the pages that were read from its first request to its last answer."""
    found = []
    for one in windows:
        first = min((sample.due for sample in one.samples), default=0.0)
        last = max((sample.ended for sample in one.samples), default=0.0)
        moved = [Scrape(round(page.at - one.began_at, 2), page.values) for page in scrapes]
        within = [page for page in moved if min(first, 0.0) <= page.at <= max(last, one.seconds)]
        found.append(dataclasses.replace(one, scrapes=within))
    return found


def _notes(on: Bench, scraper: Scraper, windows: Sequence[Window]) -> list[str]:
    notes = []
    try:
        after = probe(on.address).told
    except LoadTestError as error:
        after = str(error)
    if on.served.told != after:
        notes.append(f"The server changed during the run. Before: {on.served.told}. After: {after}.")
    if not any(one.scrapes for one in windows):
        notes.append(f"No metrics of the server: {scraper.fault or 'its page names none of them'}.")
    return notes
