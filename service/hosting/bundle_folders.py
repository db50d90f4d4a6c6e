"""The bundles that lie in the models' folder: found by the folder's name, described without their weights.

Knows names, files and sizes; must not know engines or what is served. Everything here may block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.bundle_config import CONFIG_FILE, parse_config
from model.bundle_head import list_bundles, listed, verify_bundle
from model.manifest import BundleError, describe, read_bytes
from model.stored_sizes import num_stored_weights
from service.engine.weight_memory import largest_cache, weight_bytes
from service.errors import FieldFault, InvalidRequest
from service.settings import Settings

WHOLE = "."  # the models' folder itself, where that is the only bundle
MAX_LISTED = 50
# Python, torch and their libraries in an engine's process of its own.
PROCESS_BYTES = 250_000_000


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a model is expected to take: at the most, but for what a device needs besides."""

    weights: int
    cache: int
    process: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.process

    def __str__(self) -> str:
        parts = (("weights", self.weights), ("keys and values", self.cache), ("its process", self.process))
        return ", ".join(f"{name} {in_mb(number)}" for name, number in parts if number)


@dataclass(frozen=True, slots=True)
class FoundBundle:
    """What a folder offers at the moment. `folder` is its name in the models' folder."""

    folder: str
    path: Path
    name: str
    version: str
    digest: str  # of its manifest
    need: MemoryNeed


class BundleFolders:
    """Those in the models' folder of these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self.root = settings, settings.models_dir

    def names(self) -> list[str]:
        """Of the folders that look like bundles. Raises OSError where the models' folder cannot be read."""
        return [self._name_of(path) for path in list_bundles(self.root)]

    def find(self, folder: str) -> FoundBundle:
        """Raises InvalidRequest for what names no bundle of the models' folder, BundleError for a fault."""
        try:
            paths = {self._name_of(path): path for path in list_bundles(self.root)}
        except OSError as error:
            raise BundleError(self.root, describe(error)) from error
        if folder not in paths:
            raise unknown_folder(folder, list(paths))
        return self.describe(paths[folder])

    def describe(self, path: Path) -> FoundBundle:
        """Raises BundleError."""
        digest = listed(path).digest
        info, config = parse_config(path / CONFIG_FILE, read_bytes(path / CONFIG_FILE))
        settings = self._settings
        need = MemoryNeed(
            weights=weight_bytes(num_stored_weights(path), config, settings.precision),
            cache=min(settings.cache_bytes_limit, largest_cache(config, settings.max_rows)),
            process=PROCESS_BYTES if settings.engine == "process" else 0,
        )
        return FoundBundle(self._name_of(path), path, info.name, info.version, digest, need)

    def verify(self, path: Path) -> None:
        """Compare every file with the manifest. Raises BundleError."""
        verify_bundle(path)

    def _name_of(self, path: Path) -> str:
        return WHOLE if path == self.root else path.name

    def told(self, error: BundleError) -> str:
        """The fault by its place in the models' folder: where that lies is nobody's business."""
        return str(error).replace(f"{self.root}/", "")


def in_mb(num_bytes: int) -> str:
    """For people."""
    return f"{num_bytes / 1e6:,.0f} MB"


def unknown_folder(folder: str, names: Sequence[str]) -> InvalidRequest:
    """Lists what there is: a bundle is named by its folder there, and no path leads to any other."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    there = ", ".join(names[:MAX_LISTED]) + more if names else "none: it is empty"
    bound = f"the name of a bundle's folder in the models' folder: {there}"
    return InvalidRequest("There is no such bundle.", faults=[FieldFault("folder", bound, folder)])
