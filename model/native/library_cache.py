"""Built libraries in a folder: under which names, whether one is what was once put there, how one gets there.

Knows: files, digests, locks. Must not know: compilers, levels, what a library holds.

    NAME.so      the library          NAME.json   its SHA-256 and size, and which compiler made it
    NAME.lock    held by who builds   .NAME.*.partial   being built; under its own name once it is whole

What a digest proves is that the file is whole. That nobody else has put it there follows from its owner.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK_SECONDS = 600.0  # many times what a build takes, on a slow machine too
_LOOK_SECONDS = 0.1
_PARTIAL = ".partial"


class CacheError(Exception):
    """A file of the cache is not what it should be, or the folder cannot be used; says which and why."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is noted of a library. `size` in bytes."""

    sha256: str
    size: int
    compiler: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One library of a cache, whether it is there or not."""

    folder: Path
    name: str

    @property
    def library(self) -> Path:
        return self.folder / f"{self.name}.so"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def exists(self) -> bool:
        """Whether anything of it is there. Raises `CacheError` for a folder that may not be looked into."""
        try:
            # Not `Path.exists`, for which what may not be looked at is not there.
            return any(file.name in (self.library.name, self.record.name) for file in self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def verify(self) -> Record:
        """Compare the library with its record. Raises `CacheError`."""
        record = _read_record(self.record)
        try:
            _check_owner(self.library)
            with self.library.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unusable(self.library, error) from error
        if digest != record.sha256:
            raise CacheError(f"{self.library}: its SHA-256 is not the one in {self.record.name}")
        return record

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within it nobody else builds this library. Waits, for ten minutes at most. Raises `CacheError` for
        a folder that is not ours to write, and for who builds longer."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _not_to_be_written(self.folder, error) from error
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        """The kernel takes a lock back when its process ends; one that is stopped keeps it."""
        until = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < until:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_SECONDS)
            except OSError as error:  # as on a network's disk that has no locks
                raise _not_to_be_written(self.folder, error) from error
        raise CacheError(
            f"{self.folder / self.name}.lock: held by another process for {LOCK_SECONDS:g} s; "
            "end the one that builds kernels, or set VERTO_CACHE_DIR to another folder"
        )

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """A name to build under; gone afterwards unless `publish` has moved it. Hold the lock."""
        try:
            yield self.folder / f".{self.name}.{os.getpid()}{_PARTIAL}"
        finally:
            for leftover in self.folder.glob(f".{self.name}.*{_PARTIAL}"):  # also of one that was killed
                _remove(leftover)

    def publish(self, built: Path, compiler: str) -> Record:
        """Give what was built its name, and note what it is. Raises `CacheError`."""
        try:
            content = built.read_bytes()
            record = Record(hashlib.sha256(content).hexdigest(), len(content), compiler)
            built.chmod(0o755)
            note = built.with_suffix(f".json{_PARTIAL}")
            note.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
            note.chmod(0o644)  # by many users' umask the group could write it, and then nobody believes it
            _through_to_the_disk(built)
            # Between the two a reader finds a wrong digest; it asks again once it holds the lock.
            built.replace(self.library)
            note.replace(self.record)
        except OSError as error:
            raise _not_to_be_written(self.folder, error) from error
        return record


def _read_record(path: Path) -> Record:
    try:
        _check_owner(path)
        record = Record(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _unusable(path, error) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise CacheError(f"{path}: not a record of a library ({error})") from error
    if type(record.size) is not int:  # a wrong digest is found out, and the compiler's name is only shown
        raise CacheError(f"{path}: not a record of a library (its size is {record.size!r})")
    return record


def _check_owner(path: Path) -> None:
    """A library is a program: whoever could have put it there could run anything as this user."""
    found = path.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # of a pipe the end never comes
        raise CacheError(f"{path}: not a file")
    if found.st_uid not in (0, os.geteuid()):
        raise CacheError(f"{path}: belongs to user {found.st_uid}, not to this one ({os.geteuid()})")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(f"{path}: may be written by others (mode {stat.S_IMODE(found.st_mode):o})")


def _through_to_the_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _unusable(path: Path, error: OSError) -> CacheError:
    if isinstance(error, FileNotFoundError):
        return CacheError(f"{path}: missing")
    return CacheError(f"{path}: {error.strerror or type(error).__name__}")


def _not_to_be_written(folder: Path, error: OSError) -> CacheError:
    """Names what could not be written: of a rename, what stands in its way."""
    where = error.filename2 or error.filename or folder
    way_out = "make room for built kernels there, or set VERTO_CACHE_DIR to another folder"
    return CacheError(f"{where}: {error.strerror or type(error).__name__}; {way_out}")


def _remove(leftover: Path) -> None:
    """As far as that can be done; the next build tries again."""
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        with suppress(OSError):
            leftover.unlink()
