"""Whether a file is still the one that was read.

Knows: sizes, times, SHA-256. Must not know: what the files are for.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.errors import CorpusError


class Fingerprint(BaseModel):
    """What a file was when it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_bytes: int
    modified_ns: int  # nanoseconds since 1970
    sha256: str


def fingerprint(path: Path) -> Fingerprint:
    """Reads the whole file. Raises `CorpusError` when that cannot be done."""
    try:
        stat = path.stat()
        return Fingerprint(num_bytes=stat.st_size, modified_ns=stat.st_mtime_ns, sha256=_sha256(path))
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error


def is_unchanged(path: Path, before: Fingerprint) -> bool:
    """Whether size and time, or else size and content, are those of before. Raises `CorpusError`."""
    try:
        stat = path.stat()
        if stat.st_size != before.num_bytes:
            return False
        return stat.st_mtime_ns == before.modified_ns or _sha256(path) == before.sha256
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
