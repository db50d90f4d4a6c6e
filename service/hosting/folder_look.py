"""One look at the models' folder: which bundles lie there, whether they are whole, whether they have changed.

Cheap enough for every few seconds, on a volume of the network too: a directory, each manifest, and the sizes
and times of the files that it lists. What the files hold is read only when a bundle is loaded. Knows files;
must not know what is served. May block.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from model.bundle_head import listed
from model.manifest import MANIFEST_FILE, BundleError, Manifest
from service.hosting.bundle_folders import BundleFolders


@dataclass(frozen=True, slots=True)
class Sighting:
    """`digest` is the manifest's; `fingerprint` differs once any of the files does; `fault` says what is not
    whole (yet)."""

    digest: str
    fingerprint: Hashable
    fault: str | None


def look(folders: BundleFolders) -> dict[str, Sighting]:
    """By the folders' names. Raises OSError where the models' folder cannot be read."""
    return {name: _sighting(folders, folders.root / name) for name in folders.names()}


def _sighting(folders: BundleFolders, path: Path) -> Sighting:
    try:
        manifest = listed(path)
    except BundleError as error:
        return Sighting("", _stat(path / MANIFEST_FILE), folders.told(error))
    fault = _fault(path, manifest)
    stats = tuple(_stat(path / name) for name in manifest.files)
    return Sighting(manifest.digest, (manifest.digest, stats), fault)


def _fault(path: Path, manifest: Manifest) -> str | None:
    for name, entry in manifest.files.items():
        stat = _stat(path / name)
        if stat is None:
            return f"{path.name}/{name}: missing"
        if stat[0] != entry.size:
            return f"{path.name}/{name}: has {stat[0]} bytes where {MANIFEST_FILE} says {entry.size}"
    return None


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
