"""How a command that works on files ends before its time: a failure, Ctrl-C, a reader that has gone.

    the work failed 1    Ctrl-C 130    SIGTERM 143    SIGHUP 129    closed pipe 141

128 and the signal's number, as shells count; cli/main.py sees to 2, for wrong options and input.

Each as an exception that unwinds the `with` blocks, so that temporary files are removed and engines closed.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_CLOSED_PIPE = 128 + 13


class CommandFailed(Exception):
    """The work went wrong, through no fault of options or input; the message says what."""


class Stopped(SystemExit):
    """A signal asked for the end. A SystemExit, since an event loop lets nothing else through at once."""


def end_with_sigterm() -> None:
    """Until somebody handles it otherwise, SIGTERM ends the command; also as a container's first process,
    which the kernel spares every signal that it does not handle itself."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _stop)


@contextmanager
def orderly_end(hint: str = "", *, once: bool = False) -> Iterator[None]:
    """In the block signals raise `Stopped`; that, and a closed pipe, end the command with their exit code.

    `hint` is what the user may do next, if there is more to say than that the command has stopped. With
    `once` the first signal counts and later ones are ignored, also behind the block: the program ends there.
    """
    # What was ignored stays ignored: under nohup the hang-up is.
    caught = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _stop_once if once else _stop) for number in caught}
    try:
        yield
    except Stopped as stopped:
        typer.echo(f"verto: stopped{hint and f'; {hint}'}", err=True)
        raise typer.Exit(int(str(stopped.code))) from None
    except CommandFailed as failed:
        typer.echo(f"verto: {failed}", err=True)
        raise typer.Exit(1) from None
    except BrokenPipeError:
        raise typer.Exit(_CLOSED_PIPE) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, _hear_no_more if once else handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(128 + number)


def _stop_once(number: int, frame: FrameType | None) -> None:
    for one in _SIGNALS:
        signal.signal(one, _hear_no_more)
    raise Stopped(128 + number)


def _hear_no_more(number: int, frame: FrameType | None) -> None:
    """In place of SIG_IGN: of a signal that came just before that, Python prints a traceback."""
