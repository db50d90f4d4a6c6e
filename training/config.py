"""What one training run is: data, tokenizer, network, optimisation, checkpoints. Frozen and checked.

Knows: every setting with its meaning, unit and bounds (those of the sections stand in data_config.py and
run_config.py), and which of them depend on each other. Must not know: tensors, files' contents, where data
lies on a machine (paths in a recipe are relative to the data folder that the caller names). docs/training.md
shows these settings; a test keeps it equal.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator

from model.bundle_config import BundleInfo
from model.config import ConfigError, ModelConfig
from model.decoding.options import DecodingOptions, OptionError
from model.directions import Pair
from model.language_signals import UNTOLD, LanguageSignals
from training.baselines.config import OF_EVERY_NETWORK, Baseline, GruBaseline
from training.data_config import (
    MAX_REPLACED_WORDS,
    DataConfig,
    GenerateConfig,
    HeldOutText,
    ParallelText,
    Section,
    TokenizerConfig,
)
from training.direction_check import check_directions
from training.errors import RecipeError
from training.recipe_faults import explain, unknown
from training.recipe_text import override, read_recipe
from training.run_config import (
    MOST,
    BatchConfig,
    CheckpointConfig,
    ModelCardConfig,
    OptimizerConfig,
    ValidationConfig,
)
from training.sources.config import Sources, together, with_paths_from

# Settings of the vocabulary that the one of `start_from` heeds too.
OF_ANY_VOCABULARY = frozenset(("placeholders", "spell_copies_below"))
# What the network takes from the tokenizer, so that a recipe cannot say it.
FROM_TOKENIZER = ("source_vocab_size", "target_vocab_size", "pad_id", "eos_id", "decoder_start_id")


class TrainingConfig(Section):
    """A whole run. `model` holds `ModelConfig` fields; vocabulary sizes and ids come from the tokenizer."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="the bundle's name, lower case")
    version: str = Field("1", min_length=1, description="the bundle's version")
    directions: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="`[[source, target]]`, as language codes; one model may have several"
    )
    seed: int = Field(1, ge=0, le=2**63 - 1, description="decides first weights, order and dropout")
    max_steps: int = Field(100_000, ge=1, le=MOST, description="updates of the weights")
    max_seconds: float | None = Field(
        None, gt=0, description="stop, resumably, after so many seconds of steps over all starts"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of activations; weights are float32"
    )
    compile: bool = Field(False, description="the passes of training are compiled by `torch.compile`")
    num_threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; default: what torch takes")
    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="`cpu`, `cuda` or `cuda:N`")
    start_from: str | None = Field(
        None,
        description="a bundle's folder: its weights are the first ones, and so is its vocabulary, unless "
        "`tokenizer` asks for a new one",
    )
    sources: Sources | None = Field(
        None,
        description="where the corpora come from; or a file with that section, or a list of such files, "
        "named from the recipe",
    )
    generate: GenerateConfig | None = Field(None, description="made-up data instead of files of yours")
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: dict[str, Any] = Field(default_factory=dict)
    baseline: Baseline | None = Field(None, discriminator="kind")
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    decoding: dict[str, Any] = Field(default_factory=dict)
    test: tuple[HeldOutText, ...] = Field((), description="texts that only the finished model is scored on")
    card: ModelCardConfig = ModelCardConfig()

    @model_validator(mode="after")
    def _sections_hold(self) -> TrainingConfig:
        self._refuse_unknown("model", self.model)
        self._refuse_unknown("decoding", self.decoding)
        size = self.tokenizer.vocab_size
        try:
            network = self.model_config_for(size, size, pad_id=0, eos_id=3, decoder_start_id=2)
        except ConfigError as error:
            raise ValueError(f"model.{error}") from error
        try:
            self.bundle_info()
        except OptionError as error:
            raise ValueError(f"decoding.{error}") from error
        self._check_relations(network)
        return self

    @staticmethod
    def _refuse_unknown(section: str, given: Mapping[str, Any]) -> None:
        known = known_settings()
        # What the tokenizer decides is refused with that reason.
        allowed = {*known[section], *(FROM_TOKENIZER if section == "model" else ())}
        faults = [unknown(section, str(name), known) for name in given if name not in allowed]
        if faults:
            raise ValueError("; ".join(faults))

    def _check_relations(self, network: ModelConfig) -> None:
        check_directions(self.directions, self.data, self.test)
        self._check_vocabulary()
        self._check_baseline()
        longest = min(network.max_source_length, network.max_target_length)
        if self.data.max_tokens > longest:
            bound = f"at most model.max_source_length and model.max_target_length ({longest})"
            raise ConfigError("data.max_tokens", bound, self.data.max_tokens)
        dropouts = (network.dropout, network.attention_dropout, network.activation_dropout)
        if self.optimizer.r_drop and not any(dropouts):
            raise ConfigError("optimizer.r_drop", "0 without any model.dropout", self.optimizer.r_drop)
        decay = self.optimizer.final_decay_steps
        if decay > self.max_steps:
            raise ConfigError("optimizer.final_decay_steps", f"at most max_steps {self.max_steps}", decay)
        names = [("dev", self.direction_of(test)) for test in self.test]
        names += [(test.name, self.direction_of(test)) for test in self.test]
        for name in names[len(self.test) :]:
            if names.count(name) > 1:
                raise ConfigError("test.name", "unlike the others, and not dev", name[0])

    def _check_vocabulary(self) -> None:
        share = self.data.augmentation.placeholders
        if share and self.tokenizer.placeholders < MAX_REPLACED_WORDS + 1:
            bound = f"0 with tokenizer.placeholders under {MAX_REPLACED_WORDS + 1}"
            raise ConfigError("data.augmentation.placeholders", bound, share)

    def _check_baseline(self) -> None:
        """Nothing is said that the network of a baseline would not heed."""
        if self.baseline is not None and self.start_from is not None:
            raise ConfigError("start_from", "left out with baseline, which no bundle holds", self.start_from)
        if isinstance(self.baseline, GruBaseline):
            for name in [name for name in self.model if name not in OF_EVERY_NETWORK]:
                bound = f"left out with baseline gru, which heeds {', '.join(OF_EVERY_NETWORK)}"
                raise ConfigError(f"model.{name}", bound, self.model[name])

    @property
    def learns_vocabulary(self) -> bool:
        """Whether a vocabulary is learned from the training text, and not the one of `start_from` used."""
        asked = self.tokenizer.model_fields_set - OF_ANY_VOCABULARY
        return self.start_from is None or bool(asked)

    def direction_of(self, text: ParallelText) -> Pair:
        """What a text of this recipe is translated from and into."""
        return text.direction or self.directions[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `check_recipe` makes this configuration of again."""
        learned = {"tokenizer": TokenizerConfig.model_fields.keys() - OF_ANY_VOCABULARY}
        return self.model_dump(mode="json", exclude=None if self.learns_vocabulary else learned)

    def with_all_settings(self) -> dict[str, Any]:
        """As `to_dict`, and in `model` and `decoding` what the recipe leaves to its default as well."""
        size = self.tokenizer.vocab_size
        network = self.model_config_for(size, size, pad_id=0, eos_id=3, decoder_start_id=2).to_dict()
        shape = {name: value for name, value in network.items() if name not in FROM_TOKENIZER}
        return self.to_dict() | {"model": shape, "decoding": self.decoding_options().to_dict()}

    def bundle_info(self, signals: LanguageSignals = UNTOLD) -> BundleInfo:
        """What the bundle says of itself, `signals` of its vocabulary included.

        Raises `ConfigError` or `OptionError`.
        """
        return BundleInfo(
            name=self.name,
            version=self.version,
            directions=self.directions,
            decoding=self.decoding_options(),
            signals=signals,
        )

    def decoding_options(self) -> DecodingOptions:
        """The bundle's decoding defaults. Raises `OptionError`."""
        return DecodingOptions.from_dict(self.decoding)

    def model_config_for(
        self, source_vocab_size: int, target_vocab_size: int, **special_ids: int
    ) -> ModelConfig:
        """The network's configuration once the vocabulary is known. Raises `ConfigError`."""
        for field in FROM_TOKENIZER:
            if field in self.model:
                raise ConfigError(field, "left out (the tokenizer decides it)", self.model[field])
        # Two vocabularies of one size have nothing else in common: row 17 of both is not the same piece.
        shared = self.model.get("share_embeddings", self.tokenizer.joint)
        if shared and not self.tokenizer.joint:
            raise ConfigError("share_embeddings", "false with tokenizer.joint false", shared)
        sizes = {"source_vocab_size": source_vocab_size, "target_vocab_size": target_vocab_size}
        return ModelConfig.from_dict({**self.model, "share_embeddings": shared, **sizes, **special_ids})


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> TrainingConfig:
    """Read and check a recipe, with `section.name=value` overrides put in.

    Raises `RecipeError` naming the file and each field with its bound and the value.
    """
    data = override(read_recipe(path), overrides)
    named = data.get("sources")
    files = [named] if isinstance(named, str) else named
    if isinstance(files, list) and all(isinstance(file, str) for file in files):
        sections = {
            file: with_paths_from(PurePosixPath(file).parent, read_recipe(path.parent / file))
            for file in files
        }
        data = {**data, "sources": together(sections)}
    return check_recipe(data, str(path))


def check_recipe(data: dict[str, Any], origin: str = "recipe") -> TrainingConfig:
    """A checked configuration from plain values. Raises `RecipeError`."""
    try:
        return TrainingConfig.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {explain(error, known_settings())}") from error


def sections(of: type[BaseModel] = TrainingConfig) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section below a configuration class: its place in the recipe, and its class.

    `sources.files.*` is the place of sections that have names of the user's.
    """
    for name, field in of.model_fields.items():
        own = f"{name}.*" if get_origin(field.annotation) is dict else name
        for inner in _models_in(field.annotation):
            yield own, inner
            yield from ((f"{own}.{place}", deeper) for place, deeper in sections(inner))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


@functools.cache
def known_settings() -> dict[str, frozenset[str]]:
    """The names of every section by its place in a recipe, as `data.train`; the top level is ""."""
    known = {"": frozenset(TrainingConfig.model_fields)}
    for place, section in sections():  # one place may hold sections of several kinds
        known[place] = known.get(place, frozenset()) | section.model_fields.keys()
    network = {field.name for field in fields(ModelConfig)} - set(FROM_TOKENIZER)
    decoding = {field.name for field in fields(DecodingOptions)}
    return known | {"model": frozenset(network), "decoding": frozenset(decoding)}
