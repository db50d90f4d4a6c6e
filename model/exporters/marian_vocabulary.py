"""Our two vocabularies as MarianTokenizer reads them: SentencePiece files, and dictionaries of piece and id.

Knows: which names that tokenizer gives a meaning. Must not know: weights, architectures beyond their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.config import ConfigError, ModelConfig
from model.decoding.constraints import TargetVocabulary
from model.moses_file import MOSES_FILE
from model.tokenizer import JOINT_FILE, SOURCE_FILE, TARGET_FILE, Tokenizer

PAD, EOS, UNK = "<pad>", "</s>", "<unk>"
_OTHER_NAME = "<verto:{}>"  # for a piece that is called `<pad>` and is not what is padded with there


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedVocabulary:
    """Pieces by id on either side (one list where they are shared), and the ids with a meaning.

    `adds_start`: the last token was added to the network's own, as padding and start token.
    """

    source_pieces: Sequence[str]
    target_pieces: Sequence[str]
    pad_id: int
    start_id: int
    never_ids: tuple[int, ...]
    adds_start: bool
    sentencepiece_files: dict[str, bytes]

    @property
    def is_joint(self) -> bool:
        return self.source_pieces == self.target_pieces

    def json_files(
        self, max_source_length: int, directions: Sequence[tuple[str, str]]
    ) -> dict[str, dict[str, Any]]:
        """File name to content."""
        source, target = (sorted(set(side)) for side in zip(*directions, strict=True))
        tokenizer: dict[str, Any] = {
            "tokenizer_class": "MarianTokenizer",
            "model_max_length": max_source_length,
            "separate_vocabs": not self.is_joint,
            "source_lang": source[0] if len(source) == 1 else None,
            "target_lang": target[0] if len(target) == 1 else None,
            "eos_token": EOS,
            "pad_token": PAD,
            "unk_token": UNK,
        }
        files = {"tokenizer_config.json": tokenizer, "vocab.json": _dictionary(self.source_pieces)}
        if not self.is_joint:
            files["target_vocab.json"] = _dictionary(self.target_pieces)
        return files


def exported_vocabulary(config: ModelConfig, tokenizer: Tokenizer, start_is_zero: bool) -> ExportedVocabulary:
    """`start_is_zero`: the start token's row of the target table is. Raises ConfigError where two pieces
    would have one name, or where a start token cannot be added."""
    start_id, adds_start = _start(config, start_is_zero)
    sides = [
        _renamed(config, tokenizer, tokenizer.source_pieces(range(config.source_vocab_size)), start_id),
        _renamed(config, tokenizer, tokenizer.target_pieces(range(config.target_vocab_size)), start_id),
    ]
    never = TargetVocabulary.of(config).never_ids
    return ExportedVocabulary(
        source_pieces=sides[0],
        target_pieces=sides[1],
        pad_id=start_id,
        start_id=start_id,
        never_ids=(*never, start_id) if adds_start else never,
        adds_start=adds_start,
        sentencepiece_files=_sentencepiece_files(tokenizer),
    )


def _start(config: ModelConfig, is_zero: bool) -> tuple[int, bool]:
    """The id of the start token there, and whether it is a new one."""
    as_marians = is_zero and config.pad_id == config.decoder_start_id == config.target_vocab_size - 1
    if config.norm == "pre" or as_marians:
        return config.decoder_start_id, False
    if config.source_vocab_size != config.target_vocab_size:
        bound = f"equal to source_vocab_size {config.source_vocab_size}: a start token is to be added to both"
        raise ConfigError("target_vocab_size", bound, config.target_vocab_size)
    return config.target_vocab_size, True


def _renamed(config: ModelConfig, tokenizer: Tokenizer, pieces: Sequence[str], start_id: int) -> list[str]:
    """The pieces with `<pad>`, `</s>` and `<unk>` where their meanings are, and nowhere else."""
    wanted = {start_id: PAD, config.eos_id: EOS, tokenizer.unk_id: UNK}
    named = [_OTHER_NAME.format(i) if piece in (PAD, EOS, UNK) else piece for i, piece in enumerate(pieces)]
    named += [""] * (start_id + 1 - len(named))
    for token_id, name in wanted.items():
        named[token_id] = name
    if len(set(named)) != len(named):
        twice = next(piece for i, piece in enumerate(named) if piece in named[:i])
        raise ConfigError("vocabulary", "free of pieces that stand twice", twice)
    return named


def _sentencepiece_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    files = tokenizer.files()
    if MOSES_FILE in files:
        raise ConfigError("tokenizer", "SentencePiece's for format marian-hf", MOSES_FILE)
    joint = files.get(JOINT_FILE, b"")
    return {"source.spm": files.get(SOURCE_FILE, joint), "target.spm": files.get(TARGET_FILE, joint)}


def _dictionary(pieces: Sequence[str]) -> dict[str, int]:
    return {piece: token_id for token_id, piece in enumerate(pieces)}
