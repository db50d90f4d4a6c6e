"""A vocabulary in two parts: a SentencePiece model cuts the text, a dictionary gives each piece its id.

Knows: `vocabulary.json`, pieces, how the two parts may disagree. Must not know: which model family it is.

Marian, M2M-100, NLLB and mBART number their pieces otherwise than SentencePiece does. The dictionary may lack
pieces that SentencePiece makes (they become unk) and have pieces that it does not know: those of the other
side, where both share one dictionary, and language tags.

    {
      "source": ["</s>", "<unk>", "▁the", ...],        by id
      "target": ["</s>", "<unk>", "▁der", ...],        left out where it is the same
      "special": {"pad": "<pad>", "unk": "<unk>", "bos": null, "eos": "</s>"},
      "control": ["</s>", "<unk>", "<pad>", ">>fra<<"]   what spells nothing
    }
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.vocabulary import Span, TokenizerError, byte_pieces, open_processor

DICTIONARY_FILE = "vocabulary.json"
_SPECIAL = ("pad", "unk", "bos", "eos")
_WORD_MARK = "▁"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionary:
    """The pieces of both sides by id, and those with a meaning. Raises TokenizerError at construction."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    special: Mapping[str, str | None]
    control: frozenset[str]

    def __post_init__(self) -> None:
        if set(self.special) != set(_SPECIAL):
            raise _fault("special", f"of {', '.join(_SPECIAL)}", sorted(self.special))
        for side in ("source", "target"):
            _check_side(side, getattr(self, side), self.special)

    @property
    def is_joint(self) -> bool:
        return self.source == self.target

    def to_bytes(self) -> bytes:
        """The content of `vocabulary.json`: a line for each list, which may be very long."""
        parts: dict[str, Any] = {"source": self.source}
        if not self.is_joint:
            parts["target"] = self.target
        parts |= {"special": dict(self.special), "control": sorted(self.control)}
        lines = [f"{json.dumps(key)}: {json.dumps(part, ensure_ascii=False)}" for key, part in parts.items()]
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Dictionary:
        """The inverse of `to_bytes`. Raises TokenizerError."""
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise TokenizerError(f"{DICTIONARY_FILE}: not valid JSON: {error}") from error
        if not isinstance(content, dict) or not {"source", "special", "control"} <= set(content):
            raise TokenizerError(f"{DICTIONARY_FILE}: must be an object with source, special and control")
        source = _strings("source", content["source"])
        target = _strings("target", content["target"]) if "target" in content else source
        special, control = content["special"], _strings("control", content["control"])
        if not isinstance(special, dict):
            raise _fault("special", "an object", special)
        return cls(source=source, target=target, special=special, control=frozenset(control))


class DictionaryVocabulary:
    """One side: see `Vocabulary` for what each method does."""

    symbols: Mapping[str, int] = {}

    def __init__(self, serialized: bytes, name: str, dictionary: Dictionary, pieces: Sequence[str]) -> None:
        """`pieces` are the side's own by id; `name` is what errors call the file. Raises TokenizerError."""
        self.serialized, self.dictionary = serialized, dictionary
        self._processor = open_processor(serialized, name)
        self._pieces = tuple(pieces)
        self._id_of = {piece: token_id for token_id, piece in enumerate(pieces)}
        self.size = len(pieces)
        self.control_ids = frozenset(self._id_of[p] for p in dictionary.control if p in self._id_of)
        self.special_ids = {n: -1 if p is None else self._id_of[p] for n, p in dictionary.special.items()}
        self._eos_id, self._unk_id = self.special_ids["eos"], self.special_ids["unk"]
        # No text may forge a language tag, or its own end.
        self._id_of_text = {p: i for p, i in self._id_of.items() if p not in dictionary.control}
        processor = self._processor
        own = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
        self._id_of_number = [self._id_of_text.get(piece, self._unk_id) for piece in own]
        self._unk_number = processor.unk_id()
        in_bytes = {own[number]: byte for number, byte in byte_pieces(processor).items()}
        self.byte_of = {self._id_of[p]: byte for p, byte in in_bytes.items() if p in self._id_of}

    def encode(self, texts: Sequence[bytes]) -> list[list[int]]:
        return [self._ids(text) for text in texts]

    def _ids(self, text: bytes) -> list[int]:
        # By itself: for a list SentencePiece starts a thread, which takes longer than many sentences do.
        numbers = self._processor.encode(text)
        if self._unk_number not in numbers:
            return [*(self._id_of_number[number] for number in numbers), self._eos_id]
        # What SentencePiece does not know may be a piece of the dictionary: one of the other side's.
        pieces = self._processor.encode(text, out_type=str)
        return [*(self._id_of_text.get(piece, self._unk_id) for piece in pieces), self._eos_id]

    def spans(self, text: str) -> list[Span]:
        mapping = self._processor.encode(text, return_type="offset_mapping")
        return list(mapping["offsets"])

    def decode(self, token_ids: list[int]) -> str:
        # Pieces that SentencePiece does not know are left as they are, word marks and all.
        text: str = self._processor.decode(self.pieces(token_ids))
        return text.replace(_WORD_MARK, " ")

    def decoded_spans(self, token_ids: list[int]) -> list[Span]:
        mapping = self._processor.decode(self.pieces(token_ids), return_type="offset_mapping")
        return list(mapping["offsets"])

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        return [self._pieces[token_id] for token_id in token_ids]


def _check_side(side: str, pieces: Sequence[str], special: Mapping[str, str | None]) -> None:
    if len(set(pieces)) != len(pieces):
        seen: set[str] = set()
        twice = next(piece for piece in pieces if piece in seen or seen.add(piece))  # type: ignore[func-returns-value]
        raise _fault(side, "a list of pieces, none twice", twice)
    for name, piece in special.items():
        if piece is None and name == "bos":
            continue
        if piece not in pieces:
            raise _fault(f"special.{name}", f"a piece of {side}", piece)


def _strings(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise _fault(key, "a list of strings, not empty", type(value).__name__)
    return tuple(value)


def _fault(key: str, bound: str, value: object) -> TokenizerError:
    return TokenizerError(f"{DICTIONARY_FILE}: {key} must be {bound}, got {value!r}")
