"""A Hugging Face folder as it lies on disk: its files, and what `config.json` says, checked.

Knows: files, JSON, whether a SentencePiece model opens, how a setting is checked. Must not know: tensors
(foreign_weights.py), model families.
Every fault is a BundleError that names the file, the key, its bound and its value.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from model.manifest import BundleError, check_name, describe, parse_json, read_bytes
from model.vocabulary import TokenizerError, open_processor

CONFIG_FILE = "config.json"
_LARGEST = sys.float_info.max
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

T = TypeVar("T")


class ForeignConfig:
    """The settings of one JSON file. A key that is null is as good as left out."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path, self.values = path, {key: value for key, value in values.items() if value is not None}

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def integer(self, key: str, default: int | None = None, *, at_least: int = 0) -> int:
        value = self._value(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 1e30 is how some programs write "no limit"
        if type(value) is not int or value < at_least:
            raise self.fault(key, f"an integer of at least {at_least}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
            raise self.fault(key, "a number")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.fault(key, "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.fault(key, "a string")
        return value

    def choice(self, key: str, known: Mapping[str, T], default: str | None = None) -> T:
        """What `known` says of the value."""
        value = self._value(key, default)
        if not isinstance(value, str) or value not in known:
            raise self.fault(key, f"one of {', '.join(known)}")
        return known[value]

    def require(self, key: str, wanted: object, reason: str) -> None:
        """Raises when the key is there and says something else than the only value that is understood."""
        if key in self.values and self.values[key] != wanted:
            raise self.fault(key, f"{json.dumps(wanted)}: {reason}")

    def part(self, key: str) -> ForeignConfig:
        """The settings under a key; none where it is missing."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            raise self.fault(key, "a JSON object")
        return ForeignConfig(self.path, value)

    def fault(self, key: str, bound: str) -> BundleError:
        if key not in self.values:
            return BundleError(self.path, f"{key} is missing; it must be {bound}")
        return BundleError(self.path, f"{key} must be {bound}, got {json.dumps(self.values[key])[:80]}")

    def _value(self, key: str, default: object) -> object:
        return self.values.get(key, default)


@dataclass(frozen=True, slots=True)
class ForeignFolder:
    """A folder with a `config.json`. `origin` is what the model is called where it came from."""

    path: Path
    config: ForeignConfig
    origin: str

    @classmethod
    def open(cls, path: Path, origin: str | None = None) -> ForeignFolder:
        """Raises BundleError where there is no folder, or no `config.json` that is a JSON object."""
        if not path.is_dir():
            raise BundleError(path, "no such folder" if not path.exists() else "not a folder")
        file = path / CONFIG_FILE
        config = ForeignConfig(file, parse_json(file, read_bytes(file)))
        return cls(path, config, origin or path.resolve().name)

    def has(self, name: str) -> bool:
        """Whether there is something of this name; a link that leads nowhere is told when it is read."""
        return os.path.lexists(self.path / name)

    def first(self, names: Iterable[str]) -> str | None:
        """The first of these files that is there."""
        return next((name for name in names if self.has(name)), None)

    def file(self, name: str) -> Path:
        """The path of a file that is there and is no pointer to one that is kept elsewhere."""
        path = self.path / check_name(self.path, name)
        try:
            with path.open("rb") as opened:
                if opened.read(len(_LFS_POINTER)) == _LFS_POINTER:
                    raise BundleError(path, "is only a pointer of Git LFS; `git lfs pull` fetches the file")
        except OSError as error:
            raise BundleError(path, describe(error)) from error
        return path

    def read(self, name: str) -> bytes:
        return read_bytes(self.file(name))

    def sentencepiece(self, name: str) -> bytes:
        """A SentencePiece model, which opens, and whose pieces are text."""
        model = self.read(name)
        try:
            processor = open_processor(model, name)
            processor.id_to_piece(list(range(processor.get_piece_size())))
        except TokenizerError as error:
            raise BundleError(self.path, str(error)) from error
        except UnicodeDecodeError as error:
            raise BundleError(self.path, f"{name}: a piece of the model is not UTF-8 ({error})") from error
        return model

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object."""
        return parse_json(self.path / name, self.read(name))

    def settings(self, name: str) -> ForeignConfig:
        """A JSON object of settings; an empty one where there is no such file."""
        return ForeignConfig(self.path / name, self.json(name) if self.has(name) else {})
