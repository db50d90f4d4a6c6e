"""Standard error as something that may be deaf: closed, full, or a pipe that nobody reads.

Knows streams; must not know what is said.
"""

import contextlib
import io
import os
import sys


def speak_anyhow() -> None:
    """Until the process ends, what cannot be said on standard error is lost, and no reason to fail."""
    if sys.stderr is None:  # was closed, as with `2>&-`
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the command runs
        return
    buffer = getattr(sys.stderr, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # under PYTHONUNBUFFERED there is no buffer between
    if type(raw) is io.FileIO and not isinstance(sys.stderr, _MayBeDeaf):
        # Without a buffer, which would keep what could not be written and fail once more at the end.
        file = io.FileIO(raw.fileno(), "w", closefd=False)
        sys.stderr = _MayBeDeaf(file, sys.stderr.encoding, "backslashreplace", write_through=True)


class _MayBeDeaf(io.TextIOWrapper):
    """Takes everything, and hands on what the file below can take."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()
