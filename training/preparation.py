"""Everything that a run reads: its tokenizer, encoded pairs, held-out texts.

Knows: what belongs to it, and the network's sizes, which the tokenizer decides. Must not know: how pairs are
cleaned and encoded, weights, optimisation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from model.config import ModelConfig
from model.decoding.demands import check_tokens
from model.decoding.options import OptionError
from model.directions import Pair as Direction
from model.language_signals import NO_SIGNAL, LanguageSignals, Signal
from model.tokenizer import Tokenizer
from training.batching import EncodedCorpus
from training.config import TrainingConfig
from training.corpus import Pair, read_pairs
from training.data_config import ParallelText
from training.encoding import encode_pairs, encode_sources, report_fitting
from training.errors import CorpusError, RecipeError
from training.fingerprints import fingerprint
from training.language_tags import language_signals
from training.monitor import Monitor
from training.toy import write_generated
from training.training_pairs import training_pairs


@dataclass(frozen=True)
class HeldOut:
    """Text that nothing is learned from. `signal` tells the network its direction."""

    name: str
    pairs: tuple[Pair, ...]
    direction: Direction
    signal: Signal = NO_SIGNAL

    @property
    def sources(self) -> list[str]:
        return [pair.source for pair in self.pairs]

    @property
    def references(self) -> list[str]:
        return [pair.target for pair in self.pairs]


@dataclass(frozen=True)
class DevText:
    """Of one direction: the pairs that are translated, and the ids of those that a loss is taken of."""

    text: HeldOut
    encoded: EncodedCorpus


@dataclass(frozen=True)
class PreparedData:
    tokenizer: Tokenizer
    network: ModelConfig
    signals: LanguageSignals
    train: EncodedCorpus
    dev: tuple[DevText, ...]  # of each direction, in the order of the recipe
    tests: tuple[HeldOut, ...]
    cleaning: str  # what was read, kept and dropped, in words
    dev_sha256: Mapping[str, str] = field(default_factory=dict)  # of each dev file, by its name in the recipe

    @property
    def held_out(self) -> tuple[HeldOut, ...]:
        """Everything that is scored, the dev texts first."""
        return (*(dev.text for dev in self.dev), *self.tests)


def prepare(config: TrainingConfig, data_folder: Path, run_folder: Path, monitor: Monitor) -> PreparedData:
    """Everything that a run reads, so that a fault of any file shows before the first step.

    What the first call prepared, later ones and other processes only open. Raises `CorpusError` when a file
    is missing or no pair is left, `ResumeError` when a saved run's data has changed, `RecipeError` when the
    text does not support the vocabulary, or that lacks ids of `decoding`, `BundleError` when the bundle to
    start from is not sound.
    """
    if config.generate is not None:
        data_folder = write_generated(config.generate, run_folder / "generated")
    devs, tests = _held_out(config, data_folder)
    tokenizer, train, cleaning = training_pairs(config, data_folder, run_folder, monitor)
    network, signals = network_config(config, tokenizer), language_signals(config.directions, tokenizer)
    _check_decoding(config, network)
    devs, tests = ([_told(text, signals) for text in texts] for texts in (devs, tests))
    encoded = [_encoded(dev, tokenizer, config, monitor) for dev in devs]
    readable = [_readable(dev, tokenizer, network, monitor) for dev in devs]
    return PreparedData(
        tokenizer=tokenizer,
        network=network,
        signals=signals,
        train=train,
        dev=tuple(map(DevText, readable, encoded)),
        tests=tuple(_readable(test, tokenizer, network, monitor) for test in tests),
        cleaning=cleaning,
        dev_sha256=_digests(config, data_folder),
    )


def _digests(config: TrainingConfig, data_folder: Path) -> dict[str, str]:
    names = [name for text in config.data.dev for name in text.paths()]
    return {name: fingerprint(data_folder / name).sha256 for name in names}


def network_config(config: TrainingConfig, tokenizer: Tokenizer) -> ModelConfig:
    """The network whose vocabulary and special tokens are the tokenizer's."""
    return config.model_config_for(
        tokenizer.source_vocab_size,
        tokenizer.target_vocab_size,
        pad_id=tokenizer.pad_id,
        eos_id=tokenizer.eos_id,
        decoder_start_id=tokenizer.bos_id,
    )


def _check_decoding(config: TrainingConfig, network: ModelConfig) -> None:
    """Token ids are used behind the last step only, and known to be right or wrong from here on."""
    try:
        check_tokens(config.decoding_options(), network)
    except OptionError as error:
        raise RecipeError(f"decoding.{error}; put in ids of the run's vocabulary, or leave it out") from error


def _held_out(config: TrainingConfig, data_folder: Path) -> tuple[list[HeldOut], list[HeldOut]]:
    """A dev text of each direction, and the test texts, before there is a tokenizer."""
    of_direction = {
        direction: [text for text in config.data.dev if config.direction_of(text) == direction]
        for direction in config.directions
    }
    devs = [_read_held_out("dev", texts, way, config, data_folder) for way, texts in of_direction.items()]
    tests = [
        _read_held_out(test.name, [test], config.direction_of(test), config, data_folder)
        for test in config.test
    ]
    return devs, tests


def _read_held_out(
    name: str,
    texts: Iterable[ParallelText],
    direction: Direction,
    config: TrainingConfig,
    data_folder: Path,
) -> HeldOut:
    """The name says the direction where there are several."""
    if len(config.directions) > 1:
        name = f"{name}, {'-'.join(direction)}"
    pairs = tuple(pair for text in texts for pair in read_pairs(text, data_folder))
    if not pairs:
        raise CorpusError(f"{name}: holds no pair")
    return HeldOut(name, pairs, direction)


def _told(text: HeldOut, signals: LanguageSignals) -> HeldOut:
    return replace(text, signal=signals.of(*text.direction))


def _readable(text: HeldOut, tokenizer: Tokenizer, network: ModelConfig, monitor: Monitor) -> HeldOut:
    """The pairs whose source the network can read; scores are of these, and the log says how many are not."""
    sources = encode_sources(tokenizer, text.sources, text.signal)
    limit = network.max_source_length
    kept = tuple(pair for pair, ids in zip(text.pairs, sources, strict=True) if len(ids) <= limit)
    if not kept:
        raise CorpusError(f"{text.name}: every source is longer than model.max_source_length ({limit})")
    if left_out := len(text.pairs) - len(kept):
        of_all = f"{left_out:,} of {len(text.pairs):,}"
        monitor.say(f"{text.name}: {of_all} sources have more than {limit} tokens and are not scored")
    return replace(text, pairs=kept)


def _encoded(text: HeldOut, tokenizer: Tokenizer, config: TrainingConfig, monitor: Monitor) -> EncodedCorpus:
    """Ids of the pairs that fit `data.max_tokens`, counted aloud. Raises `CorpusError` when none fits."""
    limit = config.data.max_tokens
    encoded = encode_pairs(tokenizer, text.pairs, limit, text.signal)
    tokens = int(encoded.target.offsets[-1])
    report_fitting(text.name, len(encoded), len(text.pairs), tokens, limit, monitor)
    return encoded
