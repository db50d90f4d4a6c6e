"""The models that are loaded, and which of them serves a pair of languages.

Knows directions and names; must not know texts, HTTP, or how a model is loaded or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import FieldFault, InvalidRequest, LanguageNotAvailable, ModelNotFound
from service.language_codes import match

if TYPE_CHECKING:  # annotations only: the engine's package may import torch, and routes must not
    from model.decoding.options import DecodingOptions
    from model.tokenizer import Tokenizer
    from service.engine.handle import EngineHandle


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedModel:
    """A loaded bundle behind its engine. `max_source_length` is in tokens, `</s>` included; `alignment_layer`
    is the decoder layer whose attention aligns words."""

    name: str
    version: str
    directions: tuple[tuple[str, str], ...]
    dtype: str
    device: str
    created: int  # when the bundle was written, seconds since 1970
    load_seconds: float
    max_source_length: int
    defaults: DecodingOptions
    tokenizer: Tokenizer
    engine: EngineHandle
    alignment_layer: int = -1


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


class ModelRegistry:
    """All served models, in order of their names; of two that serve a direction the first is chosen."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.models = tuple(sorted(models, key=lambda model: model.name))
        self.routes = tuple(
            Route(model, source, target) for model in self.models for source, target in model.directions
        )

    @property
    def pairs(self) -> list[str]:
        """Served directions, each once, as `en-de`."""
        return list(dict.fromkeys(route.pair for route in self.routes))

    @property
    def languages(self) -> list[str]:
        """Codes that are served on either side, sorted."""
        return sorted({code for route in self.routes for code in (route.source, route.target)})

    def select(self, model: str | None, source: str | None, target: str | None) -> list[Route]:
        """Every route that fits what was given (None: anything), best first; at least one.

        Raises ModelNotFound and LanguageNotAvailable, which list what there is.
        """
        routes = self._of_model(model)
        sources = list(dict.fromkeys(route.source for route in routes))
        targets = list(dict.fromkeys(route.target for route in routes))
        wanted_source = None if source is None else _require("source", source, sources)
        wanted_target = None if target is None else _require("target", target, targets)
        fitting = [
            route
            for route in routes
            if wanted_source in (None, route.source) and wanted_target in (None, route.target)
        ]
        if not fitting:
            raise _pair_missing(f"{wanted_source}-{wanted_target}", routes)
        return fitting

    def _of_model(self, name: str | None) -> Sequence[Route]:
        if name is None:
            return self.routes
        routes = [route for route in self.routes if route.model.name == name]
        if not routes:
            bound = "one of " + ", ".join(model.name for model in self.models)
            raise ModelNotFound("There is no such model.", faults=[FieldFault("model", bound, name)])
        return routes


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


def _pair_missing(pair: str, routes: Sequence[Route]) -> LanguageNotAvailable:
    served = ", ".join(dict.fromkeys(route.pair for route in routes))
    fault = FieldFault("target", f"of a served pair: {served}", pair)
    return LanguageNotAvailable(f"The pair {pair} is not available.", faults=[fault])
