"""`tokenizer.json` of a fairseq-like model: its ids, and the SentencePiece model that it came from.

Knows: the file's keys, as far as SentencePiece's models are written in them. Must not know: languages.

`transformers` keeps nothing else of a tokenizer since its version 5. What it says is turned back into a
SentencePiece model: unigram scores stand there, and the order of merges gives those of byte pairs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.importers.fairseq_vocabulary import SPECIAL
from model.importers.foreign import ForeignFolder
from model.importers.sentencepiece_proto import Kind, Piece, model_bytes
from model.manifest import BundleError

TOKENIZER_JSON = "tokenizer.json"
_LARGEST_SCORE = 3.0e38  # SentencePiece keeps scores in float32


@dataclass(frozen=True, slots=True)
class TokenizersJson:
    """`ids` of every piece, added ones among them; `special` are those that no text is cut into."""

    path: Path
    ids: Mapping[str, int]
    special: frozenset[str]
    content: Mapping[str, Any]

    def sentencepiece_model(self, tokens: Sequence[str]) -> bytes:
        """`tokens` are further pieces that no text is cut into: languages. Raises BundleError where the file
        says what SentencePiece cannot."""
        unwritten = self.special.union(tokens, SPECIAL.values())
        model = self.content["model"]
        if model.get("byte_fallback"):
            raise self._fault("model.byte_fallback", "false", True)
        charsmap = _charsmap(self)
        if model.get("type") == "Unigram":
            pieces = [Piece(text, score) for text, score in _scored(self) if text not in unwritten]
            return model_bytes(Kind.UNIGRAM, pieces, charsmap)
        if model.get("type") == "BPE":
            pieces = [piece for piece in _by_merges(self) if piece.text not in unwritten]
            return model_bytes(Kind.BPE, pieces, charsmap)
        raise self._fault("model.type", "Unigram or BPE", model.get("type"))

    def _fault(self, key: str, bound: str, value: object) -> BundleError:
        return BundleError(self.path, f"{key} must be {bound}, got {value!r:.80}")


def read_tokenizers_json(folder: ForeignFolder) -> TokenizersJson:
    """Raises BundleError naming the key that is missing or of the wrong kind."""
    path, content = folder.path / TOKENIZER_JSON, folder.json(TOKENIZER_JSON)
    model, added = content.get("model"), content.get("added_tokens", [])
    if not isinstance(model, dict) or not isinstance(added, list):
        raise BundleError(path, "model must be an object, and added_tokens a list")
    vocab = model.get("vocab")
    if isinstance(vocab, list) and all(_is_scored(entry) for entry in vocab):
        ids = {entry[0]: number for number, entry in enumerate(vocab)}
    elif isinstance(vocab, dict) and all(type(number) is int for number in vocab.values()):
        ids = dict(vocab)
    else:
        raise BundleError(path, "model.vocab must be pieces with scores, or pieces with ids")
    special = set[str]()
    for token in added:
        content_of = token.get("content") if isinstance(token, dict) else None
        if not content_of or not isinstance(content_of, str) or type(token.get("id")) is not int:
            raise BundleError(path, f"added_tokens must have content and id, got {token!r:.80}")
        ids[content_of] = token["id"]
        special.add(content_of)
    return TokenizersJson(path, ids, frozenset(special), content)


def _is_scored(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], int | float)
        and abs(entry[1]) <= _LARGEST_SCORE
    )


def _scored(read: TokenizersJson) -> Iterator[tuple[str, float]]:
    vocab = read.content["model"]["vocab"]
    if not isinstance(vocab, list):
        raise read._fault("model.vocab", "pieces with scores, as Unigram has them", type(vocab).__name__)
    return ((text, float(score)) for text, score in vocab)


def _by_merges(read: TokenizersJson) -> list[Piece]:
    """Pieces as likely as their first merge is early; what no merge makes comes last."""
    ranks = dict[str, int]()
    merges = read.content["model"].get("merges")
    if not isinstance(merges, list):
        raise read._fault("model.merges", "a list", merges)
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not _is_pair(pair):
            raise read._fault("model.merges", "pairs of pieces", merge)
        ranks.setdefault("".join(pair), len(ranks))
    texts = sorted(read.ids, key=read.ids.__getitem__)
    last = len(ranks)
    return [Piece(text, -float(ranks.get(text, last))) for text in texts]


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(piece, str) for piece in pair)


def _charsmap(read: TokenizersJson) -> bytes:
    """How characters are normalised; nothing where the file does not say."""
    for one in _normalisers(read):
        if one.get("type") == "Precompiled":
            try:
                return base64.b64decode(one.get("precompiled_charsmap") or "", validate=True)
            except (binascii.Error, TypeError, ValueError) as error:
                raise BundleError(read.path, f"normalizer.precompiled_charsmap: {error}") from error
    return b""


def _normalisers(read: TokenizersJson) -> list[dict[str, Any]]:
    """One, or those of a sequence."""
    normaliser = read.content.get("normalizer") or {}
    if not isinstance(normaliser, dict):
        raise read._fault("normalizer", "an object", normaliser)
    found = normaliser.get("normalizers", [normaliser])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise read._fault("normalizer.normalizers", "a list of objects", found)
    return found
