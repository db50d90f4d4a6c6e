"""`config.json` of a bundle: what the model is called, what it translates, how it is shaped and decoded.

Knows: the names, bounds and version of that file. Must not know: weights, tokenizers, where bundles are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.config import ConfigError, ModelConfig
from model.decoding.options import DecodingOptions, OptionError
from model.manifest import BundleError, dump_json, parse_json

CONFIG_FILE = "config.json"
FORMAT_VERSION = 1
# How a target language is signalled. A bundle of another kind would be decoded into the wrong language.
TARGET_SIGNAL = "none"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LANGUAGE = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_KEYS = ("format_version", "name", "version", "directions", "target_signal", "decoding", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo:
    """What a bundle says of itself beside its architecture. Raises ConfigError at construction.

    `directions` are (source, target) language codes; `decoding` holds the defaults of requests.
    """

    name: str
    version: str
    directions: tuple[tuple[str, str], ...]
    decoding: DecodingOptions

    def __post_init__(self) -> None:
        for field in ("name", "version"):
            value = getattr(self, field)
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise ConfigError(field, "1 to 100 letters, digits, '.', '_' or '-'", value)
        if not self.directions or len(set(self.directions)) != len(self.directions):
            raise ConfigError("directions", "at least one pair of languages, none twice", self.directions)
        for code in (code for direction in self.directions for code in direction):
            if not isinstance(code, str) or not _LANGUAGE.fullmatch(code):
                raise ConfigError("directions", "pairs of language codes such as 'en' or 'pt-BR'", code)


def config_bytes(info: BundleInfo, config: ModelConfig) -> bytes:
    """The content of `config.json`."""
    return dump_json(
        {
            "format_version": FORMAT_VERSION,
            "name": info.name,
            "version": info.version,
            "directions": info.directions,
            "target_signal": TARGET_SIGNAL,
            "decoding": info.decoding.to_dict(),
            "model": config.to_dict(),
        }
    )


def parse_config(path: Path, data: bytes) -> tuple[BundleInfo, ModelConfig]:
    """The inverse of `config_bytes`. Raises BundleError naming the key, its bound and its value."""
    content = parse_json(path, data)
    _check_keys(path, content)
    try:
        info = BundleInfo(
            name=content["name"],
            version=content["version"],
            directions=_directions(content["directions"]),
            decoding=DecodingOptions.from_dict(_object("decoding", content)),
        )
        return info, ModelConfig.from_dict(_object("model", content))
    except (ConfigError, OptionError) as error:
        raise BundleError(path, str(error)) from error


def _check_keys(path: Path, content: dict[str, Any]) -> None:
    # The version first: a later format may have other keys, and the user must hear of the version, not them.
    version = content.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        fault = f"format_version {version!r} is not supported; this version of Verto reads {FORMAT_VERSION}"
        raise BundleError(path, fault)
    if missing := [key for key in _KEYS if key not in content]:
        raise BundleError(path, f"{missing[0]} is missing")
    if unknown := sorted(content.keys() - set(_KEYS)):
        raise BundleError(path, f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    if content["target_signal"] != TARGET_SIGNAL:
        fault = f"target_signal {content['target_signal']!r} is not supported; this version of Verto reads"
        raise BundleError(path, f"{fault} {TARGET_SIGNAL!r}")


def _object(key: str, content: dict[str, Any]) -> dict[str, Any]:
    value = content[key]
    if not isinstance(value, dict):
        raise ConfigError(key, "a JSON object", value)
    return value


def _directions(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not all(_is_pair_of_strings(pair) for pair in value):
        raise ConfigError("directions", "a list of pairs such as [['en', 'de']]", value)
    return tuple((source, target) for source, target in value)


def _is_pair_of_strings(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(code, str) for code in value)
