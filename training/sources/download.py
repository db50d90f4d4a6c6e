"""One file over HTTP: goes on where it stopped, waits and tries again, is whole and checked or absent.

    NAME.part       what has come so far; kept when the connection, the disk or the user ends it
    NAME.part.tag   the server's mark of that version, so that halves of two versions are never put together
    NAME            only once everything is there and its checksum is right

Knows: HTTP's ranges (RFC 9110, section 14) and conditions (13.1.5), disks that are full. Must not know:
recipes, what the bytes are for.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from training.errors import SourceError
from training.files import write_atomically

ATTEMPTS = 5  # in a row that bring no byte
_TIMEOUT_SECONDS = 30.0
_MAX_WAIT_SECONDS = 60.0
_SPARE_BYTES = 64 << 20  # what a disk should still have when the file is on it
_TRANSIENT = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}

OnBytes = Callable[[int, int | None], None]  # bytes so far, and of how many, if that is known


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file and what is known of it."""

    url: str
    sha256: str | None = None
    size: int | None = None


class _Unfinished(Exception):
    """The connection ended too early; what came is kept. `wait_seconds`: the server's own wish."""

    def __init__(self, why: str, wait_seconds: float | None = None) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(why)


class _StartAgain(Exception):
    """What has come cannot be gone on from."""


def client() -> httpx.Client:
    """Follows redirections; asks for bytes as they are stored, since those are what a checksum is of."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "verto"}
    return httpx.Client(follow_redirects=True, timeout=_TIMEOUT_SECONDS, headers=headers)


def download(
    wanted: Wanted,
    place: Path,
    http: httpx.Client,
    on_bytes: OnBytes = lambda done, total: None,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Bring the file to `place`; its SHA-256, in hexadecimal.

    Raises `SourceError`: the server refuses, is silent, or sends another file; the disk has no room. What has
    come by then is gone on from by the next call, unless it was wrong.
    """
    partial = _Partial(place, may_mix=wanted.sha256 is not None)
    place.parent.mkdir(parents=True, exist_ok=True)
    resumed = partial.size > 0
    # An earlier call may have ended between the last byte and the renaming.
    if not (resumed and sha256_of(partial.path) == wanted.sha256):
        _receive_all(wanted, partial, http, on_bytes, pause)
    found = sha256_of(partial.path)
    if resumed and _fault(wanted, partial.size, found):  # the earlier part may be of an older version
        partial.discard()
        _receive_all(wanted, partial, http, on_bytes, pause)
        found = sha256_of(partial.path)
    if fault := _fault(wanted, partial.size, found):
        partial.discard()
        why = "not the file that the recipe was written for (removed again)"
        raise SourceError(f"{wanted.url}: {fault}: {why}")
    partial.complete()
    return found


def _fault(wanted: Wanted, size: int, sha256: str) -> str | None:
    """What is not as it was wanted. A server need not say beforehand how much it will send."""
    if wanted.size is not None and size != wanted.size:
        return f"must have {wanted.size:,} bytes, {size:,} came"
    if wanted.sha256 not in (None, sha256):
        return f"SHA-256 must be {wanted.sha256}, got {sha256}"
    return None


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Partial:
    """What has come of a file so far."""

    def __init__(self, place: Path, *, may_mix: bool) -> None:
        """`may_mix`: a checksum will tell if halves of two versions were put together."""
        self.place, self._may_mix = place, may_mix
        self.path = place.with_name(f"{place.name}.part")
        self._tag = place.with_name(f"{place.name}.part.tag")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the rest of the same version; none where everything is asked for."""
        tag = self._tag.read_text(encoding="utf-8") if self._tag.exists() else None
        if self.size == 0 or (tag is None and not self._may_mix):
            return {}
        return {"Range": f"bytes={self.size}-", **({"If-Range": tag} if tag else {})}

    def mark(self, response: httpx.Response) -> None:
        """Remember the version; a weak tag ("W/…") promises no equal bytes, and a request is all ASCII."""
        tag = response.headers.get("ETag", "")
        if tag and tag.isascii() and not tag.startswith("W/"):
            write_atomically(self._tag, tag.encode())
        else:
            self._tag.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def complete(self) -> None:
        self.path.replace(self.place)
        self._tag.unlink(missing_ok=True)


def _receive_all(
    wanted: Wanted,
    partial: _Partial,
    http: httpx.Client,
    on_bytes: OnBytes,
    pause: Callable[[float], None],
) -> None:
    """Until everything is there; gives up after `ATTEMPTS` in a row without progress."""
    failures = 0
    while True:
        before = partial.size
        try:
            return _receive(wanted, partial, http, on_bytes)
        except _StartAgain:
            partial.discard()
            failures += 1
            why, wait_seconds = "the server cannot go on from what is here", 0.0
        except (_Unfinished, httpx.TransportError) as error:
            failures = 1 if partial.size > before else failures + 1
            asked = error.wait_seconds if isinstance(error, _Unfinished) else None
            why = str(error) or type(error).__name__
            wait_seconds = float(2 ** (failures - 1)) if asked is None else asked
        if failures >= ATTEMPTS:
            raise SourceError(
                f"{wanted.url}: {why} ({ATTEMPTS} times in a row); {partial.size:,} bytes are here, and the "
                "same command goes on from them"
            )
        pause(min(wait_seconds, _MAX_WAIT_SECONDS))


def _receive(wanted: Wanted, partial: _Partial, http: httpx.Client, on_bytes: OnBytes) -> None:
    """One request. Raises `_Unfinished`, `_StartAgain`, httpx.TransportError, `SourceError`."""
    try:
        with http.stream("GET", wanted.url, headers=partial.conditions()) as response:
            start = _start(wanted, partial, response)
            total = _total(start, response, wanted)
            _check_room(partial, start, total)
            partial.mark(response)
            _write(response, partial, start, total, on_bytes)
    except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise SourceError(f"{wanted.url}: {error}") from error
    if total is not None and partial.size < total:
        raise _Unfinished(f"only {partial.size:,} of {total:,} bytes came")


def _start(wanted: Wanted, partial: _Partial, response: httpx.Response) -> int:
    """Where in the file the answer begins: at what was asked for, or at 0 when the whole comes."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return 0
    if status == HTTPStatus.PARTIAL_CONTENT:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {partial.size}-"):
            raise _StartAgain
        return partial.size
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise _StartAgain
    if status in _TRANSIENT:
        raise _Unfinished(f"the server answers {status}", _wish(response))
    raise SourceError(f"{wanted.url}: the server answers {status} {response.reason_phrase}".rstrip())


def _wish(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds; a date there is not worth the reading."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _total(start: int, response: httpx.Response, wanted: Wanted) -> int | None:
    """Of the whole file. The answer may end before that does: a server need not send all of a range."""
    length, whole = response.headers.get("Content-Length", ""), ""
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        whole = response.headers["Content-Range"].partition("/")[2].strip()
    told = int(whole) if whole.isdecimal() else None
    total = start + int(length) if told is None and length.isdecimal() else told
    if wanted.size is not None and total not in (None, wanted.size):
        fault = f"must have {wanted.size:,} bytes, the server has {total:,}"
        raise SourceError(f"{wanted.url}: {fault}: not the file that the recipe was written for")
    return wanted.size if total is None else total


def _check_room(partial: _Partial, start: int, total: int | None) -> None:
    """A disk that will be full is told at the beginning, not after an hour."""
    free = shutil.disk_usage(partial.path.parent).free + (partial.size - start)
    if total is not None and total - start + _SPARE_BYTES > free:
        need = total - start + _SPARE_BYTES
        fault = f"needs {need:,} bytes of room, {free:,} are free"
        raise SourceError(f"{partial.place}: {fault}; make room, or name another folder with --raw")


def _write(
    response: httpx.Response, partial: _Partial, start: int, total: int | None, on_bytes: OnBytes
) -> None:
    done = start
    try:
        with partial.path.open("ab" if start else "wb") as file:
            for chunk in response.iter_raw():  # of a size, it would lose its part of one with the connection
                file.write(chunk)
                done += len(chunk)
                on_bytes(done, total)
    except OSError as error:
        raise SourceError(_full_disk(error, partial)) from error


def _full_disk(error: OSError, partial: _Partial) -> str:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"{partial.path}: {error.strerror or error}"
    more = "make room, and the same command goes on from there"
    return f"{partial.place}: no room on the disk after {partial.size:,} bytes; {more}"
