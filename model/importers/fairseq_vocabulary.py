"""Dictionaries of fairseq's many-to-many models, as `vocabulary.json` wants them: every id has its piece.

Knows: how fairseq numbers what SentencePiece cuts, language tokens and filling. Must not know: files.

    M2M-100       vocab.json | __af__ __am__ ... | madeupword0 ...
    NLLB, mBART   <s> <pad> </s> <unk> | SentencePiece's own from its 4th on | ace_Arab ... | <mask> | filling
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model.dictionary_vocabulary import Dictionary
from model.vocabulary import TokenizerError

SPECIAL: Mapping[str, str] = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}
_FAIRSEQ_ORDER = ("<s>", "<pad>", "</s>", "<unk>")
_MASK = "<mask>"


def language_token(code: str) -> str:
    """M2M-100's token of a language: `__de__`."""
    return f"__{code}__"


def m2m_dictionary(ids: Mapping[str, int], codes: Sequence[str], size: int) -> Dictionary:
    """`ids` are those of `vocab.json`, `size` is the network's. Raises TokenizerError."""
    own = numbered(ids)
    tokens = [language_token(code) for code in codes]
    return _dictionary([*own, *tokens], tokens, size)


def sentencepiece_dictionary(own: Sequence[str], codes: Sequence[str], size: int) -> Dictionary:
    """`own` are SentencePiece's pieces by its numbers, `size` is the network's. Raises TokenizerError."""
    if tuple(own[:3]) != ("<unk>", "<s>", "</s>"):
        raise TokenizerError(f"the SentencePiece model must begin with <unk>, <s>, </s>, got {list(own[:3])}")
    # fairseq counts from 4 what SentencePiece counts from 3.
    return _dictionary([*_FAIRSEQ_ORDER, *own[3:], *codes, _MASK], [*codes, _MASK], size)


def numbered_dictionary(
    ids: Mapping[str, int], special: frozenset[str], codes: Sequence[str], size: int
) -> Dictionary:
    """Every id is said; what is not is filling. Raises TokenizerError for an id that the network lacks, for
    one of two pieces, and where not one of the languages is there."""
    pieces: list[str | None] = [None] * size
    for piece, token_id in ids.items():
        if not 0 <= token_id < size or pieces[token_id] is not None:
            raise TokenizerError(
                f"piece {piece!r} must have an id of its own in 0..{size - 1}, got {token_id}"
            )
        pieces[token_id] = piece
    tokens = [code for code in codes if code in ids]
    if not tokens:
        raise TokenizerError(f"no piece is a language such as {codes[0]}")
    every = tuple(piece or f"<filling:{number}>" for number, piece in enumerate(pieces))
    filling = set(every) - ids.keys()
    control = frozenset([*SPECIAL.values(), *special, *tokens, _MASK, *filling])
    return Dictionary(source=every, target=every, special=dict(SPECIAL), control=control)


def numbered(ids: Mapping[str, int]) -> list[str]:
    """Pieces by id. Raises TokenizerError where ids are not 0 to their number, each once."""
    pieces = [""] * len(ids)
    for piece, token_id in ids.items():
        if type(token_id) is not int or not 0 <= token_id < len(ids) or pieces[token_id]:
            raise TokenizerError(
                f"piece {piece!r} must have an id of its own in 0..{len(ids) - 1}, got {token_id!r}"
            )
        pieces[token_id] = piece
    return pieces


def _dictionary(pieces: list[str], tokens: Sequence[str], size: int) -> Dictionary:
    if len(pieces) > size:
        raise TokenizerError(f"{len(pieces)} pieces, languages among them, for a network of {size} tokens")
    filling = [f"<filling:{number}>" for number in range(size - len(pieces))]
    every = (*pieces, *filling)
    control = frozenset([*SPECIAL.values(), *tokens, *filling])
    return Dictionary(source=every, target=every, special=dict(SPECIAL), control=control)
