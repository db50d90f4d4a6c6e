"""What one side of a tokenizer does: text to ids and back, for one vocabulary.

Knows: SentencePiece models whose own piece numbers are the ids. Must not know: which side it is, files,
dictionaries that number pieces otherwise (dictionary_vocabulary.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import sentencepiece

from model.placeholders import MAX_PLACEHOLDERS, placeholder_symbols

Span = tuple[int, int]


class TokenizerError(ValueError):
    """A tokenizer file is missing or unusable, or a token id is outside the vocabulary."""


class Vocabulary(Protocol):
    """One side. Ids are 0..size-1; spans are start and end in code points. Immutable, shared by threads."""

    @property
    def size(self) -> int: ...
    @property
    def control_ids(self) -> frozenset[int]:
        """Ids that spell nothing wherever they stand: padding, start, end, language tags."""

    @property
    def byte_of(self) -> Mapping[int, int]:
        """The byte that each byte-fallback id stands for."""

    @property
    def symbols(self) -> Mapping[str, int]:
        """The placeholder symbols that are one piece each, with their ids (see placeholders.py)."""

    @property
    def special_ids(self) -> Mapping[str, int]:
        """The ids of `pad`, `unk`, `bos` and `eos`; -1 for a `bos` that there is not."""

    def encode(self, texts: Sequence[bytes]) -> list[list[int]]:
        """The ids of UTF-8 texts, `</s>` at each end."""

    def spans(self, text: str) -> list[Span]:
        """Where the ids of `encode` stand in the text, but for the last."""

    def decode(self, token_ids: list[int]) -> str:
        """The text of ids that `checked` let pass."""

    def decoded_spans(self, token_ids: list[int]) -> list[Span]:
        """Where each stands in `decode` of the same ids."""

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """The pieces as the vocabulary writes them."""


class SentencePieceVocabulary:
    """One SentencePiece model and what has to be asked of it often."""

    def __init__(self, serialized: bytes, name: str) -> None:
        """`name` is what errors call the file. Raises TokenizerError."""
        self.serialized = serialized
        self.processor = open_processor(serialized, name)
        self.size: int = self.processor.get_piece_size()
        all_ids = list(range(self.size))
        is_control = self.processor.is_control(all_ids)
        self.control_ids = frozenset(token_id for token_id in all_ids if is_control[token_id])
        self.byte_of = byte_pieces(self.processor)
        self.symbols = symbol_pieces(self.processor)
        self.special_ids = self._special_ids()

    def _special_ids(self) -> dict[str, int]:
        processor = self.processor
        found = {
            "pad": processor.pad_id(),
            "unk": processor.unk_id(),
            "bos": processor.bos_id(),
            "eos": processor.eos_id(),
        }
        for name, token_id in found.items():
            if token_id < 0:
                raise TokenizerError(f"the SentencePiece model has no {name} piece")
        return found

    def encode(self, texts: Sequence[bytes]) -> list[list[int]]:
        # One by one: for a list SentencePiece starts a thread, which takes longer than many sentences do.
        return [self.processor.encode(text, add_eos=True) for text in texts]

    def spans(self, text: str) -> list[Span]:
        mapping = self.processor.encode(text, return_type="offset_mapping")
        return list(mapping["offsets"])

    def decode(self, token_ids: list[int]) -> str:
        text: str = self.processor.decode(token_ids)
        return text

    def decoded_spans(self, token_ids: list[int]) -> list[Span]:
        return list(self.processor.decode(token_ids, return_type="offset_mapping")["offsets"])

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        return [self.processor.id_to_piece(token_id) for token_id in token_ids]


def checked(vocabulary: Vocabulary, token_ids: Sequence[int]) -> list[int]:
    """The ids that spell text. Raises TokenizerError for an id outside the vocabulary."""
    for token_id in token_ids:
        if not 0 <= token_id < vocabulary.size:
            raise TokenizerError(
                f"token id {token_id} is outside the vocabulary (0 to {vocabulary.size - 1})"
            )
    # Left in, a control piece would cut a character that is spelled by several byte pieces.
    control_ids = vocabulary.control_ids
    return [token_id for token_id in token_ids if token_id not in control_ids]


def open_processor(serialized: bytes, name: str) -> sentencepiece.SentencePieceProcessor:
    """Raises TokenizerError naming the file."""
    if not serialized:
        raise TokenizerError(f"{name}: the SentencePiece model is empty")
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=serialized)
    except (RuntimeError, OSError, ValueError) as error:
        raise TokenizerError(f"{name}: not a SentencePiece model ({error})") from error
    if processor.get_piece_size() == 0:
        raise TokenizerError(f"{name}: the SentencePiece model has no pieces")
    return processor


def byte_pieces(processor: sentencepiece.SentencePieceProcessor) -> dict[int, int]:
    """SentencePiece's own numbers of byte pieces, each with its byte; it spells such a piece "<0x41>"."""
    every = list(range(processor.get_piece_size()))
    is_byte = processor.is_byte(every)
    return {i: int(processor.id_to_piece(i)[3:5], 16) for i in every if is_byte[i]}


def symbol_pieces(processor: sentencepiece.SentencePieceProcessor) -> dict[str, int]:
    """SentencePiece's own numbers of the placeholder symbols that are pieces."""
    numbers = {symbol: processor.piece_to_id(symbol) for symbol in placeholder_symbols(MAX_PLACEHOLDERS)}
    unknown = processor.unk_id()
    return {symbol: number for symbol, number in numbers.items() if number != unknown}
