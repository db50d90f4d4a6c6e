"""Words that translations copy and a model has hardly seen are spelled by smaller pieces.

Knows: how often each piece stands on both sides of a pair. Must not know: files, networks.

A name with a piece of its own ("Linux") has to be known to be copied, and from some fifty sentences a model
knows it too little: it writes another rare name in its place. A name that it never met is spelled by small
pieces, which it has learned to copy one by one. Leaving pieces below a frequency unused is what Sennrich et
al. 2017 do ("The University of Edinburgh's Neural MT Systems for WMT17"); here it is only those that both
sides have, for a word to be translated gains nothing by being cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # generated, untyped

from model.tokenizer import Tokenizer
from training.corpus import Pair

Counts = npt.NDArray[np.int64]

# Shorter ones are syllables that many words have, however often on either side.
_MIN_LETTERS = 3
# A copied word stands in translations as it does in their sources, but for some that put it otherwise.
_MIN_SHARE = 0.6
_WORD_MARK = "\u2581"


class CopyCounts(NamedTuple):
    """Of each piece, (vocab_size,): `copied` counts what a source and its target have in common, `every` that
    and what one of them has alone."""

    copied: Counts
    every: Counts


def copy_counts(tokenizer: Tokenizer, chunks: Iterable[Sequence[Pair]]) -> CopyCounts:
    """Counts of a joint vocabulary. Pair by pair: with two directions each word is on both sides as often."""
    size = tokenizer.source_vocab_size
    copied, every = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for chunk in chunks:
        source, num_source = _occurrences(tokenizer.encode_sources([pair.source for pair in chunk]), size)
        target, num_target = _occurrences(tokenizer.encode_targets([pair.target for pair in chunk]), size)
        common, i, j = np.intersect1d(source, target, assume_unique=True, return_indices=True)
        both = _by_piece(common, np.minimum(num_source[i], num_target[j]), size)
        copied += both
        every += _by_piece(source, num_source, size) + _by_piece(target, num_target, size) - both
    return CopyCounts(copied, every)


def rare_copies(serialized: bytes, counts: CopyCounts, below: int) -> Iterator[str]:
    """Pieces of letters that stand fewer than `below` times in the text, mostly copied."""
    kinds = ModelProto.SentencePiece
    for piece, copied, every in zip(ModelProto.FromString(serialized).pieces, *counts, strict=True):
        letters = piece.piece.removeprefix(_WORD_MARK)
        is_word = piece.type == kinds.NORMAL and len(letters) >= _MIN_LETTERS and letters.isalpha()
        if is_word and 0 < every < below and copied >= _MIN_SHARE * every:
            yield piece.piece


def without_pieces(serialized: bytes, pieces: Iterable[str]) -> bytes:
    """A SentencePiece model that cuts no text into these; they keep their ids."""
    model, gone = ModelProto.FromString(serialized), frozenset(pieces)
    for piece in model.pieces:
        if piece.piece in gone:
            piece.type = ModelProto.SentencePiece.UNUSED
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


def _occurrences(ids: Sequence[Sequence[int]], size: int) -> tuple[Counts, Counts]:
    """Which piece stands in which text, as text * size + piece, in order; and how often."""
    flat = np.fromiter(
        (index * size + token_id for index, one in enumerate(ids) for token_id in one), np.int64
    )
    places, counts = np.unique(flat, return_counts=True)
    return places, counts


def _by_piece(places: Counts, counts: Counts, size: int) -> Counts:
    summed = np.zeros(size, np.int64)
    np.add.at(summed, places % size, counts)
    return summed
