"""From a foreign checkpoint's tensors to our network: each of ours has a source, and nothing is left over.

Knows: our network's names and shapes. Must not know: files, which model family it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from model.config import ConfigError, ModelConfig
from model.decoding.options import DecodingOptions
from model.directions import Directions
from model.importers.foreign_weights import ForeignWeights
from model.language_signals import LanguageSignals
from model.manifest import BundleError
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from model.weights import empty_model, named_tensors, put_tensors

Source = str | Callable[[ForeignWeights], Tensor]  # a foreign name, or what makes the tensor of several


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user says of the model to import: languages where the folder does not say them."""

    name: str
    version: str = "1"
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ConfigError where nothing would be translated."""
        if len(self.sources) == 1 and self.sources == self.targets:
            raise ConfigError("target", "another language than the source", self.targets[0])

    def check_sides(self, path: Path, key: str, sources: Collection[str], targets: Collection[str]) -> None:
        """Raises BundleError where a language is wanted on one side that `key` of the file has on the other
        alone: the bundle would be called the reverse of what it is. Other names are the user's own choice."""
        sides = (("--source", self.sources, sources, targets), ("--target", self.targets, targets, sources))
        for option, wanted, own, other in sides:
            for code in wanted:
                if _language(code) in set(map(_language, other)) - set(map(_language, own)):
                    bound = f"{', '.join(own)} ({key}), and not of the other side"
                    raise BundleError(path, f"{option} must be {bound}, got {code!r}")


def _language(code: str) -> str:
    """Without region and script: `de` of `de-AT`, `de_DE`."""
    return code.replace("_", "-").partition("-")[0].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignModel:
    """What an importer has understood of a folder.

    `tensors`: each name of `named_tensors(Transformer(config))` -> where its value comes from. `copies`:
    tensors that may be stored beside the one they are tied to. `ignored`: those that say nothing new.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    directions: Directions
    decoding: DecodingOptions
    tensors: Mapping[str, Source]
    signals: LanguageSignals = field(default_factory=LanguageSignals)
    copies: Mapping[str, str] = field(default_factory=dict)
    ignored: Iterable[str] = ()


def read_network(foreign: ForeignModel, weights: ForeignWeights) -> Transformer:
    """The network, in float32 and eval mode. Raises BundleError naming a tensor that is missing, left over,
    misshapen, or not what it is tied to."""
    model = empty_model(foreign.config)
    expected = named_tensors(model)
    if unequal := sorted(expected.keys() ^ foreign.tensors.keys()):
        raise AssertionError(f"an importer must say where every tensor comes from: {unequal[0]}")
    tensors = {name: _tensor(name, foreign.tensors[name], weights, expected[name]) for name in expected}
    for name, original in foreign.copies.items():
        weights.check_copy(name, original)
    for name in foreign.ignored:
        weights.ignore(name)
    if left := weights.unasked:
        fault = f"tensor {left[0]} does not belong to this architecture ({len(left)} unexpected in all)"
        raise BundleError(weights.path, fault)
    put_tensors(model, tensors)
    return model.eval()


def _tensor(name: str, source: Source, weights: ForeignWeights, expected: Tensor) -> Tensor:
    tensor = weights.get(source) if isinstance(source, str) else source(weights)
    if tensor.shape != expected.shape:
        called = source if isinstance(source, str) else f"for {name}"
        shapes = f"{list(tensor.shape)}; config.json says {list(expected.shape)}"
        raise BundleError(weights.path, f"tensor {called} has shape {shapes}")
    return tensor.clone()  # never the mapped file, which may change
