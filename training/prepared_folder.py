"""The folder of a run's prepared pairs: mapped ids, an index, and what they were made of.

Knows: which files lie there, and how to tell that they are still right. Must not know: how they are made.

    prepared/
      index.json                          what the pairs were made of, their number and how they are stored
      source.values   source.offsets      ids of each source, `</s>` at its end; the same for target
      text.source.* or text.target.*      the texts, where `data.subword_sampling` splits them anew
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import ResumeError
from training.files import write_atomically
from training.fingerprints import Fingerprint, is_unchanged

FOLDER = "prepared"
PARTIAL_FOLDER = "prepared.partial"
_INDEX_FILE = "index.json"


class Index(BaseModel):
    """What lies in the folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    settings: dict[str, Any]  # those that decide the pairs, without defaults
    files: dict[str, Fingerprint]  # by the name that the recipe gives them
    sizes: tuple[int, ...]  # pairs of each corpus, its repetitions included
    target_tokens: int
    source_dtype: str
    target_dtype: str
    cleaning: str  # what was read, kept and dropped, in words
    stored_bytes: dict[str, int] = {}  # of each file beside this one
    tokenizer: str | None = None  # digest of the one whose ids these are; None: not noted


def read_index(folder: Path) -> Index | None:
    """None when there is none. Raises `ResumeError` when it, or a file's size, is not what was written."""
    path = folder / _INDEX_FILE
    if not path.is_file():
        return None
    try:
        index = Index.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ResumeError(_damage(path)) from error
    there = stored_bytes(folder)
    for name, size in index.stored_bytes.items():
        if there.get(name) != size:
            raise ResumeError(_damage(folder / name))
    return index


def stored_bytes(folder: Path) -> dict[str, int]:
    """The size of each file of prepared pairs, by its name."""
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name != _INDEX_FILE}


def _damage(path: Path) -> str:
    return f"{path}: is not what was written; delete {path.parent} to prepare the data anew"


def write_index(folder: Path, index: Index) -> None:
    write_atomically(folder / _INDEX_FILE, index.model_dump_json(indent=1).encode())


def what_changed(index: Index, settings: Mapping[str, Any], paths: Mapping[str, Path]) -> str | None:
    """The first setting or file, in words, that is not the one of before; None when all are.

    A file that is gone has not changed: the prepared pairs stand for it.
    """
    for name in sorted(settings.keys() | index.settings.keys()):
        before, now = index.settings.get(name), settings.get(name)
        if before != now:
            return f"{name} was {_shown(before)}, is {_shown(now)}"
    for name, path in paths.items():
        if path.is_file() and (name not in index.files or not is_unchanged(path, index.files[name])):
            return f"{name} has another content"
    return None


def _shown(value: Any) -> str:
    return "its default" if value is None else json.dumps(value)


def replace_folder(partial: Path, folder: Path) -> None:
    """Give the finished folder its name; a crash in between leaves none, and it is made again."""
    for path in partial.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut could leave the new name with no content behind it
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
