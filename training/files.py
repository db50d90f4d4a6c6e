"""Files that are whole or absent, and folders that one process at a time works in.

Knows: paths, bytes, locks of the operating system (POSIX). Must not know: what the bytes mean.
"""

from __future__ import annotations

import fcntl
import glob
import os
import secrets
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, TextIO

from training.errors import ResumeError

_LOCK = ".lock"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step: a reader, or a crash, never sees a part of it.

    Raises `OSError`, which names `path` also where the disk is full.
    """
    with naming(path), new_file(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # or a power cut could leave the new name with no content behind it


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path`, whole, when the block ends well, and is gone otherwise.

    Meanwhile it is hidden beside that place, and locked. So what killed processes left there, when they wrote
    the same file, can be told from what living ones write, and is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _locked(temporary) as file:
            yield file
            file.flush()
            temporary.replace(path)  # while it is locked: nobody takes it for left over
    finally:
        temporary.unlink(missing_ok=True)


def _locked(temporary: Path) -> BinaryIO:
    """A new file that is locked until it is closed, or its process ends, however that ends."""
    while True:
        file = temporary.open("wb")
        with suppress(OSError):  # a file system without locks: nobody gets one then, to remove the file
            fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(temporary, file):
            return file
        file.close()  # somebody took it for left over, between our opening it and locking it


def _remove_left_over(path: Path) -> None:
    """Temporary files for `path` that no living process holds."""
    begin, end = f".{path.name}.", ".tmp"
    for found in path.parent.glob(f"{glob.escape(begin)}*{end}"):
        token = found.name.removeprefix(begin).removesuffix(end)
        if set(token) <= set(string.hexdigits) and found.is_file():
            _remove_unless_locked(found)


def _remove_unless_locked(path: Path) -> None:
    with suppress(OSError), path.open("r+b") as file:  # it may be locked, or gone by now
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(path, file):
            path.unlink()


def _is_at(path: Path, file: IO[bytes] | TextIO) -> bool:
    """Whether the name still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def naming(place: Path) -> Iterator[None]:
    """A fault of the system that names no file, as that of a full disk, names `place`."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(place)) from error


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it for this process alone. The lock ends with the process, however that ends.

    A block that fails before it has made anything leaves nothing that was not there before. Raises
    `ResumeError` when another process holds the folder.
    """
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    before = set() if new else set(os.listdir(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        _hold(lock, folder)
        try:
            yield
        except BaseException:
            if _LOCK not in before and set(os.listdir(folder)) - {_LOCK} <= before:
                _remove(folder / _LOCK, new)
            raise


def _hold(lock: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed it, between our opening it and here: then it holds nobody off.
        is_held = _is_at(folder / _LOCK, lock)
    except BlockingIOError:
        is_held = False
    if not is_held:
        raise ResumeError(f"{folder}: another process works in this folder")


def _remove(lock: Path, folders: Sequence[Path]) -> None:
    """`folders` from the innermost outwards, as far as they are empty."""
    with suppress(OSError):
        lock.unlink()
        for folder in folders:
            folder.rmdir()


@contextmanager
def only_user(folder: Path) -> Iterator[None]:
    """`held`, of a folder that is all ours: what a killed process left half written is removed."""
    with held(folder):
        for left_over in folder.rglob(".*.tmp"):
            if left_over.is_file():
                left_over.unlink()
        yield
