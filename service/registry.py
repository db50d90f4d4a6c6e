"""The models that are loaded, and which of them serves a pair of languages.

Knows directions and names; must not know texts, HTTP, or how a model is loaded or run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from model.directions import Directions, Pair
from model.language_signals import LanguageSignals, Signal
from service.errors import FieldFault, InvalidRequest, LanguageNotAvailable, ModelNotFound
from service.language_codes import match
from service.protection import Protector

if TYPE_CHECKING:  # annotations only: the engine's package may import torch, and routes must not
    from model.decoding.options import DecodingOptions
    from model.tokenizer import Tokenizer
    from service.engine.handle import EngineHandle


MAX_LISTED_PAIRS = 50  # in an error
MAX_REMEMBERED = 1000  # ways to ask for a route


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedModel:
    """A loaded bundle behind its engine. `max_source_length` is in tokens, `</s>` included; `alignment_layer`
    is the decoder layer whose attention aligns words; `signals` say how the model is told its languages.
    Any sequence of pairs given as `directions` becomes `Directions`."""

    name: str
    version: str
    directions: Sequence[Pair]
    dtype: str
    device: str
    created: int  # when the bundle was written, seconds since 1970
    load_seconds: float
    max_source_length: int
    defaults: DecodingOptions
    tokenizer: Tokenizer
    engine: EngineHandle
    alignment_layer: int = -1
    copying: bool = True  # whether what it is not to touch is kept from it, where it has learned to copy
    manifest_digest: str = ""  # SHA-256, by which one bundle is told from another of the same name

    @property
    def path(self) -> str:
        """How its network computes now: `eager`, `native` (`model.network.Network.path`)."""
        return self.engine.snapshot().path

    signals: LanguageSignals = field(default_factory=LanguageSignals)

    # What knows what the model is not to touch; None where it has not learned to copy.
    protector: Protector | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "protector", Protector.of(self.tokenizer, copying=self.copying))
        if not isinstance(self.directions, Directions):
            object.__setattr__(self, "directions", Directions(self.directions))

    @property
    def languages(self) -> Directions:
        """`directions`, by their own type."""
        assert isinstance(self.directions, Directions)
        return self.directions


@dataclass(frozen=True, slots=True)
class Route:
    """A model and the direction it is used in; the codes as the bundle writes them."""

    model: ServedModel
    source: str
    target: str

    @property
    def pair(self) -> str:
        """`en-de`: the label of metrics."""
        return f"{self.source}-{self.target}"

    @property
    def signal(self) -> Signal:
        """The tokens that tell the model this direction."""
        return self.model.signals.of(self.source, self.target)

    @property
    def max_source_length(self) -> int:
        """Tokens of a text's segment, `</s>` included: what tells the languages takes room too."""
        return self.model.max_source_length - self.signal.num_source_tokens


class ModelRegistry:
    """All served models, in order of their names; of two that serve a direction the first is chosen.

    Pairs are never listed to find one: a model of 200 languages has 40 000.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.models = tuple(sorted(models, key=lambda model: model.name))
        self._selected: dict[tuple[str | None, str | None, str | None], Sequence[Route]] = {}

    @cached_property
    def languages(self) -> list[str]:
        """Codes that are served on either side, sorted."""
        served = (model.languages for model in self.models)
        return sorted({code for one in served for code in (*one.sources, *one.targets)})

    def targets_of(self, source: str) -> list[str]:
        """What some model translates this source into, sorted."""
        return sorted({target for model in self.models for target in model.languages.targets_of(source)})

    def select(self, model: str | None, source: str | None, target: str | None) -> Sequence[Route]:
        """Every route that fits what was given (None: anything), best first; at least one.

        Raises ModelNotFound and LanguageNotAvailable, which list what there is.
        """
        asked = (model, source, target)
        if (known := self._selected.get(asked)) is not None:
            return known
        found = self._find(model, source, target)
        # Few routes have both languages; but there are many ways to write one.
        if source is not None and target is not None and len(self._selected) < MAX_REMEMBERED:
            self._selected[asked] = found
        return found

    def _find(self, model: str | None, source: str | None, target: str | None) -> Sequence[Route]:
        models = self._named(model)
        sources, targets = (
            _codes(one.languages.sources for one in models),
            _codes(one.languages.targets for one in models),
        )
        wanted_source = None if source is None else _require("source", source, sources)
        wanted_target = None if target is None else _require("target", target, targets)
        fitting = [route for one in models for route in _routes(one, wanted_source, wanted_target)]
        if not fitting:
            raise _pair_missing(wanted_source, wanted_target, models)
        return fitting

    def _named(self, name: str | None) -> Sequence[ServedModel]:
        if name is None:
            return self.models
        named = [model for model in self.models if model.name == name]
        if not named:
            bound = "one of " + ", ".join(model.name for model in self.models)
            raise ModelNotFound("There is no such model.", faults=[FieldFault("model", bound, name)])
        return named


def _codes(of_models: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(code for codes in of_models for code in codes))


def _routes(model: ServedModel, source: str | None, target: str | None) -> Iterator[Route]:
    """The model's routes in order of its directions, those that fit."""
    for one in model.languages.sources if source is None else (source,):
        for other in model.languages.targets_of(one) if target is None else (target,):
            if (one, other) in model.languages:
                yield Route(model, one, other)


def require_one_target(routes: Sequence[Route]) -> Route:
    """The best route; raises InvalidRequest when the target was left open and there are several."""
    targets = list(dict.fromkeys(route.target for route in routes))
    if len(targets) > 1:
        fault = FieldFault("target", "given: one of " + ", ".join(targets), None)
        raise InvalidRequest(
            f"The target is needed: from {routes[0].source} there are several.", faults=[fault]
        )
    return routes[0]


def _require(field: str, wanted: str, served: Sequence[str]) -> str:
    code = match(wanted, served)
    if code is None:
        fault = FieldFault(field, "one of " + ", ".join(served), wanted)
        raise LanguageNotAvailable(f"The {field} language is not available.", faults=[fault])
    return code


def _pair_missing(
    source: str | None, target: str | None, models: Sequence[ServedModel]
) -> LanguageNotAvailable:
    """Every pair is told where they are few, else those from the same source."""
    few = sum(len(model.languages) for model in models) <= MAX_LISTED_PAIRS
    near = [route.pair for model in models for route in _routes(model, None if few else source, None)]
    served = ", ".join(dict.fromkeys(near))
    pair = f"{source}-{target}"
    fault = FieldFault("target", f"of a served pair: {served}", pair)
    return LanguageNotAvailable(f"The pair {pair} is not available.", faults=[fault])
