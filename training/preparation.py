"""Raw files to what the loop reads: cleaned pairs, a tokenizer, encoded pairs.

Knows: which steps, in which order; the tokenizer is kept in the run folder, so that a resumed run has the
same one. Must not know: weights, optimisation.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.checkpoint import load_bundle
from model.config import ModelConfig
from model.placeholders import placeholder_symbols
from model.tokenizer import Tokenizer
from training.augmentation import Augmenter
from training.batching import EncodedCorpus
from training.config import TrainingConfig
from training.corpus import Cleaner, Pair, read_pairs
from training.data_config import ParallelText, TokenizerConfig
from training.errors import CorpusError, RecipeError
from training.files import write_atomically
from training.ragged import Ragged
from training.state import STATE_FILE
from training.tokenizer_training import TokenizerTrainingError, train_tokenizer, with_placeholders
from training.toy import write_generated

Say = Callable[[str], None]


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


def prepare(config: TrainingConfig, data_folder: Path, run_folder: Path, say: Say) -> PreparedData:
    """Everything that a run reads, so that a fault of any file shows before the first step.

    Raises `CorpusError` when a file is missing or no pair is left, `RecipeError` when the text does not
    support the vocabulary, `BundleError` when the bundle to start from is not sound.
    """
    if config.generate is not None:
        data_folder = write_generated(config.generate, run_folder / "generated")
    dev_text = _read_held_out("dev", config.data.dev, data_folder)
    tests = [_read_held_out(test.name, [test], data_folder) for test in config.test]
    pairs, cleaning = _training_pairs(config, data_folder)
    say(cleaning)
    tokenizer = _tokenizer(config, pairs, run_folder, say)
    network = network_config(config, tokenizer)
    return PreparedData(
        tokenizer=tokenizer,
        network=network,
        train=_encoded("training", pairs, tokenizer, config, say),
        dev=_encoded("dev", dev_text.pairs, tokenizer, config, say),
        dev_text=_readable(dev_text, tokenizer, network, say),
        tests=tuple(_readable(test, tokenizer, network, say) for test in tests),
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


def _training_pairs(config: TrainingConfig, data_folder: Path) -> tuple[list[Pair], str]:
    """Cleaned pairs of every corpus, each corpus as often as its `repeat` says."""
    cleaner, pairs = Cleaner(config.data), list[Pair]()
    symbols = placeholder_symbols(config.tokenizer.placeholders)
    augmenter = Augmenter(config.data.augmentation, symbols, config.seed)
    for corpus in config.data.train:
        kept = list(cleaner.clean(read_pairs(corpus, data_folder)))
        pairs += [varied for _ in range(corpus.repeat) for varied in map(augmenter.vary, kept)]
    cleaning = cleaner.report.describe() + augmenter.describe()
    if not pairs:
        raise CorpusError(f"no training pair is left after cleaning ({cleaning})")
    return pairs, cleaning


def _read_held_out(name: str, texts: Iterable[ParallelText], data_folder: Path) -> HeldOut:
    pairs = tuple(pair for text in texts for pair in read_pairs(text, data_folder))
    if not pairs:
        raise CorpusError(f"{name}: holds no pair")
    return HeldOut(name, pairs)


def _readable(text: HeldOut, tokenizer: Tokenizer, network: ModelConfig, say: Say) -> HeldOut:
    """The pairs whose source the network can read; scores are of these, and the log says how many are not."""
    sources = tokenizer.encode_sources([pair.source for pair in text.pairs])
    limit = network.max_source_length
    kept = tuple(pair for pair, ids in zip(text.pairs, sources, strict=True) if len(ids) <= limit)
    if not kept:
        raise CorpusError(f"{text.name}: every source is longer than model.max_source_length ({limit})")
    if left_out := len(text.pairs) - len(kept):
        of_all = f"{left_out:,} of {len(text.pairs):,}"
        say(f"{text.name}: {of_all} sources have more than {limit} tokens and are not scored")
    return HeldOut(text.name, kept)


def _tokenizer(config: TrainingConfig, pairs: Sequence[Pair], run_folder: Path, say: Say) -> Tokenizer:
    """The saved run's own tokenizer. Without a saved state a new one: settings or text may have changed."""
    folder = run_folder / "tokenizer"
    if folder.is_dir() and (run_folder / STATE_FILE).exists():
        return Tokenizer.load(folder)
    if config.start_from is not None:
        tokenizer = extended(load_bundle(Path(config.start_from)).tokenizer, config.tokenizer.placeholders)
    else:
        say(f"training a {config.tokenizer.kind} tokenizer of {config.tokenizer.vocab_size:,} tokens")
        tokenizer = Tokenizer.from_bytes(*_train_models(config.tokenizer, pairs))
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in tokenizer.files().items():
        write_atomically(folder / name, content)
    return tokenizer


def extended(tokenizer: Tokenizer, placeholders: int) -> Tokenizer:
    """The same with so many placeholder symbols; those that it lacks get ids behind all others.

    Raises `RecipeError` for a vocabulary that is not SentencePiece's own.
    """
    if len(tokenizer.placeholders) >= placeholders:
        return tokenizer
    files = tokenizer.files()
    if not all(name.endswith(".model") for name in files):
        bound = f"0 with start_from, whose vocabulary ({', '.join(files)}) takes no further pieces"
        raise RecipeError(f"tokenizer.placeholders must be {bound}, got {placeholders}")
    return Tokenizer.from_files({n: with_placeholders(model, placeholders) for n, model in files.items()})


def _train_models(config: TokenizerConfig, pairs: Sequence[Pair]) -> list[bytes]:
    """One joint model, or one for each side. Raises `RecipeError` or `CorpusError`."""
    if config.joint:
        sides = [[text for pair in pairs for text in pair]]
    else:
        sides = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    learn = partial(
        train_tokenizer, vocab_size=config.vocab_size, kind=config.kind, placeholders=config.placeholders
    )
    try:
        return [learn(side) for side in sides]
    except TokenizerTrainingError as error:
        if error.field in TokenizerConfig.model_fields:
            raise RecipeError(f"tokenizer.{error}") from error
        raise CorpusError(f"tokenizer: {error}") from error


def _encoded(
    name: str, pairs: Sequence[Pair], tokenizer: Tokenizer, config: TrainingConfig, say: Say
) -> EncodedCorpus:
    """Ids of the pairs that fit `data.max_tokens`, counted aloud. Raises `CorpusError` when none fits."""
    limit = config.data.max_tokens
    encoded = encode_pairs(tokenizer, pairs, limit)
    if not len(encoded):
        raise CorpusError(f"{name}: every pair is longer than data.max_tokens ({limit})")
    of_all = f"{len(encoded):,} of {len(pairs):,}"
    say(f"{name}: {of_all} pairs fit {limit} tokens, {int(encoded.target.offsets[-1]):,} target tokens")
    return encoded


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[Pair], max_tokens: int) -> EncodedCorpus:
    """Ids of every pair whose sides both fit `max_tokens`."""
    sources = tokenizer.encode_sources([pair.source for pair in pairs])
    targets = tokenizer.encode_targets([pair.target for pair in pairs])
    both = [(s, t) for s, t in zip(sources, targets, strict=True) if max(len(s), len(t)) <= max_tokens]
    return EncodedCorpus(Ragged.from_lists([s for s, _ in both]), Ragged.from_lists([t for _, t in both]))
