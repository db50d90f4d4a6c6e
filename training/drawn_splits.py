"""A text in other pieces of its vocabulary, drawn word by word.

Knows: what a SentencePiece model is made of, how it spells what it has no piece for. Must not know: seeds,
which text is drawn when, how a word is drawn (bpe_dropout.py, unigram_lattice.py).

SentencePiece draws splits itself, but salts its generator in each process (0.2.3), so that no seed makes two
processes draw alike. Here chance comes from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec  # type: ignore[attr-defined]

from training.bpe_dropout import BpeDropout
from training.unigram_lattice import UnigramLattice

_WORD_MARK = "\u2581"


class _Words(Protocol):
    def draw(self, word: str, uniform: Iterator[float]) -> list[str]: ...


_KINDS: Mapping[int, Callable[[Mapping[str, float], float], _Words]] = {
    TrainerSpec.BPE: BpeDropout,
    TrainerSpec.UNIGRAM: UnigramLattice,
}


class DrawnSplits:
    """Draws splits of texts for one SentencePiece model."""

    def __init__(self, serialized: bytes, alpha: float) -> None:
        """`alpha` as BpeDropout or UnigramLattice has it. Raises `ValueError` for a model of another kind."""
        model, kinds = ModelProto.FromString(serialized), ModelProto.SentencePiece
        kind = model.trainer_spec.model_type
        if kind not in _KINDS:
            raise ValueError(f"of the kind {TrainerSpec.ModelType.Name(kind).lower()}")
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=serialized)
        scores = {one.piece: one.score for one in model.pieces if one.type == kinds.NORMAL}
        whole = [one.piece for one in model.pieces if one.type == kinds.USER_DEFINED]
        self._words: _Words = _KINDS[kind](scores, alpha)
        self._ids = {piece: self._processor.piece_to_id(piece) for piece in (*scores, *whole)}
        self._bytes = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)]
        self._spells_bytes = model.trainer_spec.byte_fallback
        self._whole = frozenset(whole)
        self._cuts = _cuts(scores, whole)

    def draw(self, text: bytes, plain: list[int], uniform: Iterator[float]) -> list[int]:
        """Ids of a UTF-8 text, without `</s>`; `uniform` gives numbers from 0 to below 1.

        They spell what its `plain` ids spell; where they would not, as in a vocabulary that has a character
        in longer pieces only, the plain ones stay. Symbols that nothing cuts (placeholders, tags) stay whole.
        """
        drawn = self.ids_of(self._processor.normalize(text).decode(), uniform)
        return drawn if self._processor.decode(drawn) == self._processor.decode(plain) else plain

    def ids_of(self, normalised: str, uniform: Iterator[float]) -> list[int]:
        """Ids of a text as the model normalises it, word marks and all; `uniform` as in `draw`."""
        return self._spelled(self._pieces(normalised, uniform))

    def _pieces(self, normalised: str, uniform: Iterator[float]) -> Iterator[str]:
        for part in self._cuts.findall(normalised):
            if part in self._whole:
                yield part
            else:
                yield from self._words.draw(part, uniform)

    def _spelled(self, pieces: Iterable[str]) -> list[int]:
        """Ids: of a character that is no piece those of its bytes, or one for all unknown ones in a row."""
        unknown, ids = self._processor.unk_id(), list[int]()
        for piece in pieces:
            if (found := self._ids.get(piece)) is not None:
                ids.append(found)
            elif self._spells_bytes:
                ids.extend(self._bytes[byte] for byte in piece.encode())
            elif ids[-1:] != [unknown]:
                ids.append(unknown)
        return ids


def _cuts(scores: Iterable[str], whole: Iterable[str]) -> re.Pattern[str]:
    """Finds the parts of a text between which no piece lies: whole symbols, the longest first, and words.

    Words are told apart where no piece has a mark behind its first character; else they are one.
    """
    symbols = "|".join(re.escape(symbol) for symbol in sorted(whole, key=len, reverse=True))
    inner = "." if any(_WORD_MARK in piece[1:] for piece in scores) else f"[^{_WORD_MARK}]"
    part = f"(?:(?!{symbols}){inner})*" if symbols else f"{inner}*"
    return re.compile(f"{symbols}|.{part}" if symbols else f".{part}", re.DOTALL)
