"""The encoded pairs of a run: opened where they lie prepared, or prepared from the files once and for all.

Knows: when prepared pairs are still those of the recipe and the files, and the order of the steps that make
them. Must not know: how a step works, weights, batches.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model.manifest import MANIFEST_FILE
from model.tokenizer import Tokenizer
from training.batching import EncodedCorpus
from training.config import TrainingConfig
from training.encoding import StoredPairs, encode_into, report_fitting, text_name
from training.errors import CorpusError, RecipeError, ResumeError
from training.fingerprints import Fingerprint, fingerprint
from training.language_tags import language_signals, language_tags
from training.mixing import Mixture
from training.monitor import Monitor
from training.pair_text import TEXT_DTYPE
from training.prepared_folder import (
    FOLDER,
    PARTIAL_FOLDER,
    Index,
    read_index,
    replace_folder,
    stored_bytes,
    what_changed,
    write_index,
)
from training.ragged import Ragged
from training.run_tokenizer import FOLDER as TOKENIZER_FOLDER
from training.run_tokenizer import (
    has_tokenizer,
    keep_tokenizer,
    kept_digest,
    load_tokenizer,
    make_tokenizer,
    tokenizer_digest,
)
from training.state import STATE_FILE
from training.subword_sampling import SubwordSampler, sampled_sides
from training.training_text import TrainingText, write_training_text


def training_pairs(
    config: TrainingConfig, data_folder: Path, run_folder: Path, monitor: Monitor
) -> tuple[Tokenizer, EncodedCorpus, str]:
    """The run's tokenizer, its pairs, and what cleaning did, in words.

    Raises `ResumeError` when a setting or a file is not the one that the saved run was prepared from,
    `CorpusError` when a file cannot be read, no pair is left or the disk is full, `RecipeError` when the text
    does not support the vocabulary, `BundleError` when the bundle to start from is not sound.
    """
    folder, has_begun = run_folder / FOLDER, (run_folder / STATE_FILE).exists()
    files = _files(config, data_folder, has_begun)
    index = read_index(folder)
    change = _change(config, index, files, run_folder, has_begun) if index is not None else None
    if change is not None and has_begun:
        raise ResumeError(
            f"{run_folder}: the saved run cannot go on with other data ({change}); put back what it was, "
            "or use another run folder"
        )
    if index is None or change is not None:
        if change is not None:
            monitor.say(f"pairs are prepared anew: {change}")
        with _new_folder(run_folder / PARTIAL_FOLDER) as partial:
            index = _prepare(config, data_folder, run_folder, partial, monitor)
            replace_folder(partial, folder)
    else:
        monitor.say(f"{sum(index.sizes):,} pairs lie prepared in {folder}")
    tokenizer = load_tokenizer(run_folder)
    return tokenizer, _mapped(config, index, tokenizer, folder), index.cleaning


def _change(
    config: TrainingConfig, index: Index, files: dict[str, Path], run_folder: Path, has_begun: bool
) -> str | None:
    """Why the prepared pairs are not this run's, in words; None when they are.

    Of a run that has begun the state knows the tokenizer, where an older version of Verto noted none here;
    one that is gone or damaged is told where it is read.
    """
    if change := what_changed(index, settings_of_pairs(config), files):
        return change
    kept = kept_digest(run_folder)
    if index.tokenizer == kept or (has_begun and None in (index.tokenizer, kept)):
        return None
    fault = "is not known to be" if index.tokenizer is None else "is not"
    return f"{run_folder / TOKENIZER_FOLDER} {fault} the tokenizer that they were encoded with"


def _mapped(config: TrainingConfig, index: Index, tokenizer: Tokenizer, folder: Path) -> EncodedCorpus:
    data = config.data
    sides = sampled_sides(data.subword_sampling)
    texts = {side: Ragged.mapped(folder, text_name(side), TEXT_DTYPE) for side in sides}
    sampler = None
    if texts:
        num_tags = 1 if language_tags(config.directions) else 0
        sampler = SubwordSampler(
            tokenizer, data.subword_sampling, texts, data.max_tokens, config.seed, num_tags
        )
    return EncodedCorpus(
        Ragged.mapped(folder, "source", index.source_dtype),
        Ragged.mapped(folder, "target", index.target_dtype),
        mixture=Mixture(index.sizes, data.temperature) if data.temperature > 1 else None,
        sampler=sampler,
    )


# What decides the pairs -------------------------------------------------------------------------------------


def settings_of_pairs(config: TrainingConfig) -> dict[str, Any]:
    """Settings by their names in the recipe, without those at their defaults: new ones change nothing."""
    chosen = config.model_dump(
        mode="json",
        include={"data": True, "tokenizer": True, "directions": True, "generate": True},
        exclude={"data": {"dev", "temperature", "subword_sampling"}},  # they decide how pairs are used
        exclude_defaults=True,
    )
    if len(config.directions) == 1:  # a text may say what is known anyhow
        for text in chosen["data"]["train"]:
            text.pop("direction", None)
    settings = {f"data.{name}": value for name, value in chosen.pop("data").items()} | chosen
    if sides := sampled_sides(config.data.subword_sampling):
        settings["data.subword_sampling.sides"] = list(sides)  # their text is kept
    if "data.augmentation" in settings:
        settings["seed"] = config.seed
    return settings


def _files(config: TrainingConfig, data_folder: Path, has_begun: bool) -> dict[str, Path]:
    """Every file that the pairs come from, by its name in the recipe.

    A run that has begun has the tokenizer of the bundle that it started from, which may be gone.
    """
    files = {path: data_folder / path for corpus in config.data.train for path in corpus.paths()}
    if config.start_from is not None and not has_begun:
        files["start_from"] = Path(config.start_from) / MANIFEST_FILE  # has the digests of the other files
    return files


# Making them ------------------------------------------------------------------------------------------------


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Empty, and gone afterwards unless it got another name. Raises `CorpusError` for a full disk."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise CorpusError(
            f"{folder}: cannot prepare the data: {error.strerror or error}; while it is made it takes about "
            "three times the space of the unzipped texts"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(
    config: TrainingConfig, data_folder: Path, run_folder: Path, folder: Path, monitor: Monitor
) -> Index:
    """Everything into `folder`, the index last; then a new tokenizer takes its place in the run folder.

    Not earlier: until the pairs are complete, those of before are the run's, and so is their tokenizer.
    """
    has_begun = (run_folder / STATE_FILE).exists()
    files = _fingerprints(config, data_folder, has_begun)
    texts = folder / "texts"
    texts.mkdir()
    written = write_training_text(config, data_folder, texts, monitor)
    monitor.say(written.cleaning)
    keeps = has_begun and has_tokenizer(run_folder)  # someone deleted the prepared pairs
    tokenizer = load_tokenizer(run_folder) if keeps else make_tokenizer(config, written.text, monitor)
    stored = _encode(config, written, tokenizer, folder, monitor)
    shutil.rmtree(texts)
    index = Index(
        settings=settings_of_pairs(config),
        files=files,
        cleaning=written.cleaning,
        stored_bytes=stored_bytes(folder),
        tokenizer=tokenizer_digest(tokenizer),
        **stored._asdict(),
    )
    write_index(folder, index)
    if not keeps:
        keep_tokenizer(tokenizer, run_folder)
    return index


def _fingerprints(config: TrainingConfig, data_folder: Path, has_begun: bool) -> dict[str, Fingerprint]:
    """Raises `RecipeError` where no bundle is to start from: it is no text, which --data would find."""
    files = _files(config, data_folder, has_begun)
    try:
        beginning = {n: fingerprint(files.pop(n)) for n in ["start_from"] if n in files}
    except CorpusError as error:
        bound = "start_from must be the folder of a bundle"
        raise RecipeError(f"{bound}, got {config.start_from} ({error})") from error
    return {n: fingerprint(path) for n, path in files.items()} | beginning


def _encode(
    config: TrainingConfig, written: TrainingText, tokenizer: Tokenizer, folder: Path, monitor: Monitor
) -> StoredPairs:
    """Counted aloud. Raises `CorpusError` when no pair fits."""
    limit, sides = config.data.max_tokens, sampled_sides(config.data.subword_sampling)
    with monitor.counting("encoding", len(written.text)) as done:
        signals = language_signals(config.directions, tokenizer)
        stored = encode_into(folder, written, tokenizer, limit, sides, done, signals)
    report_fitting("training", sum(stored.sizes), len(written.text), stored.target_tokens, limit, monitor)
    return stored
