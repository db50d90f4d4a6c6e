"""What `verto loadtest` does, from options as they were typed to a report on disk.

Knows: the order of things. Must not know: how load is made, how reports look.
"""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtests.live_load.rate_search import MOST_WINDOWS
from loadtests.machine import machine_facts
from loadtests.progress import progress_bar
from loadtests.report import publish
from loadtests.traffic.compare import changes
from loadtests.traffic.compare_table import change_table, heads, warnings
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import read_mix
from loadtests.traffic.limits import read_limits
from loadtests.traffic.locust_window import check_locust
from loadtests.traffic.plan import BURST_SHARE, SHARES_OF_PEAK, Asking, Plan
from loadtests.traffic.result_file import read_run
from loadtests.traffic.run import bench, run
from loadtests.traffic.saturate import Search, saturate
from loadtests.traffic.saturation_report import doubts, report, sentence
from loadtests.traffic.target import target
from loadtests.traffic_report.publish import publish_run, terminal
from service.open_files import allow_many_open_files


def asking_of(**given: Any) -> dict[str, Any]:
    """What was typed of `Asking`'s fields, as that has them. Raises LoadTestError."""
    found = _typed(given)
    if "traffic" in found:
        found["traffic"] = str(read_mix(found["traffic"]))
    if "sentences" in found:
        found["sentences"] = str(found["sentences"])
    return found


def plan_of(like: Path | None, asking: Mapping[str, Any], **given: Any) -> Plan:
    """The plan that was typed, or the one of an earlier result. Raises LoadTestError."""
    typed = _typed(given)
    if like is not None:
        if names := [*asking, *typed]:
            raise LoadTestError(f"--like repeats everything; leave out {', '.join(map(_option, names))}")
        return read_run(like).plan
    for name, number in (("users", int), ("rates", float), ("bursts", float)):
        if name in typed:
            typed[name] = _numbers(name, typed[name], number)
    if "limits" in typed:
        typed["limits"] = read_limits(typed["limits"])
    return Plan(Asking(**asking), **typed)


def _typed(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _option(name: str) -> str:
    return "--" + name.removesuffix("s" if name == "limits" else "").replace("_", "-")


def _numbers(name: str, text: str, number: Callable[[str], Any]) -> tuple[Any, ...]:
    try:
        return tuple(number(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise LoadTestError(f"--{name}: {text!r} is no list of numbers; write it as 8,32") from None


def run_and_report(
    plan: Plan, url: str | None, headers: Sequence[str], serve_options: str, results: Path, name: str | None
) -> bool:
    """Measure, write the report's files, print what they say; whether all was measured.

    Raises LoadTestError, WorkloadError, ServerFault, `OSError`.
    """
    if plan.users or plan.rates is None or plan.bursts is None:
        check_locust()
    facts = machine_facts() | ({"options of the server": serve_options} if serve_options else {})
    with _named(results, name, "load") as name:
        with target(url, headers, _words(url, serve_options)) as address:
            allow_many_open_files()  # an open loop needs a connection for whatever waits
            on = bench(address, plan.asking)
            with progress_bar("windows", plan.rounds * _num_levels(plan)) as done:
                finished = run(on, plan, facts, lambda level: done())
        publish_run(finished, results, name)
    return not finished.stopped


@contextmanager
def _named(results: Path, name: str | None, kind: str) -> Iterator[str]:
    """The name of the report's files, which can be written: told now, not after minutes of load.

    After a fault, folders that were made for them go again. Raises LoadTestError, `OSError`.
    """
    if name is None:
        name = datetime.now().strftime(f"{kind}-%Y%m%d-%H%M%S")
    if Path(name).name != name:
        raise LoadTestError(f"--name: {name!r} is no name of a file; the folder is --results")
    new = [one for one in (results, *results.parents) if not one.exists()]
    results.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=results).close()
        yield name
    except BaseException:
        with suppress(OSError):  # not empty: then there is something to keep
            for folder in new:
                folder.rmdir()
        raise


def _words(url: str | None, serve_options: str) -> list[str]:
    if url is not None and serve_options:
        raise LoadTestError("--serve-options are for a server that is started; leave them out with --url")
    try:
        return shlex.split(serve_options)
    except ValueError as error:
        raise LoadTestError(f"--serve-options: {serve_options!r} is no command line ({error})") from None


def _num_levels(plan: Plan) -> int:
    rates = SHARES_OF_PEAK if plan.rates is None else plan.rates
    bursts = (BURST_SHARE,) if plan.bursts is None else plan.bursts
    return len(plan.users) + len(rates) + len(bursts)


def compare(a: Path, b: Path, fail_over: str | None, every_kind: bool) -> bool:
    """Print both runs side by side; whether nothing is over `fail_over`. Raises LoadTestError, `OSError`."""
    share = None if fail_over is None else read_share(fail_over)
    before, after = read_run(a), read_run(b)
    found = changes(before, after, every_kind)
    console = terminal()
    for line in heads(before, after):
        console.print(line, highlight=False, markup=False)
    change_table(found).show(console)
    for line in warnings(before, after, found):
        console.print(line, highlight=False, markup=False)
    over = [] if share is None else [one for one in found if one.is_over(share)]
    for one in over:
        console.print(f"over {fail_over}: {one.level.name}, {one.kind}, {one.figure.name}", highlight=False)
    return not over


def read_share(text: str) -> float:
    """Of `10%` or `10`, 0.1. Raises LoadTestError."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not 0 <= share < math.inf:
        raise LoadTestError(f"--fail-over: {text!r} is no share; write it as 10%")
    return share


def saturate_and_report(
    search: Search,
    url: str | None,
    headers: Sequence[str],
    serve_options: str,
    results: Path,
    name: str | None,
) -> bool:
    """Search, write the report, print the finding; whether any rate held. Raises as `run_and_report` does."""
    facts = machine_facts() | ({"options of the server": serve_options} if serve_options else {})
    with _named(results, name, "saturation") as name:
        with target(url, headers, _words(url, serve_options)) as address:
            allow_many_open_files()
            on = bench(address, search.asking)
            with progress_bar("windows, at most", MOST_WINDOWS) as done:
                seen = saturate(on, search, done)
        facts |= {"server": on.served.told, "workload": on.workload, "traffic": search.asking.traffic}
        publish(report(search, seen, facts, name), results)
    for line in [sentence(search, seen), *doubts(seen)]:
        terminal().print(line, highlight=False, markup=False)
    return seen.rate > 0
