"""One side of a tokenizer whose words are Moses' and whose pieces are byte pairs: FSMT (WMT19) models.

Knows: words to pieces to ids and back. Must not know: which side it is, how a bundle stores it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model.byte_pair_merges import END_OF_WORD, BytePairMerges
from model.moses_text import MosesText, Span, shown_offsets, word_spans
from model.vocabulary import TokenizerError


class MosesVocabulary:
    """A `Vocabulary`. The unknown piece is written and spells nothing, as in the models' own tokenizer."""

    byte_of: Mapping[int, int] = {}
    symbols: Mapping[str, int] = {}

    def __init__(self, pieces: Sequence[str], text: MosesText, merges: BytePairMerges) -> None:
        """`pieces` by id, the special ones among them. Raises TokenizerError for one that is missing."""
        self.all_pieces, self.text, self._merges = tuple(pieces), text, merges
        self.size = len(self.all_pieces)
        self._id_of = {piece: token_id for token_id, piece in enumerate(self.all_pieces)}
        if len(self._id_of) != self.size:
            raise TokenizerError("a piece of the vocabulary has two ids")
        self.special_ids = {name: self._special(name, piece) for name, piece in _SPECIAL.items()}
        self.control_ids = frozenset(self.special_ids.values())
        self.anchor_id = self._find_anchor()

    def _special(self, name: str, piece: str) -> int:
        if piece not in self._id_of:
            raise TokenizerError(f"the vocabulary has no {name} piece {piece!r}")
        return self._id_of[piece]

    def _find_anchor(self) -> int:
        """A whole word of letters: no neighbour changes it, nor does it change one."""
        stems = ((i, piece.removesuffix(END_OF_WORD), piece) for i, piece in enumerate(self.all_pieces))
        anchor = next((i for i, stem, piece in stems if stem != piece and stem.isalpha()), None)
        if anchor is None:
            raise TokenizerError("no piece of the vocabulary is a word of letters")
        return anchor

    def encode(self, texts: Sequence[bytes]) -> list[list[int]]:
        return [[*self._ids(text.decode("utf-8")), self.special_ids["eos"]] for text in texts]

    def spans(self, text: str) -> list[Span]:
        """Of a word that normalisation has changed, about where it stands."""
        words = self.text.words(text)
        pieces = [self._merges.split(word) for word in words]
        return _spans_of_pieces(word_spans(text, words), words, pieces)

    def decode(self, token_ids: list[int]) -> str:
        return self.text.text(self._words(token_ids))

    def decoded_spans(self, token_ids: list[int]) -> list[Span]:
        words, pieces = list[str](), list[list[str]]()
        opened = False
        for token_id in token_ids:
            piece = self.all_pieces[token_id]
            if not opened:
                words.append("")
                pieces.append([])
            words[-1] += piece.removesuffix(END_OF_WORD)
            pieces[-1].append(piece)
            opened = not piece.endswith(END_OF_WORD)
        return _spans_of_pieces(word_spans(self.decode(token_ids), words), words, pieces)

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        return [self.all_pieces[token_id] for token_id in token_ids]

    def num_settled(self, token_ids: Sequence[int]) -> int:
        """How many of the first ids spell what no later id changes, so that their text begins the whole."""
        ends = [i + 1 for i, one in enumerate(token_ids) if self.all_pieces[one].endswith(END_OF_WORD)]
        words = self._words(list(token_ids[: ends[-1]])) if ends else []
        if len(words) != len(ends):  # a piece that spells white space, or nothing: wait for the end
            return 0
        # What comes next is not known, so that the last whole word is one that may still be changed.
        count = self.text.num_settled(words)
        return ends[count - 1] if count else 0

    def _ids(self, text: str) -> list[int]:
        unknown = self.special_ids["unk"]
        pieces = (piece for word in self.text.words(text) for piece in self._merges.split(word))
        return [self._id_of.get(piece, unknown) for piece in pieces]

    def _words(self, token_ids: list[int]) -> list[str]:
        spelled = "".join(self.all_pieces[token_id].replace(" ", "") for token_id in token_ids)
        return spelled.replace(END_OF_WORD, " ").split()


_SPECIAL = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}


def _spans_of_pieces(
    spans: Sequence[Span], words: Sequence[str], pieces: Sequence[Sequence[str]]
) -> list[Span]:
    """The words' spans, dealt to their pieces; the character of an entity is its first piece's."""
    dealt = list[Span]()
    for (start, end), word, parts in zip(spans, words, pieces, strict=True):
        shown, spelled = shown_offsets(word), 0
        for part in parts:
            first, spelled = spelled, spelled + len(part.removesuffix(END_OF_WORD))
            dealt.append((min(start + shown[first], end), min(start + shown[spelled], end)))
    return dealt
