"""Text to token ids and back, with SentencePiece models that may be joint or separate.

Knows: the two vocabularies, their special ids and how pieces spell text.
Must not know: the network, requests, streams, or how a vocabulary was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sentencepiece

JOINT_FILE = "tokenizer.model"
SOURCE_FILE = "source.model"
TARGET_FILE = "target.model"


class TokenizerError(ValueError):
    """A tokenizer file is missing or unusable, or a token id is outside the vocabulary."""


class InvalidTextError(ValueError):
    """The text holds a lone surrogate: a Python string can, Unicode text cannot. Names the first one."""

    def __init__(self, position: int, code_point: int) -> None:
        self.position = position
        self.code_point = code_point
        super().__init__(f"character {position} (U+{code_point:04X}) is a lone surrogate, which is not text")


class _Vocabulary:
    """One SentencePiece model and what has to be asked of it often."""

    def __init__(self, serialized: bytes, name: str) -> None:
        self.serialized = serialized
        self.processor = _open_processor(serialized, name)
        self.size: int = self.processor.get_piece_size()
        if self.size == 0:
            raise TokenizerError(f"{name}: the SentencePiece model has no pieces")
        all_ids = list(range(self.size))
        is_control = self.processor.is_control(all_ids)
        self.control_ids = frozenset(token_id for token_id in all_ids if is_control[token_id])
        # SentencePiece spells a byte piece "<0x41>".
        is_byte = self.processor.is_byte(all_ids)
        self.byte_of = {i: int(self.processor.id_to_piece(i)[3:5], 16) for i in all_ids if is_byte[i]}

    def special_ids(self) -> dict[str, int]:
        processor = self.processor
        return {
            "pad": processor.pad_id(),
            "unk": processor.unk_id(),
            "bos": processor.bos_id(),
            "eos": processor.eos_id(),
        }

    def checked(self, token_ids: Sequence[int]) -> list[int]:
        """The ids that spell text. Raises TokenizerError for an id outside the vocabulary."""
        for token_id in token_ids:
            if not 0 <= token_id < self.size:
                raise TokenizerError(f"token id {token_id} is outside the vocabulary (0 to {self.size - 1})")
        # Left in, a control piece would cut a character that is spelled by several byte pieces.
        return [token_id for token_id in token_ids if token_id not in self.control_ids]


class Tokenizer:
    """Encodes source and target text; decodes target ids. Immutable once built, so threads may share it."""

    def __init__(self, source: _Vocabulary, target: _Vocabulary) -> None:
        self._source = source
        self._target = target
        special = _agreed_special_ids(source, target)
        self.pad_id, self.unk_id = special["pad"], special["unk"]
        self.bos_id, self.eos_id = special["bos"], special["eos"]
        self._anchor_id = self._find_anchor()
        self._anchor_length = len(self._decode([self._anchor_id]))

    @classmethod
    def from_bytes(cls, source_model: bytes, target_model: bytes | None = None) -> Tokenizer:
        """Two serialised SentencePiece models, or one that serves both sides. Raises TokenizerError."""
        if target_model is None:
            joint = _Vocabulary(source_model, JOINT_FILE)
            return cls(joint, joint)
        return cls(_Vocabulary(source_model, SOURCE_FILE), _Vocabulary(target_model, TARGET_FILE))

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """From `tokenizer.model`, or from `source.model` and `target.model`. Raises TokenizerError."""
        joint = folder / JOINT_FILE
        if joint.is_file():
            return cls.from_bytes(joint.read_bytes())
        models = [folder / SOURCE_FILE, folder / TARGET_FILE]
        for model in models:
            if not model.is_file():
                raise TokenizerError(f"{folder}: needs {JOINT_FILE}, or both {SOURCE_FILE} and {TARGET_FILE}")
        return cls.from_bytes(*(model.read_bytes() for model in models))

    @property
    def is_joint(self) -> bool:
        return self._source is self._target

    @property
    def source_vocab_size(self) -> int:
        return self._source.size

    @property
    def target_vocab_size(self) -> int:
        return self._target.size

    def files(self) -> dict[str, bytes]:
        """File name to content; `load` of a folder with these files gives this tokenizer again."""
        if self.is_joint:
            return {JOINT_FILE: self._source.serialized}
        return {SOURCE_FILE: self._source.serialized, TARGET_FILE: self._target.serialized}

    def encode_source(self, text: str) -> list[int]:
        """Source ids, ending with `eos_id`. Raises InvalidTextError for a lone surrogate."""
        return self.encode_sources([text])[0]

    def encode_target(self, text: str) -> list[int]:
        """Target ids, ending with `eos_id`. Raises InvalidTextError for a lone surrogate."""
        return self.encode_targets([text])[0]

    def encode_sources(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_source` of every text, in one call."""
        return _encode(self._source, texts)

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_target` of every text, in one call."""
        return _encode(self._target, texts)

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """The text of these ids; control pieces (pad, bos, eos, tags) are skipped. Raises TokenizerError."""
        return self._decode(self._target.checked(token_ids))

    def decode_target_continuation(self, token_ids: Sequence[int]) -> str:
        """What these ids add behind text that is not empty: a leading word mark is a space here.

        The text before must not end within a character that is spelled by byte pieces.
        """
        spelled = self._decode([self._anchor_id, *self._target.checked(token_ids)])
        return spelled[self._anchor_length :]

    def target_byte(self, token_id: int) -> int | None:
        """The byte (0 to 255) that a byte-fallback piece stands for; None for every other piece."""
        return self._target.byte_of.get(token_id)

    def is_target_control(self, token_id: int) -> bool:
        """Whether this piece spells nothing wherever it stands (pad, bos, eos, language tags)."""
        return token_id in self._target.control_ids

    def target_pieces(self, token_ids: Sequence[int]) -> list[str]:
        """The pieces as the vocabulary writes them, word mark and all. Raises TokenizerError."""
        self._target.checked(token_ids)
        return [self._target.processor.id_to_piece(token_id) for token_id in token_ids]

    def source_pieces(self, token_ids: Sequence[int]) -> list[str]:
        """As `target_pieces`, of source ids."""
        self._source.checked(token_ids)
        return [self._source.processor.id_to_piece(token_id) for token_id in token_ids]

    def source_spans(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` the ids of `encode_source` stand, but for the last: start and end in code points.

        A word's span begins with the space before it. Of the byte pieces of a character all but the last have
        an empty span before it.
        """
        mapping = self._source.processor.encode(text, return_type="offset_mapping", num_threads=1)
        return list(mapping["offsets"])

    def target_spans(self, token_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Where in `decode_target(token_ids)` each id stands, as `source_spans`; a control piece nowhere."""
        spelled = iter(
            self._target.processor.decode(self._target.checked(token_ids), return_type="offset_mapping")[
                "offsets"
            ]
        )
        spans, end = list[tuple[int, int]](), 0
        for token_id in token_ids:
            start, end = (end, end) if token_id in self._target.control_ids else next(spelled)
            spans.append((start, end))
        return spans

    def _decode(self, token_ids: list[int]) -> str:
        text: str = self._target.processor.decode(token_ids)
        return text

    def _find_anchor(self) -> int:
        """A piece that spells text on its own, to put before ids whose text continues a text."""
        no_bytes = (i for i in range(self._target.size) if i not in self._target.byte_of)
        anchor = next((token_id for token_id in no_bytes if self._decode([token_id])), None)
        if anchor is None:
            raise TokenizerError("no piece of the target vocabulary spells any text")
        return anchor


def _open_processor(serialized: bytes, name: str) -> sentencepiece.SentencePieceProcessor:
    if not serialized:
        raise TokenizerError(f"{name}: the SentencePiece model is empty")
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=serialized)
    except (RuntimeError, OSError, ValueError) as error:
        raise TokenizerError(f"{name}: not a SentencePiece model ({error})") from error


def _agreed_special_ids(source: _Vocabulary, target: _Vocabulary) -> dict[str, int]:
    source_ids, target_ids = source.special_ids(), target.special_ids()
    for name, token_id in source_ids.items():
        if token_id < 0:
            raise TokenizerError(f"the SentencePiece model has no {name} piece")
        if token_id != target_ids[name]:
            raise TokenizerError(f"{name} has id {token_id} in the source, {target_ids[name]} in the target")
    return source_ids


def _encode(vocabulary: _Vocabulary, texts: Sequence[str]) -> list[list[int]]:
    encoded = [_utf8(text) for text in texts]
    # One thread: the caller decides what runs in parallel, and the cores belong to the decoder.
    token_ids: list[list[int]] = vocabulary.processor.encode(encoded, add_eos=True, num_threads=1)
    return token_ids


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidTextError(error.start, ord(text[error.start])) from error
