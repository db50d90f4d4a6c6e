"""What a caller may ask of decoding: names, bounds and defaults, checked once at construction.

Knows: every option, its unit and its range. Must not know: tensors, models, requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

StrategyKind = Literal["beam", "greedy"]

STRATEGIES: tuple[StrategyKind, ...] = ("beam", "greedy")
MAX_BEAM_SIZE = 32
MAX_LENGTH_PENALTY = 5.0
MAX_PATIENCE = 4.0
MAX_TOKENS = 65_536
MIN_LENGTH_RATIO, MAX_LENGTH_RATIO = 0.1, 100.0

BEAM_ONLY = ("beam_size", "num_hypotheses", "length_penalty", "patience")
# Greedy search is a beam of one, so a caller who says just that is right.
TRUE_OF_GREEDY = {"beam_size": 1, "num_hypotheses": 1}


class OptionError(ValueError):
    """An option is unknown, of the wrong type, out of bounds, or does not belong to the strategy.

    `field` names it, `bound` says in words what it must be, `value` is what came.
    """

    def __init__(self, field: str, bound: str, value: object) -> None:
        super().__init__(f"{field} must be {bound}, got {value!r}")
        self.field, self.bound, self.value = field, bound, value


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How one segment is searched. Lengths are in target tokens. Raises `OptionError` at construction.

    `length_penalty` is alpha of Wu et al. 2016 eq. 14: a hypothesis Y scores
    sum(log p) / ((5 + |Y|) / 6)^alpha, `</s>` counted in |Y|; 0 is the plain sum. `patience` is Kasai et al.
    2022's factor: a segment ends once `finished_wanted` hypotheses are finished.
    """

    strategy: StrategyKind = "beam"
    beam_size: int = 4  # rows of a segment, 1..32 (beam only)
    num_hypotheses: int = 1  # how many are answered, best first, 1..beam_size (beam only)
    length_penalty: float = 1.0  # 0..5 (beam only)
    patience: float = 1.0  # above 0, up to 4 (beam only)
    min_length: int = 0  # no `</s>` before so many tokens, itself not counted; the length limit wins over it
    max_length: int | None = None  # at most so many tokens, `</s>` counted, 1..65536
    max_length_ratio: float | None = None  # at most so many per source token, 0.1..100; the least limit wins

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise OptionError("strategy", f"one of {', '.join(STRATEGIES)}", self.strategy)
        self._check_beam()
        self._check_lengths()
        if self.strategy == "greedy":
            self._check_greedy()

    def _check_beam(self) -> None:
        _check_integer("beam_size", self.beam_size, 1, MAX_BEAM_SIZE)
        # The default beam_size says nothing about greedy search, whose one answer fits any.
        _check_integer("num_hypotheses", self.num_hypotheses, 1, self.beam_size)
        _check_number("length_penalty", self.length_penalty, 0.0, MAX_LENGTH_PENALTY)
        _check_number("patience", self.patience, 0.0, MAX_PATIENCE, above=True)

    def _check_lengths(self) -> None:
        _check_integer("min_length", self.min_length, 0, MAX_TOKENS)
        if self.max_length is not None:
            _check_integer("max_length", self.max_length, 1, MAX_TOKENS)
            if self.min_length >= self.max_length:
                raise OptionError("min_length", f"below max_length {self.max_length}", self.min_length)
        if self.max_length_ratio is not None:
            _check_number("max_length_ratio", self.max_length_ratio, MIN_LENGTH_RATIO, MAX_LENGTH_RATIO)

    def _check_greedy(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in BEAM_ONLY and value not in (field.default, TRUE_OF_GREEDY.get(field.name)):
                raise OptionError(field.name, "left out with strategy 'greedy'", value)

    @property
    def rows(self) -> int:
        """Rows of the batch that a segment with these options occupies."""
        return self.beam_size if self.strategy == "beam" else 1

    @property
    def finished_wanted(self) -> int:
        """Finished hypotheses that end a beam segment: round(beam_size * patience), enough to answer."""
        return max(1, self.num_hypotheses, round(self.beam_size * self.patience))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; options that the strategy does not have are left out."""
        unused = BEAM_ONLY if self.strategy == "greedy" else ()
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {
            name: value for name, (value, default) in values.items() if name not in unused or value != default
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; what is missing keeps its default. Raises `OptionError`."""
        return cls.with_defaults(data, cls())

    @classmethod
    def with_defaults(cls, data: Mapping[str, Any], defaults: DecodingOptions) -> Self:
        """The options named in `data`, all others as in `defaults`.

        A default that the asked-for strategy does not have is dropped; one that `data` itself names is
        refused, since an option is never accepted and ignored. Raises `OptionError`, also for unknown names.
        """
        known = {field.name for field in fields(cls)}
        for name, value in data.items():
            if name not in known:
                raise OptionError(name, f"one of the known options ({', '.join(sorted(known))})", value)
        values = {**{name: getattr(defaults, name) for name in known}, **data}
        if values["strategy"] == "greedy":
            _refuse_beam_options(data)
            values = {name: value for name, value in values.items() if name in data or name not in BEAM_ONLY}
        return cls(**values)


def _refuse_beam_options(data: Mapping[str, Any]) -> None:
    for name in BEAM_ONLY:
        if name in data and (isinstance(data[name], bool) or data[name] != TRUE_OF_GREEDY.get(name)):
            raise OptionError(name, "left out with strategy 'greedy'", data[name])


def _check_integer(field: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(field, "an integer", value)
    if not low <= value <= high:
        raise OptionError(field, f"in {low}..{high}", value)


def _check_number(field: str, value: object, low: float, high: float, *, above: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(field, "a number", value)
    if not (low < value if above else low <= value) or not value <= high:
        raise OptionError(field, f"{'above' if above else 'at least'} {low:g} and at most {high:g}", value)
