"""Words that translations copy and a model has hardly seen are spelled by smaller pieces.

Knows: how often each piece stands on either side of the training text. Must not know: files, networks.

A name with a piece of its own ("Linux") has to be known to be copied, and from some fifty sentences a model
knows it too little: it writes another rare name in its place. A name that it never met is spelled by small
pieces, which it has learned to copy one by one. Leaving pieces below a frequency unused is what Sennrich et
al. 2017 do ("The University of Edinburgh's Neural MT Systems for WMT17"); here it is only those that both
sides have, for a word to be translated gains nothing by being cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # generated, untyped

from model.tokenizer import Tokenizer
from training.corpus import Pair

Counts = npt.NDArray[np.int64]

# Shorter ones are syllables that many words have, however often on either side.
_MIN_LETTERS = 3
# A copied word is as frequent in translations as in their sources, but for some that put it otherwise.
_MIN_SHARE = 0.6
_WORD_MARK = "\u2581"


def piece_counts(tokenizer: Tokenizer, chunks: Iterable[Sequence[Pair]]) -> tuple[Counts, Counts]:
    """How often each piece of a joint vocabulary stands in the sources, and in the targets. (vocab_size,)"""
    size = tokenizer.source_vocab_size
    source, target = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for chunk in chunks:
        source += _counted(tokenizer.encode_sources([pair.source for pair in chunk]), size)
        target += _counted(tokenizer.encode_targets([pair.target for pair in chunk]), size)
    return source, target


def rare_copies(serialized: bytes, source: Counts, target: Counts, below: int) -> Iterator[str]:
    """Pieces of letters that stand fewer than `below` times on each side, and about as often on both."""
    kinds = ModelProto.SentencePiece
    for piece, *counts in zip(ModelProto.FromString(serialized).pieces, source, target, strict=True):
        letters = piece.piece.removeprefix(_WORD_MARK)
        is_word = piece.type == kinds.NORMAL and len(letters) >= _MIN_LETTERS and letters.isalpha()
        if is_word and 0 < max(counts) < below and min(counts) >= _MIN_SHARE * max(counts):
            yield piece.piece


def without_pieces(serialized: bytes, pieces: Iterable[str]) -> bytes:
    """A SentencePiece model that cuts no text into these; they keep their ids."""
    model, gone = ModelProto.FromString(serialized), frozenset(pieces)
    for piece in model.pieces:
        if piece.piece in gone:
            piece.type = ModelProto.SentencePiece.UNUSED
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


def _counted(ids: Sequence[Sequence[int]], size: int) -> Counts:
    flat = np.fromiter((token_id for one in ids for token_id in one), np.int64)
    return np.bincount(flat, minlength=size)
