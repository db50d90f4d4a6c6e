"""Files that are whole or absent, and folders that one process at a time works in.

Knows: paths, bytes, locks of the operating system (POSIX). Must not know: what the bytes mean.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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

    Raises `ResumeError` when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResumeError(f"{folder}: another process works in this folder") from error
        yield


@contextmanager
def only_user(folder: Path) -> Iterator[None]:
    """`held`, of a folder that is all ours: what a killed process left half written is removed."""
    with held(folder):
        for left_over in folder.rglob(".*.tmp"):
            if left_over.is_file():
                left_over.unlink()
        yield
