"""The raw files of a recipe in one folder: there, whole, and the ones that the recipe was written for.

    beside the recipe, or in a folder of yours, or downloaded  ->  checked  ->  RAW/NAME

Knows: where a raw file may come from, its checksum and its size. Must not know: HTTP, what is in the files.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from training.errors import SourceError
from training.files import new_file, write_atomically
from training.sources.config import RawFile
from training.sources.download import OnBytes, Wanted, client, download, sha256_of

NOTED = "checksums.json"
_ANOTHER = "not the file that the recipe was written for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of the recipe, of the raw files and of the corpora."""

    recipe: Path
    raw: Path
    data: Path


class Listener(Protocol):
    """Whoever shows how far the work is."""

    def say(self, line: str) -> None: ...

    def receiving(self, name: str) -> AbstractContextManager[OnBytes]:
        """A bar for one download; called with bytes so far, and of how many."""
        ...


def bring(
    names: Iterable[str],
    files: Mapping[str, RawFile],
    places: Places,
    listener: Listener,
    *,
    offline: bool = False,
) -> dict[str, str]:
    """See to it that these raw files lie in `places.raw`; the SHA-256 of each.

    What is there is checked and kept; a copy of a local file is made again when that has changed. Raises
    `SourceError` for a file that cannot be had, or is another one.
    """
    places.raw.mkdir(parents=True, exist_ok=True)
    with client() as http:
        bringer = _Bringer(places, listener, None if offline else http)
        return {name: bringer.bring(name, files[name]) for name in names}


class _Bringer:
    """Brings one raw file after the other. `http` None: nothing is downloaded."""

    def __init__(self, places: Places, listener: Listener, http: httpx.Client | None) -> None:
        self._places, self._listener, self._http = places, listener, http
        self._noted = _noted(places.raw)

    def bring(self, name: str, raw: RawFile) -> str:
        place = self._places.raw / name
        if raw.path is not None:
            return self._local(self._places.recipe / raw.path, place, raw)
        demanded = raw.sha256 or self._noted.get(name)
        if place.exists():
            found = _checked(place, demanded, raw.size)
        else:
            found = self._downloaded(Wanted(str(raw.url), demanded, raw.size), place)
        if raw.sha256 is None:
            self._note(name, found)
        return found

    def _local(self, origin: Path, place: Path, raw: RawFile) -> str:
        """The copy is as the original is now: somebody who edits that wants the edited text."""
        if not origin.is_file():
            return self._without_original(origin, place, raw)
        found = _checked(origin, raw.sha256, raw.size, _ANOTHER)
        if place.exists():
            if sha256_of(place) == found:
                return found
            self._listener.say(f"{place.name}: copied again, {origin} has changed")
        return _copied(origin, place, raw)

    def _without_original(self, origin: Path, place: Path, raw: RawFile) -> str:
        if not place.exists():
            raise SourceError(f"{origin}: is not there; the recipe names it for {place.name}")
        self._listener.say(f"{origin}: is not there; {place} is used as it is")
        return _checked(place, raw.sha256, raw.size, _ANOTHER)

    def _downloaded(self, wanted: Wanted, place: Path) -> str:
        if self._http is None:
            fault = "is not there, and nothing may be downloaded; put it there by hand, from"
            raise SourceError(f"{place}: {fault} {wanted.url}")
        self._listener.say(f"downloading {wanted.url}")
        with self._listener.receiving(place.name) as on_bytes:
            return download(wanted, place, self._http, on_bytes)

    def _note(self, name: str, found: str) -> None:
        """Trust on first use: of a file whose checksum the recipe does not know, the first one counts."""
        if name in self._noted:
            return
        self._noted[name] = found
        content = json.dumps(self._noted, indent=1, sort_keys=True) + "\n"
        write_atomically(self._places.raw / NOTED, content.encode())
        self._listener.say(f"{name}: the recipe knows no checksum; noted in {NOTED}: {found}")


def _checked(
    place: Path, demanded: str | None, size: int | None, advice: str = "remove it, and it is fetched again"
) -> str:
    """The SHA-256. Raises `SourceError` where it, or the size, is not the one that is demanded."""
    there = place.stat().st_size
    if size is not None and size != there:
        raise SourceError(f"{place}: must have {size:,} bytes, has {there:,}; {advice}")
    found = sha256_of(place)
    if demanded not in (None, found):
        raise SourceError(f"{place}: SHA-256 must be {demanded}, got {found}; {advice}")
    return found


def _copied(origin: Path, place: Path, raw: RawFile) -> str:
    with new_file(place) as file:
        _copy(origin, Path(file.name), place)
        return _checked(Path(file.name), raw.sha256, raw.size, _ANOTHER)


def _copy(origin: Path, temporary: Path, place: Path) -> None:
    try:
        shutil.copyfile(origin, temporary)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, error.strerror, str(place)) from error  # Python names the original


def _noted(raw_folder: Path) -> dict[str, str]:
    path = raw_folder / NOTED
    try:
        noted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(noted, dict) or not all(isinstance(one, str) for one in noted.values()):
            raise ValueError("no object of names and checksums")
    except ValueError as error:
        raise SourceError(f"{path}: not what was written there ({error}); remove it") from error
    return noted
