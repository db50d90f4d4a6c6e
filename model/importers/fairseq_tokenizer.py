"""The tokenizers of M2M-100, NLLB, mBART and mBART-50 folders, and how each is told its languages.

Knows: `sentencepiece.bpe.model`, `tokenizer.json`, `vocab.json`, `tokenizer_config.json` and the families'
conventions. Must not know: weights.

                source text               target begins with
    M2M-100     [__en__] tokens </s>      </s> [__de__]
    NLLB        [eng_Latn] tokens </s>    </s> [deu_Latn]     `legacy_behaviour`: tokens </s> [eng_Latn]
    mBART-50    [en_XX] tokens </s>       </s> [de_DE]
    mBART       tokens </s> [en_XX]       [ro_RO]             the one target is the decoder's start token
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from model.config import ModelConfig
from model.dictionary_vocabulary import Dictionary
from model.directions import Directions
from model.importers.fairseq_languages import M2M100, MBART25, MBART50, NLLB200, WMT21
from model.importers.fairseq_vocabulary import (
    language_token,
    m2m_dictionary,
    numbered_dictionary,
    sentencepiece_dictionary,
)
from model.importers.foreign import ForeignFolder
from model.importers.generation import (
    FORCED,
    START,
    generation_settings,
    refuse_forced_start,
    start_settings,
)
from model.importers.mapping import Wanted
from model.importers.tokenizers_json import TOKENIZER_JSON, read_tokenizers_json
from model.language_signals import LanguageSignals, SourceSignal, TargetSignal
from model.manifest import BundleError
from model.tokenizer import Tokenizer, TokenizerError
from model.vocabulary import open_processor

SENTENCEPIECE = "sentencepiece.bpe.model"
VOCAB = "vocab.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
MOST_LISTED = 20  # languages in a message
T = TypeVar("T")
_M2M_CLASSES = {"M2M100Tokenizer": True, "NllbTokenizer": False, "NllbTokenizerFast": False}
_M2M_CODES = {"m2m100": M2M100, "wmt21": WMT21}


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """A tokenizer, what it translates, and how the model is told."""

    tokenizer: Tokenizer
    directions: Directions
    signals: LanguageSignals


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What cuts a text, and the ids of what comes of it."""

    dictionary: Dictionary
    model: bytes

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.with_dictionary(self.dictionary, self.model)


def read_m2m_tokenizer(folder: ForeignFolder, config: ModelConfig, wanted: Wanted) -> Languages:
    """Of M2M-100 or NLLB, as the tokenizer's class says, or whether there is a `vocab.json`. Raises
    BundleError."""
    settings = folder.settings(TOKENIZER_CONFIG)
    usual = "M2M100Tokenizer" if folder.has(VOCAB) else "NllbTokenizer"
    if settings.choice("tokenizer_class", _M2M_CLASSES, usual):
        codes = settings.choice("language_codes", _M2M_CODES, "m2m100")
        dictionary = _named(
            folder, VOCAB, lambda: m2m_dictionary(folder.json(VOCAB), codes, config.source_vocab_size)
        )
        pieces = _Pieces(dictionary, folder.sentencepiece(SENTENCEPIECE))
        return _told(folder, pieces, {code: language_token(code) for code in codes}, wanted, source="prefix")
    pieces = _numbered(folder, NLLB200, config)
    legacy = settings.flag("legacy_behaviour", False)
    return _told(folder, pieces, _own_names(NLLB200), wanted, source="suffix" if legacy else "prefix")


def read_mbart_tokenizer(folder: ForeignFolder, config: ModelConfig, wanted: Wanted) -> Languages:
    """Of mBART-50 or mBART, as the tokenizer's class says, or the decoder's start. Raises BundleError."""
    names = {f"MBart{number}Tokenizer{kind}": number for number in ("", "50") for kind in ("", "Fast")}
    usual = "MBart50Tokenizer" if config.decoder_start_id == config.eos_id else "MBartTokenizer"
    settings = folder.settings(TOKENIZER_CONFIG)
    if settings.choice("tokenizer_class", names, folder.config.text("tokenizer_class", usual)) == "50":
        pieces = _numbered(folder, MBART50, config)
        return _told(folder, pieces, _own_names(MBART50), wanted, source="prefix")
    return _one_target(folder, _numbered(folder, MBART25, config), config, wanted)


def _one_target(folder: ForeignFolder, pieces: _Pieces, config: ModelConfig, wanted: Wanted) -> Languages:
    """mBART of 25 languages, tuned to one target: the decoder starts with its token."""
    refuse_forced_start(folder)
    start = pieces.dictionary.target[config.decoder_start_id]
    said = start_settings(folder)
    if start not in MBART25:
        raise said.fault(START, "the token of the target language, as in a tuned mBART")
    if wanted.targets not in ((), (start,)):
        raise BundleError(said.path, f"{START} says {start}; the target {wanted.targets[0]} is not there")
    wanted = Wanted(name=wanted.name, sources=wanted.sources or _said_source(folder), targets=(start,))
    return _told(folder, pieces, _own_names(MBART25), wanted, source="suffix", target="none")


def _said_source(folder: ForeignFolder) -> tuple[str, ...]:
    settings = folder.settings(TOKENIZER_CONFIG)
    if "src_lang" not in settings:
        raise BundleError(settings.path, "src_lang is missing; say the source language with --source")
    return (settings.text("src_lang"),)


def _told(
    folder: ForeignFolder,
    pieces: _Pieces,
    tokens: Mapping[str, str],
    wanted: Wanted,
    *,
    source: SourceSignal,
    target: TargetSignal = "forced_token",
) -> Languages:
    """`tokens`: code -> its piece. All languages in both directions, unless fewer are wanted or forced."""
    tokenizer = _named(folder, SENTENCEPIECE, pieces.tokenizer)
    id_of = {piece: token_id for token_id, piece in enumerate(pieces.dictionary.source)}
    ids = {code: id_of[piece] for code, piece in tokens.items() if piece in id_of}
    sources = _chosen(folder, wanted.sources, ids)
    targets = _chosen(folder, wanted.targets or _forced(folder, ids), ids)
    used = {code: token_id for code, token_id in ids.items() if code in (*sources, *targets)}
    directions = _directions(sources, targets)
    signals = LanguageSignals(target=target, source=source, token_ids=used)
    return Languages(tokenizer=tokenizer, directions=directions, signals=signals)


def _directions(sources: Sequence[str], targets: Sequence[str]) -> Directions:
    if len(sources) == 1 and len(targets) == 1 and sources != targets:
        return Directions([(sources[0], targets[0])])
    return Directions.product(sources, targets)


def _forced(folder: ForeignFolder, ids: Mapping[str, int]) -> tuple[str, ...]:
    """The one target that the folder forces, as many-to-one models do. Raises BundleError for a token that is
    no language's."""
    settings = generation_settings(folder)
    if FORCED not in settings:
        return ()
    targets = tuple(code for code, token_id in ids.items() if token_id == settings.integer(FORCED))
    if not targets:
        raise settings.fault(FORCED, "the token of a language")
    return targets


def _chosen(folder: ForeignFolder, wanted: Sequence[str], ids: Mapping[str, int]) -> tuple[str, ...]:
    for code in wanted:
        if code not in ids:
            raise BundleError(folder.path, f"the model has no language {code!r}; it has {_listed(ids, code)}")
    return tuple(dict.fromkeys(wanted)) or tuple(ids)


def _listed(codes: Iterable[str], wanted: str) -> str:
    """Not all of 200; those first that begin like the one that is wanted, as `deu_Latn` does for `de`."""
    found = sorted(codes, key=lambda code: not code.startswith(wanted[:2]))
    more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return ", ".join(found[:MOST_LISTED]) + more


def _own_names(codes: Sequence[str]) -> dict[str, str]:
    """Where a language's token is its code."""
    return {code: code for code in codes}


def _numbered(folder: ForeignFolder, codes: Sequence[str], config: ModelConfig) -> _Pieces:
    """The ids that `tokenizer.json` says, or else fairseq's; SentencePiece's own model, or else what that
    file says of it."""
    if folder.has(TOKENIZER_JSON):
        said = read_tokenizers_json(folder)
        size = config.source_vocab_size
        dictionary = _named(
            folder, TOKENIZER_JSON, lambda: numbered_dictionary(said.ids, said.special, codes, size)
        )
        if folder.has(SENTENCEPIECE):
            return _Pieces(dictionary, folder.sentencepiece(SENTENCEPIECE))
        return _Pieces(dictionary, _opened(folder, said.sentencepiece_model(codes)))
    model = folder.sentencepiece(SENTENCEPIECE)

    def read() -> Dictionary:
        processor = open_processor(model, SENTENCEPIECE)
        own = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
        return sentencepiece_dictionary(own, codes, config.source_vocab_size)

    return _Pieces(_named(folder, SENTENCEPIECE, read), model)


def _opened(folder: ForeignFolder, model: bytes) -> bytes:
    """A model made of `tokenizer.json`, which opens."""
    _named(folder, TOKENIZER_JSON, lambda: open_processor(model, "as a SentencePiece model"))
    return model


def _named(folder: ForeignFolder, file: str, read: Callable[[], T]) -> T:
    """What `read` answers; a TokenizerError becomes a BundleError that names the file."""
    try:
        return read()
    except TokenizerError as error:
        raise BundleError(folder.path / file, str(error)) from error
