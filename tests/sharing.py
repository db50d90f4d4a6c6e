"""How the suite is shared out among processes that run at once (pytest-xdist, `-n`).

Knows: which tests stay together, how many processes and threads a machine bears. Must not know: what a test
does. Must not import torch or the project: contract tests start without either.
"""

import os
from collections.abc import MutableMapping

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Folders whose files share a fixture that takes minutes to build.
TOGETHER = ("tests/deploy/image",)
# More would not end sooner: the tests of TOGETHER alone take a quarter of the time of two.
MOST_WORKERS = 4


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_workers() -> int:
    """What `-n auto` means here."""
    return min(processors(), MOST_WORKERS)


def limit_threads(environment: MutableMapping[str, str]) -> None:
    """Give each of several workers, and what it starts, its share of the processors.

    Without it each computes with as many threads as there are processors, and they wait for each other.
    """
    workers = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(processors() // workers, 1)))


def unit_of(nodeid: str) -> str:
    """What a test is dealt out with: its file, or a folder of `TOGETHER`."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


class FilesStayTogether(LoadFileScheduling):
    """A file's tests run in one process, in order: what its fixtures build is built once."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        # Files in the order of collection, not those with the most tests first: these are the quick ones.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
