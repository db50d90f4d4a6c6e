"""What every test shares: a clean environment, one hypothesis profile, how tests are dealt out, the browser.

Must not import torch or the project: contract tests start without either.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from tests.sharing import FilesStayTogether, limit_threads, num_workers

# A developer's own settings must not decide what a test sees. On import: before any session fixture runs.
for _name in [name for name in os.environ if name.startswith("VERTO_")]:
    del os.environ[_name]
# Nothing is compiled behind a test's back; those of the native kernels ask for them.
os.environ["VERTO_KERNELS"] = "eager"
# Before anything imports torch, which reads it once.
limit_threads(os.environ)

# A shell has what it starts in the background ignore Ctrl-C, nohup the end of a terminal; that is passed on
# to whatever a test starts.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _usual)

# No deadline and no slowness check: the tests run on shared machines, where time says nothing about the code.
settings.register_profile(
    "verto", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("verto")

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_xdist_auto_num_workers() -> int:
    """Processes of `-n auto`."""
    return num_workers()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesStayTogether | None:
    """How `-n` deals the tests out, unless `--dist` asks for something else."""
    return FilesStayTogether(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Torch starts every process with another seed: what a test draws is the same in each run."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The Chromium to drive; a test that asks for it is skipped where there is none."""
    for name in _BROWSERS:
        if found := shutil.which(name):
            return Path(found)
    pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is installed")
