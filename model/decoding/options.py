"""What a caller may ask of decoding: names, bounds and defaults, checked once at construction.

Knows: every option, its unit and its range. Must not know: tensors, models, requests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal, Self

StrategyKind = Literal["beam", "greedy", "sample"]

STRATEGIES: tuple[StrategyKind, ...] = ("beam", "greedy", "sample")
MAX_BEAM_SIZE = 32
MAX_LENGTH_PENALTY = 5.0
MAX_COVERAGE_PENALTY = 5.0
MAX_PATIENCE = 4.0
MAX_DIVERSITY_PENALTY = 20.0
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 10.0
MAX_TOP_K = 65_536
MAX_SEED = 2**63 - 1
MIN_REPETITION_PENALTY, MAX_REPETITION_PENALTY = 0.1, 10.0
MAX_NGRAM_SIZE = 16
MAX_TOKENS = 65_536
MIN_LENGTH_RATIO, MAX_LENGTH_RATIO = 0.1, 100.0
MAX_PHRASES = 1024  # token sequences in `banned_ids`; one banned word may need several
MAX_REQUIRED_PHRASES = 8
MAX_PHRASE_TOKENS = 64

BEAM_ONLY = (
    "beam_size",
    "num_hypotheses",
    "length_penalty",
    "coverage_penalty",
    "patience",
    "diversity_groups",
    "diversity_penalty",
    "required_ids",
)
TOKEN_FIELDS = ("prefix_ids", "banned_ids", "required_ids")
SAMPLE_ONLY = ("temperature", "top_k", "top_p", "min_p", "epsilon", "seed")
# What an option may say of a strategy that lacks it: one row is a beam of one.
TRUE_OF_ONE_ROW = {"beam_size": 1, "num_hypotheses": 1}
NOT_OF: dict[StrategyKind, tuple[str, ...]] = {
    "beam": SAMPLE_ONLY,
    "greedy": BEAM_ONLY + SAMPLE_ONLY,
    "sample": BEAM_ONLY,
}


class OptionError(ValueError):
    """An option is unknown, of the wrong type, out of bounds, or does not belong to the strategy.

    `field` names it, `bound` says in words what it must be, `value` is what came.
    """

    def __init__(self, field: str, bound: str, value: object) -> None:
        super().__init__(f"{field} must be {bound}, got {value!r}")
        self.field, self.bound, self.value = field, bound, value

    def __reduce__(self) -> tuple[type[OptionError], tuple[str, str, object]]:
        """Errors cross processes, and an exception is copied from its message unless told otherwise."""
        return type(self), (self.field, self.bound, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How one segment is searched. Lengths are in target tokens. Raises `OptionError` at construction.

    `length_penalty` is alpha of Wu et al. 2016 eq. 14: a hypothesis Y scores
    sum(log p) / ((5 + |Y|) / 6)^alpha, `</s>` counted in |Y|; 0 is the plain sum. `coverage_penalty` is beta
    of the same equation. `patience` is Kasai et al. 2022's factor: a segment ends once `finished_wanted`
    hypotheses are finished. `diversity_groups` and `diversity_penalty` are those of Vijayakumar et al. 2018.
    `epsilon` is that of Hewitt et al. 2022, `min_p` that of Nguyen et al. 2024, `top_p` that of Holtzman et
    al. 2020. Token ids of `prefix_ids`, `banned_ids` and `required_ids` are the target vocabulary's; lists of
    them become tuples. Formulas, and how options act together: docs/decoding.md.
    """

    strategy: StrategyKind = "beam"
    beam_size: int = 4  # rows of a segment, 1..32 (beam only)
    num_hypotheses: int = 1  # how many are answered, best first, 1..beam_size (beam only)
    length_penalty: float = 1.0  # 0..5 (beam only)
    coverage_penalty: float = 0.0  # beta, 0..5 (beam only)
    patience: float = 1.0  # above 0, up to 4 (beam only)
    diversity_groups: int = 1  # beams are dealt to so many groups; divides beam_size (beam only)
    diversity_penalty: float = 0.0  # off a token for each row of an earlier group that takes it, 0..20 (beam)
    temperature: float = 1.0  # log-probabilities are divided by it, 0.01..10 (sample only)
    top_k: int = 0  # only the k likeliest tokens; 0: all (sample only)
    top_p: float = 1.0  # only the likeliest tokens that hold this mass together, above 0 (sample only)
    min_p: float = 0.0  # only tokens with at least this share of the likeliest one's, 0..1 (sample only)
    epsilon: float = 0.0  # only tokens of at least this probability, 0 up to below 1 (sample only)
    seed: int | None = None  # of the random numbers, 0..2^63-1; None: a new one (sample only)
    repetition_penalty: float = 1.0  # multiplies log-probabilities of tokens that are there already, 0.1..10
    no_repeat_ngram_size: int = 0  # no sequence of so many tokens twice, 0..16; 0: any may
    min_length: int = 0  # no `</s>` before so many tokens, itself not counted; the length limit wins over it
    max_length: int | None = None  # at most so many tokens, `</s>` counted, 1..65536
    max_length_ratio: float | None = None  # at most so many per source token, 0.1..100; the least limit wins
    prefix_ids: tuple[int, ...] = ()  # every hypothesis begins with them
    banned_ids: tuple[tuple[int, ...], ...] = ()  # sequences that no hypothesis contains, behind its prefix
    required_ids: tuple[tuple[int, ...], ...] = ()  # sequences that every hypothesis contains (beam only)

    def __post_init__(self) -> None:
        for name in TOKEN_FIELDS:  # JSON and YAML know no tuples, and options must be hashable
            object.__setattr__(self, name, _as_tuples(getattr(self, name)))
        if self.strategy not in STRATEGIES:
            raise OptionError("strategy", f"one of {', '.join(STRATEGIES)}", self.strategy)
        self._check_beam()
        self._check_sample()
        self._check_lengths()
        self._check_tokens()
        self._check_strategy()

    def _check_beam(self) -> None:
        _check_integer("beam_size", self.beam_size, 1, MAX_BEAM_SIZE)
        # The default beam_size says nothing about greedy search, whose one answer fits any.
        _check_integer("num_hypotheses", self.num_hypotheses, 1, self.beam_size)
        _check_number("length_penalty", self.length_penalty, 0.0, MAX_LENGTH_PENALTY)
        _check_number("coverage_penalty", self.coverage_penalty, 0.0, MAX_COVERAGE_PENALTY)
        _check_number("patience", self.patience, 0.0, MAX_PATIENCE, above=True)
        _check_integer("diversity_groups", self.diversity_groups, 1, self.beam_size)
        if self.beam_size % self.diversity_groups:
            raise OptionError(
                "diversity_groups", f"a divisor of beam_size {self.beam_size}", self.diversity_groups
            )
        _check_number("diversity_penalty", self.diversity_penalty, 0.0, MAX_DIVERSITY_PENALTY)
        if self.diversity_penalty and self.diversity_groups == 1:
            bound = "0 without diversity_groups of at least 2"
            raise OptionError("diversity_penalty", bound, self.diversity_penalty)

    def _check_sample(self) -> None:
        _check_number("temperature", self.temperature, MIN_TEMPERATURE, MAX_TEMPERATURE)
        _check_integer("top_k", self.top_k, 0, MAX_TOP_K)
        _check_number("top_p", self.top_p, 0.0, 1.0, above=True)
        _check_number("min_p", self.min_p, 0.0, 1.0)
        _check_number("epsilon", self.epsilon, 0.0, 1.0, below=True)
        if self.seed is not None:
            _check_integer("seed", self.seed, 0, MAX_SEED)

    def _check_lengths(self) -> None:
        _check_integer("min_length", self.min_length, 0, MAX_TOKENS)
        if self.max_length is not None:
            _check_integer("max_length", self.max_length, 1, MAX_TOKENS)
            if self.min_length >= self.max_length:
                raise OptionError("min_length", f"below max_length {self.max_length}", self.min_length)
        if self.max_length_ratio is not None:
            _check_number("max_length_ratio", self.max_length_ratio, MIN_LENGTH_RATIO, MAX_LENGTH_RATIO)

    def _check_tokens(self) -> None:
        _check_number(
            "repetition_penalty", self.repetition_penalty, MIN_REPETITION_PENALTY, MAX_REPETITION_PENALTY
        )
        _check_integer("no_repeat_ngram_size", self.no_repeat_ngram_size, 0, MAX_NGRAM_SIZE)
        _check_ids("prefix_ids", self.prefix_ids)
        if len(self.prefix_ids) > (self.max_length or MAX_TOKENS):
            bound = f"at most {self.max_length or MAX_TOKENS} tokens, the length limit"
            raise OptionError("prefix_ids", bound, len(self.prefix_ids))
        _check_phrases("banned_ids", self.banned_ids, MAX_PHRASES)
        _check_phrases("required_ids", self.required_ids, MAX_REQUIRED_PHRASES)
        if self.required_ids:
            self._check_required()

    def _check_required(self) -> None:
        """What is required is written whatever the model thinks, so no other rule may forbid it."""
        for name in ("no_repeat_ngram_size", "diversity_penalty"):
            if getattr(self, name):
                raise OptionError(name, "left out with required phrases", getattr(self, name))
        # A ban bars the last token of its sequence, so it can only be in the way of what has that token.
        required = {token_id for phrase in self.required_ids for token_id in phrase}
        barred = [sequence for sequence in self.banned_ids if sequence[-1] in required]
        if barred:
            raise OptionError(
                "banned_ids", "of sequences that end with no token of a required phrase", barred[0]
            )

    def _check_strategy(self) -> None:
        defaults = _defaults()
        for name in NOT_OF[self.strategy]:
            value = getattr(self, name)
            if value not in (defaults[name], TRUE_OF_ONE_ROW.get(name)):
                raise OptionError(name, f"left out with strategy {self.strategy!r}", value)

    def __reduce__(self) -> tuple[Callable[[tuple[object, ...]], DecodingOptions], tuple[tuple[object, ...]]]:
        """Options go to another process with every segment, and most segments have the same."""
        return _restored, (_values(self),)

    @property
    def rows(self) -> int:
        """Rows of the batch that a segment with these options occupies."""
        return self.beam_size if self.strategy == "beam" else 1

    @property
    def finished_wanted(self) -> int:
        """Finished hypotheses that a group has enough with: round(its rows * patience), enough to answer."""
        rows = self.beam_size // self.diversity_groups
        return max(1, -(-self.num_hypotheses // self.diversity_groups), round(rows * self.patience))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; options that the strategy does not have are left out."""
        unused = (*NOT_OF[self.strategy], *TOKEN_FIELDS)
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
        refused, since an option is never accepted and ignored. Raises `OptionError`, also for unknown names;
        of a default that does not fit with what is named it says that it is one.
        """
        known = _defaults()
        for name, value in data.items():
            if name not in known:
                raise OptionError(name, f"one of the known options ({', '.join(sorted(known))})", value)
        values = {**{name: getattr(defaults, name) for name in known}, **data}
        if values["strategy"] in STRATEGIES:
            foreign = NOT_OF[values["strategy"]]
            _refuse_foreign(data, values["strategy"])
            values = {name: value for name, value in values.items() if name in data or name not in foreign}
        try:
            return cls(**values)
        except OptionError as error:
            if error.field in data:
                raise
            raise OptionError(error.field, f"{error.bound}, which its default is not", error.value) from error


_NAMES = tuple(field.name for field in fields(DecodingOptions))
_values: Callable[[DecodingOptions], tuple[object, ...]] = attrgetter(*_NAMES)


@functools.lru_cache(maxsize=256)
def _restored(values: tuple[object, ...]) -> DecodingOptions:
    return DecodingOptions(**dict(zip(_NAMES, values, strict=True)))  # type: ignore[arg-type]


@functools.cache
def _defaults() -> Mapping[str, Any]:
    """Every option's default. Asked for with each request, so looked up once."""
    return {field.name: field.default for field in fields(DecodingOptions)}


def _refuse_foreign(data: Mapping[str, Any], strategy: StrategyKind) -> None:
    for name in NOT_OF[strategy]:
        if name in data and (isinstance(data[name], bool) or data[name] != TRUE_OF_ONE_ROW.get(name)):
            raise OptionError(name, f"left out with strategy {strategy!r}", data[name])


def _check_integer(field: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(field, "an integer", value)
    if not low <= value <= high:
        raise OptionError(field, f"in {low}..{high}", value)


def _check_number(
    field: str, value: object, low: float, high: float, *, above: bool = False, below: bool = False
) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(field, "a number", value)
    if not (low < value if above else low <= value) or not (value < high if below else value <= high):
        bound = f"{'above' if above else 'at least'} {low:g} and {'below' if below else 'at most'} {high:g}"
        raise OptionError(field, bound, value)


def _as_tuples(value: object) -> object:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _check_ids(field: str, token_ids: object) -> None:
    if not isinstance(token_ids, tuple):
        raise OptionError(field, "a sequence of token ids", token_ids)
    for token_id in token_ids:
        if isinstance(token_id, bool) or not isinstance(token_id, int) or token_id < 0:
            raise OptionError(field, "of token ids, which are integers of at least 0", token_id)


def _check_phrases(field: str, phrases: tuple[tuple[int, ...], ...], most: int) -> None:
    if not isinstance(phrases, tuple):
        raise OptionError(field, "a sequence of token sequences", phrases)
    if len(phrases) > most:
        raise OptionError(field, f"at most {most} token sequences", len(phrases))
    for phrase in phrases:
        _check_ids(field, phrase)
        if not 1 <= len(phrase) <= MAX_PHRASE_TOKENS:
            raise OptionError(field, f"sequences of 1..{MAX_PHRASE_TOKENS} tokens", len(phrase))
