"""Everything that a run reads: its tokenizer, encoded pairs, held-out texts.

Knows: what belongs to it, and the network's sizes, which the tokenizer decides. Must not know: how pairs are
cleaned and encoded, weights, optimisation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model.config import ModelConfig
from model.tokenizer import Tokenizer
from training.batching import EncodedCorpus
from training.config import TrainingConfig
from training.corpus import Pair, read_pairs
from training.data_config import ParallelText
from training.encoding import encode_pairs, report_fitting
from training.errors import CorpusError
from training.monitor import Monitor
from training.toy import write_generated
from training.training_pairs import training_pairs


@dataclass(frozen=True)
class HeldOut:
    """Text that nothing is learned from."""

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class PreparedData:
    tokenizer: Tokenizer
    network: ModelConfig
    train: EncodedCorpus
    dev: EncodedCorpus
    dev_text: HeldOut
    tests: tuple[HeldOut, ...]
    cleaning: str  # what was read, kept and dropped, in words


def prepare(config: TrainingConfig, data_folder: Path, run_folder: Path, monitor: Monitor) -> PreparedData:
    """Everything that a run reads, so that a fault of any file shows before the first step.

    What the first call prepared, later ones and other processes only open. Raises `CorpusError` when a file
    is missing or no pair is left, `ResumeError` when a saved run's data has changed, `RecipeError` when the
    text does not support the vocabulary, `BundleError` when the bundle to start from is not sound.
    """
    if config.generate is not None:
        data_folder = write_generated(config.generate, run_folder / "generated")
    dev_text = _read_held_out("dev", config.data.dev, data_folder)
    tests = [_read_held_out(test.name, [test], data_folder) for test in config.test]
    tokenizer, train, cleaning = training_pairs(config, data_folder, run_folder, monitor)
    network = network_config(config, tokenizer)
    return PreparedData(
        tokenizer=tokenizer,
        network=network,
        train=train,
        dev=_encoded(dev_text, tokenizer, config, monitor),
        dev_text=_readable(dev_text, tokenizer, network, monitor),
        tests=tuple(_readable(test, tokenizer, network, monitor) for test in tests),
        cleaning=cleaning,
    )


def network_config(config: TrainingConfig, tokenizer: Tokenizer) -> ModelConfig:
    """The network whose vocabulary and special tokens are the tokenizer's."""
    return config.model_config_for(
        tokenizer.source_vocab_size,
        tokenizer.target_vocab_size,
        pad_id=tokenizer.pad_id,
        eos_id=tokenizer.eos_id,
        decoder_start_id=tokenizer.bos_id,
    )


def _read_held_out(name: str, texts: Iterable[ParallelText], data_folder: Path) -> HeldOut:
    pairs = tuple(pair for text in texts for pair in read_pairs(text, data_folder))
    if not pairs:
        raise CorpusError(f"{name}: holds no pair")
    return HeldOut(name, pairs)


def _readable(text: HeldOut, tokenizer: Tokenizer, network: ModelConfig, monitor: Monitor) -> HeldOut:
    """The pairs whose source the network can read; scores are of these, and the log says how many are not."""
    sources = tokenizer.encode_sources([pair.source for pair in text.pairs])
    limit = network.max_source_length
    kept = tuple(pair for pair, ids in zip(text.pairs, sources, strict=True) if len(ids) <= limit)
    if not kept:
        raise CorpusError(f"{text.name}: every source is longer than model.max_source_length ({limit})")
    if left_out := len(text.pairs) - len(kept):
        of_all = f"{left_out:,} of {len(text.pairs):,}"
        monitor.say(f"{text.name}: {of_all} sources have more than {limit} tokens and are not scored")
    return HeldOut(text.name, kept)


def _encoded(text: HeldOut, tokenizer: Tokenizer, config: TrainingConfig, monitor: Monitor) -> EncodedCorpus:
    """Ids of the pairs that fit `data.max_tokens`, counted aloud. Raises `CorpusError` when none fits."""
    limit = config.data.max_tokens
    encoded = encode_pairs(tokenizer, text.pairs, limit)
    tokens = int(encoded.target.offsets[-1])
    report_fitting(text.name, len(encoded), len(text.pairs), tokens, limit, monitor)
    return encoded
