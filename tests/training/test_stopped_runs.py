"""Two processes of a run that are stopped, or of which one ends: nothing hangs, nothing half done is left.

`stopped_runs` is what happens to them.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.contracts.project import ROOT
from tests.training.stopped_runs import CASES, LIMIT_SECONDS

pytestmark = pytest.mark.slow

# Both have stopped after their step; who is not out yet when the first is, torchrun asks to end.
BETWEEN_STEPS = [[3, 3], [3, -15], [143, 3]]
# Exit codes of the first process and of the other, which a signal ends at once: it has nothing to tidy up.
CODES = {
    "preparing": [[143, -15]],
    "the other opens what is prepared": [[130, -2]],
    "last look": BETWEEN_STEPS,
    "saving": BETWEEN_STEPS,
    "scoring": [[130, -2]],
    "writing the bundle": [[143, -15]],
    "the other fails before they meet": [[-15, 2]],
}
STOPPED = "stopped; the same command goes on from "


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stopped")
    command = [sys.executable, "-m", "tests.training.stopped_runs", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    reports: dict[str, Any] = json.loads((folder / "reports.json").read_text(encoding="utf-8"))
    return reports


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_ends_early_does_so_in_time_and_in_order(reports: dict[str, Any], name: str) -> None:
    report = reports[name]
    if name in CODES:
        assert report["codes"] in CODES[name], report["said"]
    assert report["seconds"] < LIMIT_SECONDS
    assert [one for one in report["left"] if one.endswith((".tmp", ".partial"))] == []
    assert not any("Traceback" in said for said in report["said"]), report["said"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.sent])
def test_a_stopped_run_says_once_how_to_go_on(reports: dict[str, Any], name: str) -> None:
    first, other = reports[name]["said"]
    assert first.splitlines()[-1].removeprefix("verto: ").startswith(STOPPED)
    assert other == ""


@pytest.mark.parametrize("name", CASES)
def test_the_same_command_goes_on_and_ends_with_the_same_weights(reports: dict[str, Any], name: str) -> None:
    assert reports[name]["resumed"] == reports["straight"]["codes"] == [0, 0]
    assert reports[name]["weights"] == reports["straight"]["weights"]


def test_who_is_left_alone_ends_and_says_how_to_go_on(reports: dict[str, Any]) -> None:
    report = reports["the other is killed in a step"]
    last = report["said"][0].splitlines()[-1]
    assert (report["codes"][0], last.partition(" the same command goes on")[0]) in [
        (2, "verto: another process of the run has ended, and it or torchrun says why;"),
        (143, "verto: stopped;"),  # where torchrun's signal came first
    ]


def test_who_fails_alone_says_why(reports: dict[str, Any]) -> None:
    assert reports["the other fails before they meet"]["said"][1] == "verto: memory ran out; give it more\n"
