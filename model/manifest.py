"""The list of a bundle's files with sizes and SHA-256, and what is wrong with a folder that differs from it.

Knows: files and bytes. Must not know: what the files mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST_FILE = "manifest.json"
_HEX_DIGITS = frozenset("0123456789abcdef")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BundleError(Exception):
    """A bundle cannot be read or written. `path` is the file or folder, `fault` what is wrong with it."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path}: {fault}")
        self.path, self.fault = path, fault

    def __reduce__(self) -> tuple[type[BundleError], tuple[Path, str]]:
        return (type(self), (self.path, self.fault))  # it may have to travel between processes


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What the manifest says of one file. `size` in bytes, `sha256` in 64 lower-case hexadecimal digits."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a bundle by relative name, and the SHA-256 of the manifest itself, in hexadecimal."""

    files: dict[str, FileEntry]
    digest: str


def read_manifest(folder: Path) -> Manifest:
    """Read, not compared with the files. Raises BundleError."""
    path = folder / MANIFEST_FILE
    if not folder.is_dir():
        raise BundleError(folder, "no such folder" if not folder.exists() else "not a folder")
    data = read_bytes(path)
    content = parse_json(path, data)
    if set(content) != {"files"} or not isinstance(content["files"], dict):
        raise BundleError(path, 'must be {"files": {name: {"size", "sha256"}}}')
    files = {name: _entry(path, name, entry) for name, entry in content["files"].items()}
    return Manifest(files, hashlib.sha256(data).hexdigest())


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every listed file with the manifest. Raises BundleError naming the first that differs.

    Files that are not listed (a `.gitattributes`, a `lost+found`) are nobody's business: nothing opens them.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        found = _size(path)
        if found != entry.size:
            raise BundleError(path, f"has {found} bytes where {MANIFEST_FILE} says {entry.size}")
    for name, entry in manifest.files.items():
        path = folder / name
        if _sha256(path) != entry.sha256:
            raise BundleError(path, f"its SHA-256 is not the one in {MANIFEST_FILE}: the content was changed")


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Measure these files of the folder and list them. Raises BundleError for an unusable name or file."""
    path = folder / MANIFEST_FILE
    files = {}
    for name in sorted(names):
        check_name(path, name)
        files[name] = asdict(FileEntry(_size(folder / name), _sha256(folder / name)))
    write_bytes(path, dump_json({"files": files}))


def check_name(listed_in: Path, name: object) -> str:
    """A plain relative name with forward slashes, so nothing outside the folder. Raises BundleError."""
    if not isinstance(name, str) or not name or "\\" in name or ":" in name or not name.isprintable():
        raise BundleError(listed_in, f"{name!r} is not a file name")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name in (".", MANIFEST_FILE):
        raise BundleError(listed_in, f"{name!r} does not name a file inside the bundle")
    return name


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises BundleError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(path, describe(error)) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write through to the disk, so that a rename afterwards never shows half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def parse_json(path: Path, data: bytes) -> dict[str, Any]:
    """A JSON object. Raises BundleError with the place of the fault."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(path, f"not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(path, f"must be a JSON object, got {type(content).__name__}")
    _check_characters(path, data, content)
    return content


def _check_characters(path: Path, data: bytes, content: object) -> None:
    """JSON can spell half of a surrogate pair, which no file of ours can hold. Raises BundleError."""
    if _SURROGATE.search(data) is None:
        return
    try:
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise BundleError(path, f"holds {half}, half of a surrogate pair, which is no character") from error


def dump_json(content: Mapping[str, Any]) -> bytes:
    """For people and for `git diff`: indented, one value a line, a line end at the end."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def describe(error: OSError) -> str:
    """The fault without the path, which the error that carries it names already."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    return error.strerror or type(error).__name__


def _entry(path: Path, name: str, entry: object) -> FileEntry:
    check_name(path, name)
    if not isinstance(entry, dict) or set(entry) != {"size", "sha256"}:
        raise BundleError(path, f"{name}: must have size and sha256, and nothing else")
    size, sha256 = entry["size"], entry["sha256"]
    if type(size) is not int or size < 0:
        raise BundleError(path, f"{name}: size must be a number of bytes, got {size!r}")
    if not isinstance(sha256, str) or len(sha256) != 64 or not _HEX_DIGITS.issuperset(sha256):
        raise BundleError(path, f"{name}: sha256 must be 64 lower-case hexadecimal digits, got {sha256!r}")
    return FileEntry(size, sha256)


def _size(path: Path) -> int:
    try:
        if path.exists() and not path.is_file():
            raise BundleError(path, "not a file")
        return path.stat().st_size
    except OSError as error:
        raise BundleError(path, describe(error)) from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(path, describe(error)) from error
