"""Writes a SentencePiece model from its pieces and scores, in Protocol Buffers' wire format.

Knows: the few fields of `sentencepiece_model.proto` that cutting a text needs. Must not know: where pieces
come from. The package that reads such models is at hand wherever a model is served; the one that writes
Protocol Buffers in general is not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """`TrainerSpec.ModelType`."""

    UNIGRAM = 1
    BPE = 2


class PieceKind(IntEnum):
    """`ModelProto.SentencePiece.Type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    score: float
    kind: PieceKind = PieceKind.NORMAL


def model_bytes(kind: Kind, pieces: Iterable[Piece], charsmap: bytes) -> bytes:
    """A model whose first three pieces are `<unk>`, `<s>` and `</s>`; `pieces` follow. White space at the
    edges and next to white space goes; `charsmap` is how characters are normalised (empty: not at all)."""
    special = [
        Piece("<unk>", 0.0, PieceKind.UNKNOWN),
        Piece("<s>", 0.0, PieceKind.CONTROL),
        Piece("</s>", 0.0, PieceKind.CONTROL),
    ]
    every = b"".join(_message(1, _piece(piece)) for piece in [*special, *pieces])
    return every + _message(2, _trainer(kind)) + _message(3, _normaliser(charsmap))


def _piece(piece: Piece) -> bytes:
    score = _key(2, 5) + struct.pack("<f", piece.score)
    return _message(1, piece.text.encode("utf-8")) + score + _number(3, piece.kind)


def _trainer(kind: Kind) -> bytes:
    """Ids of `<unk>`, `<s>`, `</s>`; padding has none."""
    ids = [_number(40, 0), _number(41, 1), _number(42, 2), _number(43, -1)]
    return _number(3, kind) + b"".join(ids)


def _normaliser(charsmap: bytes) -> bytes:
    name = _message(1, b"imported") + _message(2, charsmap)
    # add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces
    return name + _number(3, 1) + _number(4, 1) + _number(5, 1)


def _message(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits in two's complement."""
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
