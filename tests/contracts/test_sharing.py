"""Several processes share the suite out: files stay whole, each process has its part of the processors."""

import pytest

from tests import sharing
from tests.contracts.project import ROOT
from tests.sharing import TOGETHER, limit_threads, num_workers, unit_of


def test_the_tests_of_a_file_stay_together() -> None:
    assert unit_of("tests/cli/test_serve.py::test_it[a::b]") == "tests/cli/test_serve.py"


def test_files_that_share_what_takes_minutes_stay_together() -> None:
    assert all((ROOT / folder / "conftest.py").exists() for folder in TOGETHER)
    files = [f"{folder}/test_{name}.py::test_it" for folder in TOGETHER for name in "ab"]
    assert [unit_of(file) for file in files] == [folder for folder in TOGETHER for _ in "ab"]


@pytest.mark.parametrize(
    ("workers", "processors", "threads"), [("2", 2, "1"), ("2", 8, "4"), ("4", 2, "1"), ("1", 8, None)]
)
def test_workers_divide_the_processors(
    workers: str, processors: int, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "processors", lambda: processors)
    environment = {"PYTEST_XDIST_WORKER_COUNT": workers}
    limit_threads(environment)
    assert environment.get("OMP_NUM_THREADS") == threads


def test_a_suite_in_one_process_keeps_every_processor() -> None:
    environment: dict[str, str] = {}
    limit_threads(environment)
    assert environment == {}


def test_who_names_a_number_of_threads_gets_it() -> None:
    environment = {"PYTEST_XDIST_WORKER_COUNT": "2", "OMP_NUM_THREADS": "3"}
    limit_threads(environment)
    assert environment["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("processors", "workers"), [(1, 1), (2, 2), (64, sharing.MOST_WORKERS)])
def test_there_are_as_many_workers_as_processors_but_no_crowd(
    processors: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "processors", lambda: processors)
    assert num_workers() == workers
