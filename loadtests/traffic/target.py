"""The server under test: one that runs already, or one of our own for as long as the test lasts.

Knows: commands of `verto`, addresses. Must not know: loads.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtests.machine import ROOT
from loadtests.servers import running_server
from loadtests.traffic.address import Address, read_address

BUILD_SECONDS = 300.0


@contextlib.contextmanager
def target(url: str | None, headers: Sequence[str], serve_options: Sequence[str]) -> Iterator[Address]:
    """At `url`, or started with these options of `verto serve`. Raises LoadTestError, ServerFault."""
    if url is not None:
        yield read_address(url, headers)
        return
    build_kernels()
    with running_server("cli.main", "serve", *quiet(serve_options)) as port:
        yield read_address(f"http://127.0.0.1:{port}", headers)


def quiet(serve_options: Sequence[str]) -> list[str]:
    """Without a line for each request; paths as the one who wrote them sees them."""
    words = [str(Path(word).resolve()) if Path(word).exists() else word for word in serve_options]
    return [*words, *([] if "--log-level" in words else ["--log-level", "error"])]


def build_kernels() -> None:
    """As an image has them, so that no server changes its network in the midst of a test.

    Where they cannot be built, servers go on with PyTorch, and the report says so.
    """
    command = [sys.executable, "-m", "cli.main", "prepare", "--kernels-only"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, cwd=ROOT, capture_output=True, timeout=BUILD_SECONDS, check=False)
