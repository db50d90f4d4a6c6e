"""Files that are whole or absent, and folders that one process at a time works in.

Knows: paths, bytes, locks of the operating system (POSIX). Must not know: what the bytes mean.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from training.errors import ResumeError

_LOCK = ".lock"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step: a reader, or a crash, never sees a part of it.

    Raises `OSError`, which names `path` also where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with no content behind it
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        is_held = os.path.samestat(os.fstat(lock.fileno()), (folder / _LOCK).stat())
    except (BlockingIOError, FileNotFoundError):
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
