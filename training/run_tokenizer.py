"""The tokenizer of a run: its own from before, a bundle's, or one learned from the run's text.

Knows: where it lies in the run folder, so that a resumed run has the same one. Must not know: how a
vocabulary is learned (tokenizer_training.py), ids.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from model.alphabets import in_both_cases, letters_of
from model.checkpoint import load_bundle
from model.placeholders import placeholder_symbols
from model.tokenizer import JOINT_FILE, Tokenizer, TokenizerError
from training.config import TrainingConfig
from training.corpus import Pair
from training.data_config import TokenizerConfig
from training.errors import CorpusError, RecipeError, ResumeError
from training.files import write_atomically
from training.language_tags import language_tags
from training.monitor import Monitor
from training.pair_text import PairText
from training.spelled_copies import copy_counts, rare_copies, without_pieces
from training.tokenizer_training import TokenizerTrainingError, train_tokenizer, with_symbols

FOLDER = "tokenizer"


def make_tokenizer(config: TrainingConfig, text: PairText, monitor: Monitor) -> Tokenizer:
    """A new one: settings or text may have changed.

    Raises `RecipeError` when the text does not support the vocabulary, `BundleError` when the bundle to start
    from is not sound.
    """
    tokenizer = _tokenizer_of(config, text, monitor)
    if below := config.tokenizer.spell_copies_below:
        return _spelling_copies(tokenizer, text, below, monitor)
    return tokenizer


def _tokenizer_of(config: TrainingConfig, text: PairText, monitor: Monitor) -> Tokenizer:
    languages = tuple(language_tags(config.directions).values())
    if config.start_from is not None and not config.learns_vocabulary:
        bundle = load_bundle(Path(config.start_from))
        return extended(bundle.tokenizer, config.tokenizer.placeholders, config.data.tags(), languages)
    settings = config.tokenizer
    monitor.say(f"training a {settings.kind} tokenizer of {settings.vocab_size:,} tokens")
    return Tokenizer.from_bytes(*_train_models(config, languages, text))


def keep_tokenizer(tokenizer: Tokenizer, run_folder: Path) -> None:
    """It becomes the run's, instead of an earlier one."""
    folder = run_folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in tokenizer.files().items():
        write_atomically(folder / name, content)


def load_tokenizer(run_folder: Path) -> Tokenizer:
    """The run's own. Raises `ResumeError` where it is gone or damaged."""
    try:
        return Tokenizer.load(run_folder / FOLDER)
    except TokenizerError as error:
        raise ResumeError(f"{error}; put back what it was, or use another run folder") from error


def has_tokenizer(run_folder: Path) -> bool:
    return (run_folder / FOLDER).is_dir()


def kept_digest(run_folder: Path) -> str | None:
    """`tokenizer_digest` of the run's own; None where it is gone or damaged."""
    try:
        return tokenizer_digest(Tokenizer.load(run_folder / FOLDER))
    except TokenizerError:
        return None


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """SHA-256 of its files and their names: with another, the same ids are other pieces."""
    digest = hashlib.sha256()
    for name, content in tokenizer.files().items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def extended(
    tokenizer: Tokenizer, placeholders: int, tags: Sequence[str] = (), languages: Sequence[str] = ()
) -> Tokenizer:
    """The same with so many placeholder symbols, these tags, and these tags of languages, which no text has.

    New ones get ids behind all others. Raises `RecipeError` for a vocabulary that lacks one and is not
    SentencePiece's own, and for one that has a language's tag as a piece of text.
    """
    known = tokenizer.source_pieces(range(tokenizer.source_vocab_size))
    if len(tokenizer.placeholders) >= placeholders and not tags and set(languages) <= set(known):
        return tokenizer
    files = tokenizer.files()
    if not all(name.endswith(".model") for name in files):
        fault = f"with start_from, whose vocabulary ({', '.join(files)}) takes no further pieces"
        if tags:
            raise RecipeError(f"data.train.tag must be left out {fault}, got {tags[0]}")
        if missing := [tag for tag in languages if tag not in known]:
            raise RecipeError(f"directions must have one target language {fault}, got {missing[0]}")
        raise RecipeError(f"tokenizer.placeholders must be 0 {fault}, got {placeholders}")
    symbols = (*tags, *placeholder_symbols(placeholders))
    try:
        return Tokenizer.from_files(
            {n: with_symbols(model, symbols, languages) for n, model in files.items()}
        )
    except TokenizerTrainingError as error:
        raise RecipeError(f"start_from: the vocabulary's {error}") from error


def _spelling_copies(tokenizer: Tokenizer, text: PairText, below: int, monitor: Monitor) -> Tokenizer:
    """Raises `RecipeError` for a vocabulary that is not one SentencePiece model for both sides."""
    files = tokenizer.files()
    if list(files) != [JOINT_FILE]:
        fault = f"with start_from, whose vocabulary ({', '.join(files)}) is not one for both sides"
        raise RecipeError(f"tokenizer.spell_copies_below must be 0 {fault}, got {below}")
    with monitor.counting("counting pieces", len(text)) as done:
        counts = copy_counts(tokenizer, _aloud(text.chunks(0, len(text)), done))
    rare = list(rare_copies(files[JOINT_FILE], counts, below))
    monitor.say(f"{len(rare):,} rare words that both sides copy are spelled by smaller pieces")
    return Tokenizer.from_bytes(without_pieces(files[JOINT_FILE], rare))


def _aloud(chunks: Iterable[list[Pair]], done: Callable[[int], None]) -> Iterator[list[Pair]]:
    """The same, each counted once it was used."""
    for chunk in chunks:
        yield chunk
        done(len(chunk))


def _train_models(config: TrainingConfig, tags_of_languages: Sequence[str], text: PairText) -> list[bytes]:
    """One joint model, or one for each side. Raises `RecipeError` or `CorpusError`."""
    settings = config.tokenizer
    sides: list[Iterable[str]] = [(pair.source for pair in text), (pair.target for pair in text)]
    if settings.joint:
        sides = [(side for pair in text for side in pair)]
    learn = partial(
        train_tokenizer,
        vocab_size=settings.vocab_size,
        kind=settings.kind,
        letters=_letters(config),
        placeholders=settings.placeholders,
        tags=config.data.tags(),
        control_symbols=tags_of_languages,
    )
    try:
        return [learn(side) for side in sides]
    except TokenizerTrainingError as error:
        if error.field in TokenizerConfig.model_fields:
            raise RecipeError(f"tokenizer.{error}") from error
        raise CorpusError(f"tokenizer: {error}") from error


def _letters(config: TrainingConfig) -> frozenset[str]:
    """Of all its languages: a word with a rare one of these is a word like any other."""
    return in_both_cases(letter for pair in config.directions for one in pair for letter in letters_of(one))
