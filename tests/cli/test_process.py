"""`verto translate` as a process: a reader that goes away, Ctrl-C, and a console that is left alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
COMMAND = [sys.executable, "-m", "tests.cli.without_torch", "translate", "-s", "en", "-t", "de"]


@pytest.fixture(autouse=True)
def signals_as_on_a_terminal() -> Iterator[None]:
    """A shell's background job ignores Ctrl-C, and `verto` leaves ignored what it finds ignored."""
    ignored = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is signal.SIG_IGN]
    for one in ignored:
        signal.signal(one, signal.SIG_DFL)
    yield
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)


def start(*arguments: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def test_a_reader_that_goes_away_ends_the_command_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a line of text\n" * 50_000)
    with start(str(tmp_path / "in.txt")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"A LINE OF TEXT\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 141


def test_a_closed_standard_error_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a line of text\n")
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, str(tmp_path / "in.txt")]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout) == (0, b"A LINE OF TEXT\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("name", "code"), [("in.txt", 0), ("none.txt", 2)])
def test_a_full_standard_error_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (tmp_path / "in.txt").write_text("a line of text\n")
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, str(tmp_path / name)]
        ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=full, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout) == (code, b"" if code else b"A LINE OF TEXT\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_part_of_the_output(tmp_path: Path, number: signal.Signals, code: int) -> None:
    (tmp_path / "in.txt").write_text("one\ntwo\nwait\nfour\n")
    (tmp_path / "out.txt").write_text("before\n")
    with start(str(tmp_path / "in.txt"), "--output", str(tmp_path / "out.txt")) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"waiting\n"
        assert len(os.listdir(tmp_path)) == 3, "the temporary file"
        process.send_signal(number)
        assert process.stderr.read() == b"verto: stopped\n"
        assert process.wait(PATIENCE) == code
    assert sorted(os.listdir(tmp_path)) == ["in.txt", "out.txt"]
    assert (tmp_path / "out.txt").read_text() == "before\n"


def test_a_conversation_is_answered_line_by_line_and_ended_by_ctrl_c() -> None:
    with start() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for text in (b"one", b"two"):
            process.stdin.write(text + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == text.upper() + b"\n"
        process.send_signal(signal.SIGINT)  # while it waits for the next line, standard input still open
        assert process.stderr.read() == b"verto: stopped\n"
        assert process.wait(PATIENCE) == 130
