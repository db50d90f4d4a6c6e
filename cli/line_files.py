"""Files of lines to read: plain or gzip, named or standard input, checked to the end before work begins.

A line ends with "\\n" and nothing else, so that as many lines come out as go in; a "\\r" before it is part of
the line. Knows bytes, gzip and UTF-8; must not know what the lines are for.
"""

import errno
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE_BYTES = 1 << 24
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BYTE_ORDER_MARK = "\ufeff"


class LineFileError(OSError):
    """What is wrong with a file, as an OSError that names it: `NAME: line 3, byte 7: …`."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(errno.EINVAL, fault, name)


@dataclass(frozen=True, slots=True)
class LineFile:
    """A file of lines; `path` None is standard input."""

    path: Path | None

    @classmethod
    def named(cls, argument: str) -> "LineFile":
        """The file that a command line names; `-` is standard input."""
        return cls(None if argument == "-" else Path(argument))

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else str(self.path)

    def status(self) -> os.stat_result | None:
        """What the system says of the file; None for a standard input that is no file."""
        if self.path is not None:
            return self.path.stat()
        descriptor = _standard_descriptor()
        return None if descriptor is None else os.fstat(descriptor)

    def is_terminal(self) -> bool:
        """Whether somebody types the lines."""
        descriptor = _standard_descriptor() if self.path is None else None
        return descriptor is not None and os.isatty(descriptor)

    def lines(self) -> Iterator[str]:
        """The lines without their ends. Raises LineFileError naming line and byte, OSError."""
        with self._open() as stream:
            for number, raw in enumerate(self._raw_lines(stream), 1):
                yield self._text(number, raw)

    def unmarked_lines(self) -> Iterator[str]:
        """The same without a byte order mark, which some editors write: it is no text."""
        for number, line in enumerate(self.lines()):
            yield line if number else line.removeprefix(_BYTE_ORDER_MARK)

    def count_checked(self) -> int | None:
        """The number of lines, every one of them checked; None for a pipe, which can be read only once.

        Raises what `lines` raises: a fault in the last line shows before hours have gone into the others.
        """
        status = self.status()
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.name)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        with _position_kept(_standard_descriptor() if self.path is None else None):
            return sum(1 for _ in self.lines())

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with _standard_input() if self.path is None else self.path.open("rb") as raw:
            # `peek` reads once: of a slow pipe there may be a single byte so far.
            start = raw.peek(2)[:2]
            if start == GZIP_MAGIC or start == GZIP_MAGIC[:1]:
                with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
                    yield stream  # type: ignore[misc]
            elif self.path is not None and self.path.suffix == ".gz":
                raise LineFileError(self.name, "is named .gz but is not gzip")
            else:
                yield raw

    def _raw_lines(self, stream: BinaryIO) -> Iterator[bytes]:
        number = 0
        while raw := self._read_line(stream, number := number + 1):
            if len(raw) > MAX_LINE_BYTES:
                raise LineFileError(self.name, f"line {number}: longer than {MAX_LINE_BYTES:,} bytes")
            yield raw.removesuffix(b"\n")

    def _read_line(self, stream: BinaryIO, number: int) -> bytes:
        try:
            return stream.readline(MAX_LINE_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise LineFileError(self.name, f"line {number}: broken gzip data ({error})") from None

    def _text(self, number: int, raw: bytes) -> str:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if number == 1 and raw.startswith(_UTF_16_MARKS):
                raise LineFileError(self.name, "is UTF-16; UTF-8 is needed") from None
            raise self._byte_fault(number, error.start, raw, "not UTF-8") from None
        if "\0" in text:
            raise self._byte_fault(number, raw.index(0), raw, "NUL does not belong in a text")
        return text

    def _byte_fault(self, number: int, offset: int, raw: bytes, fault: str) -> LineFileError:
        return LineFileError(self.name, f"line {number}, byte {offset + 1} (0x{raw[offset]:02x}): {fault}")


def same_file(left: os.stat_result | None, right: os.stat_result | None) -> bool:
    """Whether both are one regular file: to write it while it is being read would destroy it."""
    if left is None or right is None or not stat.S_ISREG(left.st_mode):
        return False
    return os.path.samestat(left, right)


def _standard_descriptor() -> int | None:
    """Raises LineFileError for a standard input that was closed, as with `<&-`."""
    if sys.stdin is None:
        raise LineFileError("standard input", "is closed")
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):  # replaced by an object that is no file
        return None


def _standard_input() -> io.BufferedReader:
    """Standard input with a buffer of its own.

    A thread that waits in `sys.stdin.buffer` holds its lock, and the interpreter could not end after Ctrl-C.
    """
    descriptor = _standard_descriptor()
    if descriptor is None:
        return io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    return open(descriptor, "rb", closefd=False)


@contextmanager
def _position_kept(descriptor: int | None) -> Iterator[None]:
    """Standard input is read from where it stands, and afterwards stands there again."""
    if descriptor is None:
        yield
        return
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    yield
    os.lseek(descriptor, start, os.SEEK_SET)
