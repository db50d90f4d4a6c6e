"""Files that are whole or absent, and standard output: where a command's lines go.

A named file is written beside its place under a temporary name and renamed at the end, so that neither a
fault nor Ctrl-C leaves half of one, or harms the one before. Knows bytes and gzip; must not know what the
lines mean.
"""

import contextlib
import errno
import gzip
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

# As the gzip program's: half the time of Python's default of 9, and files that are hardly larger.
_GZIP_LEVEL = 6
_KEPT_OF_NAME = 40  # characters, of up to four bytes each


class LineOutput(Protocol):
    """Takes lines until `commit`; a `with` block that is left without it undoes what can be undone."""

    def write(self, line: str) -> None: ...

    def flush(self) -> None: ...

    def commit(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class StandardOutput:
    """Lines to standard output. What was written stays written."""

    def __init__(self) -> None:
        self._stream = sys.stdout.buffer

    def write(self, line: str) -> None:
        with _naming("standard output"):
            self._stream.write(_encoded(line))

    def flush(self) -> None:
        """Whoever reads at the other end sees all lines so far. Raises BrokenPipeError when nobody does."""
        with _naming("standard output"):
            self._stream.flush()

    def commit(self) -> None:
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            _discard_rest_of_standard_output()


class WholeFile:
    """A file that appears, complete, with `commit`; compressed when its name ends with `.gz`.

    A device, a pipe, or a file that is open already, as `/dev/stdout`, is written as it comes. Every OSError
    names the file that was asked for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _naming(str(path)):
            _check_place(path)
            self._place = path.resolve()  # through a link: its target is replaced, not the link
            self._temporary = None if _is_special(path) else _temporary_name(self._place)
            self._raw = _opened(self._temporary or path)
        self._stream = _compressed(self._raw) if path.suffix == ".gz" else self._raw

    def write(self, line: str) -> None:
        with _naming(str(self._path)):
            self._stream.write(_encoded(line))

    def flush(self) -> None:
        """Nobody reads it yet."""

    def commit(self) -> None:
        """The file takes its place, with the permissions of the one before."""
        with _naming(str(self._path)):
            self._close()
            if self._temporary is not None:
                if self._place.exists():
                    self._temporary.chmod(stat.S_IMODE(self._place.stat().st_mode))
                self._temporary.replace(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing flushes, which fails again on a full disk: that fault has been told already.
        with contextlib.suppress(OSError):
            self._close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._raw.close()  # gzip leaves the file below it open


class OutputSeries:
    """Lines of several inputs: to one output all together, or to as many outputs as there are inputs.

    `places` holds one path or one per input; None is standard output. Outputs are opened in turn, the first
    at once, and each is complete as soon as a line of the next input comes.
    """

    def __init__(self, places: Sequence[Path | None]) -> None:
        self._places = places
        self._index = 0
        self._current = _open_output(places[0])

    @property
    def is_standard_output(self) -> bool:
        return None in self._places

    def write(self, input_index: int, line: str) -> None:
        self._advance(self.place_of(input_index))
        self._current.write(line)

    def place_of(self, input_index: int) -> int:
        """The output, from 0, that lines of this input go to."""
        return min(input_index, len(self._places) - 1)

    def flush(self) -> None:
        self._current.flush()

    def commit(self) -> None:
        """All that was begun is complete, and inputs without a line have an empty output."""
        self._advance(len(self._places) - 1)
        self._current.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current.__exit__(kind, error, trace)

    def _advance(self, index: int) -> None:
        while self._index < index:
            self._current.commit()
            self._index += 1
            self._current = _open_output(self._places[self._index])


@contextlib.contextmanager
def made(folder: Path | None) -> Iterator[None]:
    """The folder is there in the block; after a fault one that was made for it, and is empty, goes again."""
    if folder is None or folder.is_dir():
        yield
        return
    folder.mkdir()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


def _open_output(place: Path | None) -> LineOutput:
    return StandardOutput() if place is None else WholeFile(place)


def _encoded(line: str) -> bytes:
    return line.encode("utf-8") + b"\n"


def _compressed(raw: BinaryIO) -> BinaryIO:
    """Without name and time, so that equal lines make equal files."""
    return gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0)  # type: ignore[return-value]


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist")


def _is_special(path: Path) -> bool:
    """A device, a pipe, an open file: to rename something over it would replace it."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file())


def _opened(path: Path) -> BinaryIO:
    """To open the file behind `/dev/stdout` once more would empty it, and write from its beginning."""
    descriptor = _descriptor(path)
    return path.open("wb") if descriptor is None else open(os.dup(descriptor), "wb")


def _descriptor(path: Path) -> int | None:
    """The open file that a name such as `/dev/stdout`, or a shell's `>(gzip > out.gz)`, stands for."""
    whole = os.path.abspath(path)
    folder, number = os.path.split(whole)
    if folder in ("/dev/fd", "/proc/self/fd") and number.isdecimal():
        return int(number)
    return {"/dev/stdout": 1, "/dev/stderr": 2}.get(whole)


def _temporary_name(place: Path) -> Path:
    """Of the name only the beginning: a longer one than the file's own would not always be allowed."""
    return place.with_name(f".{place.name[:_KEPT_OF_NAME]}.{secrets.token_hex(4)}.tmp")


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """An OSError of the block, as the same kind of error that says which output it is about."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), name) from None


def _discard_rest_of_standard_output() -> None:
    """What is still in the buffer could not be written; the interpreter would try once more and complain."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
