"""How a model is told its languages: by tokens around the source, by a first target token, or not at all.

Knows: language codes and the ids of their tokens. Must not know: text, requests, how a token is forced.

    target "none"            nothing: the model has one target language
    target "source_tag"      [target] tokens </s>                   Marian's >>deu<<
    target "forced_token"    the decoder's first token is [target]  M2M-100, NLLB, mBART-50
    source "prefix"          [source] tokens </s>                   M2M-100, NLLB, mBART-50
    source "suffix"          tokens </s> [source]                   the older NLLB order, mBART-25
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from model.config import ConfigError
from model.directions import Directions

TargetSignal = Literal["none", "source_tag", "forced_token"]
SourceSignal = Literal["none", "prefix", "suffix"]


@dataclass(frozen=True, slots=True)
class Signal:
    """The tokens that tell one direction; a signal is false where there are none."""

    before_source: tuple[int, ...] = ()
    after_source: tuple[int, ...] = ()  # behind `</s>`
    before_target: tuple[int, ...] = ()

    @property
    def num_source_tokens(self) -> int:
        return len(self.before_source) + len(self.after_source)

    def around(self, source_ids: Sequence[int]) -> tuple[int, ...]:
        """What the encoder reads for the ids of a text."""
        return (*self.before_source, *source_ids, *self.after_source)

    def __bool__(self) -> bool:
        return bool(self.before_source or self.after_source or self.before_target)


NO_SIGNAL = Signal()


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageSignals:
    """How languages are told, and the token id of each that is. Raises ConfigError at construction."""

    target: TargetSignal = "none"
    source: SourceSignal = "none"
    token_ids: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target not in get_args(TargetSignal):
            raise ConfigError("target_signal", f"one of {', '.join(get_args(TargetSignal))}", self.target)
        if self.source not in get_args(SourceSignal):
            raise ConfigError("source_signal", f"one of {', '.join(get_args(SourceSignal))}", self.source)
        if self.token_ids and not self:
            bound = "left out where neither target_signal nor source_signal uses them"
            raise ConfigError("language_tokens", bound, self.token_ids)
        for code, token_id in self.token_ids.items():
            if not isinstance(code, str) or type(token_id) is not int or token_id < 0:
                bound = "language codes with token ids of at least 0"
                raise ConfigError("language_tokens", bound, {code: token_id})

    def check(self, directions: Directions) -> None:
        """Raises ConfigError for a language that has to be told and has no token."""
        told = [] if self.target == "none" else list(directions.targets)
        told += [] if self.source == "none" else directions.sources
        for code in told:
            if code not in self.token_ids:
                raise ConfigError("language_tokens", f"given for {code!r}", sorted(self.token_ids)[:5])

    def of(self, source: str, target: str) -> Signal:
        """The tokens of one direction, which `check` has seen."""
        if not self:
            return NO_SIGNAL
        tag = () if self.target == "none" else (self.token_ids[target],)
        own = () if self.source == "none" else (self.token_ids[source],)
        return Signal(
            before_source=(tag if self.target == "source_tag" else ())
            + (own if self.source == "prefix" else ()),
            after_source=own if self.source == "suffix" else (),
            before_target=tag if self.target == "forced_token" else (),
        )

    def __bool__(self) -> bool:
        return (self.target, self.source) != ("none", "none")

    def to_json(self) -> dict[str, Any]:
        """The keys of a bundle's `config.json`; those of a model that is told nothing say only that."""
        keys: dict[str, Any] = {"target_signal": self.target}
        if self:
            keys |= {"source_signal": self.source, "language_tokens": dict(self.token_ids)}
        return keys

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LanguageSignals:
        """The inverse of `to_json`. Raises ConfigError."""
        token_ids = content.get("language_tokens", {})
        if not isinstance(token_ids, dict):
            raise ConfigError("language_tokens", "a JSON object of codes and token ids", token_ids)
        source = content.get("source_signal", "none")
        return cls(target=content["target_signal"], source=source, token_ids=token_ids)


UNTOLD = LanguageSignals()  # of a model that is told nothing
