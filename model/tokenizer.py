"""Text to token ids and back, with SentencePiece models that may be joint or separate, or with Moses' words.

Knows: the two vocabularies, their special ids and how pieces spell text.
Must not know: the network, requests, streams, or how a vocabulary was learned.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from model.dictionary_vocabulary import DICTIONARY_FILE, Dictionary, DictionaryVocabulary
from model.moses_file import MOSES_FILE, MosesModel
from model.moses_vocabulary import MosesVocabulary
from model.placeholders import MAX_PLACEHOLDERS, placeholder_symbols
from model.vocabulary import SentencePieceVocabulary, TokenizerError, Vocabulary, checked

__all__ = ["InvalidTextError", "Tokenizer", "TokenizerError"]

JOINT_FILE = "tokenizer.model"
SOURCE_FILE = "source.model"
TARGET_FILE = "target.model"


class InvalidTextError(ValueError):
    """The text holds a lone surrogate: a Python string can, Unicode text cannot. Names the first one."""

    def __init__(self, position: int, code_point: int) -> None:
        self.position = position
        self.code_point = code_point
        super().__init__(f"character {position} (U+{code_point:04X}) is a lone surrogate, which is not text")


class Tokenizer:
    """Encodes source and target text; decodes target ids. Immutable once built, so threads may share it."""

    def __init__(self, source: Vocabulary, target: Vocabulary, files: Mapping[str, bytes]) -> None:
        """One vocabulary twice where it serves both sides; `files` are what a bundle keeps of the two."""
        self._source, self._target, self._files = source, target, dict(files)
        special = _agreed_special_ids(source, target)
        self.pad_id, self.unk_id = special["pad"], special["unk"]
        self.bos_id, self.eos_id = special["bos"], special["eos"]
        self.placeholders = self._find_placeholders()
        self._anchor_id = self._find_anchor()
        self._anchor_length = len(self._decode([self._anchor_id]))

    @classmethod
    def from_bytes(
        cls, source_model: bytes, target_model: bytes | None = None, *, dictionary: bytes | None = None
    ) -> Tokenizer:
        """Two serialised SentencePiece models, or one that serves both sides; and a `vocabulary.json` where
        that, and not SentencePiece, numbers the pieces. Raises TokenizerError."""
        if dictionary is not None:
            return cls.with_dictionary(Dictionary.from_bytes(dictionary), source_model, target_model)
        files = _model_files(source_model, target_model)
        source, *others = (SentencePieceVocabulary(model, name) for name, model in files.items())
        return cls(source, others[0] if others else source, files)

    @classmethod
    def with_dictionary(
        cls, dictionary: Dictionary, source_model: bytes, target_model: bytes | None = None
    ) -> Tokenizer:
        """Pieces of these SentencePiece models, ids of the dictionary. Raises TokenizerError."""
        files = _model_files(source_model, target_model)
        names, models = list(files), list(files.values())
        source = DictionaryVocabulary(models[0], names[0], dictionary, dictionary.source)
        target = source
        if len(models) > 1 or not dictionary.is_joint:
            target = DictionaryVocabulary(models[-1], names[-1], dictionary, dictionary.target)
        return cls(source, target, {**files, DICTIONARY_FILE: dictionary.to_bytes()})

    @classmethod
    def from_moses(cls, model: MosesModel) -> Tokenizer:
        """Moses' words in byte pairs. Raises TokenizerError."""
        return cls(*model.vocabularies(), {MOSES_FILE: model.to_bytes()})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Tokenizer:
        """What `files` told of another tokenizer gives that one again. Raises TokenizerError."""
        if MOSES_FILE in files:
            return cls.from_moses(MosesModel.from_bytes(files[MOSES_FILE]))
        for names in ((JOINT_FILE,), (SOURCE_FILE, TARGET_FILE)):
            if all(name in files for name in names):
                models = [files[name] for name in names]
                return cls.from_bytes(models[0], *models[1:2], dictionary=files.get(DICTIONARY_FILE))
        raise TokenizerError(f"needs {JOINT_FILE}, or both {SOURCE_FILE} and {TARGET_FILE}")

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """From `tokenizer.model`, from `source.model` and `target.model`, or from `moses.json`. Raises
        TokenizerError."""
        names = (JOINT_FILE, SOURCE_FILE, TARGET_FILE, DICTIONARY_FILE, MOSES_FILE)
        files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
        try:
            return cls.from_files(files)
        except TokenizerError as error:
            raise TokenizerError(f"{folder}: {error}") from error

    @property
    def is_joint(self) -> bool:
        return self._source is self._target

    @property
    def source_vocab_size(self) -> int:
        return self._source.size

    @property
    def target_vocab_size(self) -> int:
        return self._target.size

    def knows_source(self, text: str) -> bool:
        """Whether pieces spell all of it: none of its characters in bytes, none unknown."""
        return not any(i == self.unk_id or i in self._source.byte_of for i in self.encode_source(text))

    def reads_source(self, text: str) -> bool:
        """Whether pieces or bytes spell all of it: none of its characters is unknown."""
        return self.unk_id not in self.encode_source(text)

    def files(self) -> dict[str, bytes]:
        """File name to content; `load` of a folder with these files gives this tokenizer again."""
        return dict(self._files)

    def encode_source(self, text: str) -> list[int]:
        """Source ids, ending with `eos_id`. Raises InvalidTextError for a lone surrogate."""
        return self.encode_sources([text])[0]

    def encode_target(self, text: str) -> list[int]:
        """Target ids, ending with `eos_id`. Raises InvalidTextError for a lone surrogate."""
        return self.encode_targets([text])[0]

    def encode_sources(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_source` of every text, in one call."""
        return self._source.encode([_utf8(text) for text in texts])

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_target` of every text, in one call."""
        return self._target.encode([_utf8(text) for text in texts])

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """The text of these ids; control pieces (pad, bos, eos, tags) are skipped. Raises TokenizerError."""
        return self._decode(checked(self._target, token_ids))

    def decode_target_continuation(self, token_ids: Sequence[int]) -> str:
        """What these ids add behind text that is not empty: a leading word mark is a space here.

        The text before must not end within a character that is spelled by byte pieces.
        """
        spelled = self._decode([self._anchor_id, *checked(self._target, token_ids)])
        return spelled[self._anchor_length :]

    @property
    def is_contextual(self) -> bool:
        """Whether a target token's text depends on the tokens after it, beyond bytes of one character."""
        return isinstance(self._target, MosesVocabulary)

    def num_settled(self, token_ids: Sequence[int]) -> int:
        """How many of the first of these target ids, free of control pieces, spell what no later id changes:
        `decode_target` of them begins any text that goes on from these. Raises TokenizerError."""
        spelling = checked(self._target, token_ids)
        return (
            self._target.num_settled(spelling) if isinstance(self._target, MosesVocabulary) else len(spelling)
        )

    @property
    def target_bytes(self) -> Mapping[int, int]:
        """The ids of byte-fallback pieces, each with the byte (0 to 255) that it stands for."""
        return self._target.byte_of

    def target_byte(self, token_id: int) -> int | None:
        """The byte (0 to 255) that a byte-fallback piece stands for; None for every other piece."""
        return self._target.byte_of.get(token_id)

    def is_target_control(self, token_id: int) -> bool:
        """Whether this piece spells nothing wherever it stands (pad, bos, eos, language tags)."""
        return token_id in self._target.control_ids

    def target_pieces(self, token_ids: Sequence[int]) -> list[str]:
        """The pieces as the vocabulary writes them, word mark and all. Raises TokenizerError."""
        checked(self._target, token_ids)
        return self._target.pieces(token_ids)

    def source_pieces(self, token_ids: Sequence[int]) -> list[str]:
        """As `target_pieces`, of source ids."""
        checked(self._source, token_ids)
        return self._source.pieces(token_ids)

    def source_spans(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` the ids of `encode_source` stand, but for the last: start and end in code points.

        A word's span begins with the space before it. Of the byte pieces of a character all but the last have
        an empty span before it.
        """
        return self._source.spans(text)

    def target_spans(self, token_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Where in `decode_target(token_ids)` each id stands, as `source_spans`; a control piece nowhere."""
        spelled = iter(self._target.decoded_spans(checked(self._target, token_ids)))
        spans, end = list[tuple[int, int]](), 0
        for token_id in token_ids:
            start, end = (end, end) if token_id in self._target.control_ids else next(spelled)
            spans.append((start, end))
        return spans

    def _decode(self, token_ids: list[int]) -> str:
        return self._target.decode(token_ids)

    def _find_placeholders(self) -> tuple[str, ...]:
        """The first placeholder symbols that are one piece each on both sides; none for Moses' words."""
        known = set(self._source.symbols) & set(self._target.symbols)
        symbols = placeholder_symbols(MAX_PLACEHOLDERS)
        return tuple(itertools.takewhile(known.__contains__, symbols))

    def placeholder_id(self, symbol: str) -> int:
        """The target id of one of `placeholders`. Raises KeyError for anything else."""
        return self._target.symbols[symbol]

    def _find_anchor(self) -> int:
        """A piece that spells text on its own, to put before ids whose text continues a text."""
        vocabulary = self._target
        if isinstance(vocabulary, MosesVocabulary):
            return vocabulary.anchor_id
        silent = vocabulary.control_ids | vocabulary.byte_of.keys()
        spelling = (i for i in range(vocabulary.size) if i not in silent and self._decode([i]))
        anchor = next(spelling, None)
        if anchor is None:
            raise TokenizerError("no piece of the target vocabulary spells any text")
        return anchor


def _model_files(source_model: bytes, target_model: bytes | None) -> dict[str, bytes]:
    if target_model is None:
        return {JOINT_FILE: source_model}
    return {SOURCE_FILE: source_model, TARGET_FILE: target_model}


def _agreed_special_ids(source: Vocabulary, target: Vocabulary) -> Mapping[str, int]:
    """Sources are padded, and end, with the ids that targets are."""
    source_ids, target_ids = source.special_ids, target.special_ids
    for name, token_id in source_ids.items():
        if token_id != target_ids[name]:
            raise TokenizerError(f"{name} has id {token_id} in the source, {target_ids[name]} in the target")
    return source_ids


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidTextError(error.start, ord(text[error.start])) from error
