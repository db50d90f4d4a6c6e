"""Signals and closed pipes end a command with their own code, after everything has been cleaned up."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from cli.stopping import CommandFailed, Stopped, end_with_sigterm, orderly_end

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def noted(seen: list[BaseException]) -> Iterator[None]:
    """What passes on its way out."""
    try:
        yield
    except BaseException as error:
        seen.append(error)
        raise


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_unwinds_the_block_and_gives_its_code(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    seen: list[BaseException] = []
    with pytest.raises(typer.Exit) as ended, orderly_end(), noted(seen):
        os.kill(os.getpid(), number)
    assert isinstance(seen[0], Stopped)
    assert ended.value.exit_code == code
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err == "verto: stopped\n"


def test_a_signal_cancels_what_an_event_loop_is_doing() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            cleaned.append("work")

    with pytest.raises(typer.Exit), orderly_end():
        asyncio.run(work())
    assert cleaned == ["work"]


def test_what_nohup_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orderly_end():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_pipe_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, orderly_end():
        raise BrokenPipeError
    assert ended.value.exit_code == 141
    assert capsys.readouterr().err == ""


def test_a_failure_is_one_line_and_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, orderly_end():
        raise CommandFailed("in.txt: line 3: the translation failed")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "verto: in.txt: line 3: the translation failed\n"


def test_any_other_error_passes() -> None:
    with pytest.raises(ZeroDivisionError), orderly_end():
        _ = 1 // 0


def test_the_first_process_of_a_container_ends_with_sigterm() -> None:
    # The kernel spares such a process the signal unless it has asked for it.
    program = (
        "import os, signal; from cli import stopping; os.getpid = lambda: 1; stopping.end_with_sigterm();"
        "signal.raise_signal(signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (143, b"")


def test_any_other_process_is_left_as_it_is() -> None:
    before = signal.getsignal(signal.SIGTERM)
    end_with_sigterm()
    assert signal.getsignal(signal.SIGTERM) is before
