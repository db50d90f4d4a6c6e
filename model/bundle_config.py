"""`config.json` of a bundle: what the model is called, what it translates, how it is shaped and decoded.

Knows: the names, bounds and version of that file. Must not know: weights, tokenizers, where bundles are kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.config import ConfigError, ModelConfig
from model.decoding.options import DecodingOptions, OptionError
from model.directions import Directions, Pair
from model.language_signals import LanguageSignals
from model.manifest import BundleError, dump_json, parse_json

CONFIG_FILE = "config.json"
FORMAT_VERSION = 1
# What a bundle has whose tokenizer has a dictionary: an earlier Verto would take SentencePiece's own ids.
FORMAT_VERSION_WITH_DICTIONARY = 2
_READABLE_VERSIONS = (FORMAT_VERSION, FORMAT_VERSION_WITH_DICTIONARY)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KEYS = ("format_version", "name", "version", "directions", "target_signal", "decoding", "model")
_OPTIONAL_KEYS = ("source_signal", "language_tokens")  # where languages are told by tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo:
    """What a bundle says of itself beside its architecture. Raises ConfigError at construction.

    `directions` are (source, target) language codes, any sequence of which becomes `Directions`; `decoding`
    holds the defaults of requests; `signals` say how the model is told its languages.
    """

    name: str
    version: str
    directions: Sequence[Pair]
    decoding: DecodingOptions
    signals: LanguageSignals = field(default_factory=LanguageSignals)

    def __post_init__(self) -> None:
        for name in ("name", "version"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise ConfigError(name, "1 to 100 letters, digits, '.', '_' or '-'", value)
        if not isinstance(self.directions, Directions):
            object.__setattr__(self, "directions", Directions(self.directions))
        self.signals.check(self.languages)

    @property
    def languages(self) -> Directions:
        """`directions`, by their own type."""
        assert isinstance(self.directions, Directions)
        return self.directions


def config_bytes(info: BundleInfo, config: ModelConfig, format_version: int = FORMAT_VERSION) -> bytes:
    """The content of `config.json`."""
    return dump_json(
        {
            "format_version": format_version,
            "name": info.name,
            "version": info.version,
            "directions": info.languages.to_json(),
            **info.signals.to_json(),
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
            directions=Directions.from_json(content["directions"]),
            decoding=DecodingOptions.from_dict(_object("decoding", content)),
            signals=LanguageSignals.from_json(content),
        )
        config = ModelConfig.from_dict(_object("model", content))
        _check_token_ids(info.signals, config)
        return info, config
    except (ConfigError, OptionError) as error:
        raise BundleError(path, str(error)) from error


def _check_keys(path: Path, content: dict[str, Any]) -> None:
    # The version first: a later format may have other keys, and the user must hear of the version, not them.
    version = content.get("format_version")
    if type(version) is not int or version not in _READABLE_VERSIONS:
        readable = " and ".join(map(str, _READABLE_VERSIONS))
        fault = f"format_version {version!r} is not supported; this version of Verto reads {readable}"
        raise BundleError(path, fault)
    if missing := [key for key in _KEYS if key not in content]:
        raise BundleError(path, f"{missing[0]} is missing")
    known = (*_KEYS, *_OPTIONAL_KEYS)
    if unknown := sorted(content.keys() - set(known)):
        raise BundleError(path, f"unknown key {unknown[0]!r}; known are {', '.join(known)}")


def _check_token_ids(signals: LanguageSignals, config: ModelConfig) -> None:
    size = min(config.source_vocab_size, config.target_vocab_size)
    for code, token_id in signals.token_ids.items():
        if token_id >= size:
            raise ConfigError("language_tokens", f"token ids in 0..{size - 1}", {code: token_id})


def _object(key: str, content: dict[str, Any]) -> dict[str, Any]:
    value = content[key]
    if not isinstance(value, dict):
        raise ConfigError(key, "a JSON object", value)
    return value
