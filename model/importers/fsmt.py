"""FSMT folders (fairseq's WMT19 models): configuration, tensors and Moses tokenizer.

Knows: what `transformers` writes for this class. Must not know: how a bundle is written.

The paper's order of norms, fairseq's sinusoids, two dictionaries that are often the same, and words that
Moses cuts: `vocab-src.json`, `vocab-tgt.json`, `merges.txt`.
"""

from __future__ import annotations

import torch

from model.config import ModelConfig
from model.directions import Directions
from model.embeddings import sinusoidal_positions
from model.importers.fairseq import (
    DECODER_TABLE,
    ENCODER_TABLE,
    SAYS_NOTHING,
    Tables,
    merged,
    sinusoids,
    sizes,
)
from model.importers.fairseq_vocabulary import numbered
from model.importers.foreign import ForeignConfig, ForeignFolder
from model.importers.foreign_weights import ForeignWeights
from model.importers.generation import read_decoding, refuse_forced_start
from model.importers.mapping import ForeignModel, Wanted
from model.importers.position_tables import tolerance
from model.manifest import BundleError
from model.moses_file import MosesModel
from model.tokenizer import Tokenizer, TokenizerError

SOURCE_VOCAB, TARGET_VOCAB, MERGES = "vocab-src.json", "vocab-tgt.json", "merges.txt"
TOKENIZER_CONFIG = "tokenizer_config.json"
OUTPUT = "model.decoder.output_projection.weight"
_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")


def read_fsmt(folder: ForeignFolder, weights: ForeignWeights, wanted: Wanted) -> ForeignModel:
    """Raises BundleError naming file, key or tensor."""
    refuse_forced_start(folder)
    tables = _tables(folder.config, weights)
    config = ModelConfig(
        source_vocab_size=folder.config.integer("src_vocab_size", at_least=1),
        target_vocab_size=folder.config.integer("tgt_vocab_size", at_least=1),
        norm="post",
        **sizes(folder, activation="relu", scaled=True),
        **sinusoids(folder.config),
        **tables.sharing(),
    )
    weights.check_room(config)
    for name in _POSITIONS:
        _check_sinusoids(weights, name, config)
    languages = _languages(folder)
    return ForeignModel(
        config=config,
        tokenizer=_tokenizer(folder, *languages),
        directions=_directions(folder, languages, wanted),
        decoding=read_decoding(folder, config),
        tensors=tables.tensors(config),
        copies=tables.copies,
        ignored=SAYS_NOTHING,
    )


def _tables(config: ForeignConfig, weights: ForeignWeights) -> Tables:
    """All one, or each its own; those that are equal nevertheless are kept once."""
    if config.flag("tie_word_embeddings", False):
        every = (DECODER_TABLE, ENCODER_TABLE, OUTPUT)
        one = next((name for name in every if name in weights), DECODER_TABLE)
        return Tables(source=one, target=one, output=one, copies={name: one for name in every if name != one})
    output = OUTPUT if OUTPUT in weights else DECODER_TABLE
    return merged(Tables(source=ENCODER_TABLE, target=DECODER_TABLE, output=output), weights)


def _check_sinusoids(weights: ForeignWeights, name: str, config: ModelConfig) -> None:
    """A stored table says nothing new, or the folder is no FSMT model."""
    if name not in weights:
        return
    table, first = weights.get(name), config.position_offset
    length = len(table) if table.dim() else 0
    expected = sinusoidal_positions(0, length, config.d_model, "fairseq")
    same_shape, close = table.shape == expected.shape, tolerance(weights.stored_dtype(name))
    if not same_shape or not torch.allclose(table[first:], expected[first:], rtol=0.0, atol=close):
        raise BundleError(weights.path, f"tensor {name} does not hold the sinusoids of an FSMT model")


def _languages(folder: ForeignFolder) -> tuple[str, str]:
    """The two that the folder names: they are Moses' too."""
    langs = folder.config.values.get("langs")
    if not isinstance(langs, list) or len(langs) != 2 or not all(isinstance(code, str) for code in langs):
        raise folder.config.fault("langs", "two language codes, as ['en', 'de']")
    return langs[0], langs[1]


def _directions(folder: ForeignFolder, said: tuple[str, str], wanted: Wanted) -> Directions:
    """The pair, as the user calls it."""
    for option, codes in (("--source", wanted.sources), ("--target", wanted.targets)):
        if len(codes) > 1:
            raise BundleError(folder.config.path, f"langs names one pair; {option} must be one language")
    wanted.check_sides(folder.config.path, "langs", said[:1], said[1:])
    source, target = (*wanted.sources, said[0])[0], (*wanted.targets, said[1])[0]
    return Directions([(source, target)])


def _tokenizer(folder: ForeignFolder, source: str, target: str) -> Tokenizer:
    settings = folder.settings(TOKENIZER_CONFIG)
    settings.choice("tokenizer_class", {"FSMTTokenizer": None}, "FSMTTokenizer")
    model = MosesModel(
        source_language=source,
        target_language=target,
        lowercase=settings.flag("do_lower_case", False),
        source=_pieces(folder, SOURCE_VOCAB),
        target=_pieces(folder, TARGET_VOCAB),
        merges=_merges(folder),
    )
    try:
        return Tokenizer.from_moses(model)
    except TokenizerError as error:
        raise BundleError(folder.path / SOURCE_VOCAB, str(error)) from error


def _pieces(folder: ForeignFolder, name: str) -> tuple[str, ...]:
    try:
        return tuple(numbered(folder.json(name)))
    except TokenizerError as error:
        raise BundleError(folder.path / name, str(error)) from error


def _merges(folder: ForeignFolder) -> tuple[tuple[str, str], ...]:
    """A line for each: two pieces, and how often they stood together."""
    path = folder.path / MERGES
    try:
        lines = folder.read(MERGES).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise BundleError(path, f"not UTF-8: {error}") from error
    merges = list[tuple[str, str]]()
    for number, line in enumerate(lines, 1):
        parts = line.split(" ")
        if line and (len(parts) < 2 or not all(parts[:2])):
            raise BundleError(path, f"line {number} must be two pieces, got {line[:40]!r}")
        if line:
            merges.append((parts[0], parts[1]))
    return tuple(merges)
