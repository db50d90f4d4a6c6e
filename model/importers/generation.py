"""How a foreign folder wants its model decoded, as far as we mean the same by it.

Knows: `generation_config.json` and the older keys of `config.json`. Must not know: families.
"""

from __future__ import annotations

from typing import Any

from model.config import ModelConfig
from model.decoding.options import MAX_BEAM_SIZE, MAX_NGRAM_SIZE, DecodingOptions
from model.importers.foreign import ForeignConfig, ForeignFolder

GENERATION_CONFIG = "generation_config.json"
USUAL_BEAM_SIZE = 4
START = "decoder_start_token_id"
FORCED = "forced_bos_token_id"
_BARRED = "bad_words_ids"


def read_decoding(folder: ForeignFolder, config: ModelConfig) -> DecodingOptions:
    """Beam size, repeated n-grams and what is never written. Lengths are scored our way: `length_penalty` has
    another formula there.

    Raises BundleError for a value of the wrong kind.
    """
    beam = _integer(folder, "num_beams", USUAL_BEAM_SIZE, at_least=1)
    size = min(_integer(folder, "no_repeat_ngram_size", 0), MAX_NGRAM_SIZE)
    banned = banned_phrases(folder, config)
    if beam == 1:
        return DecodingOptions(strategy="greedy", no_repeat_ngram_size=size, banned_ids=banned)
    return DecodingOptions(beam_size=min(beam, MAX_BEAM_SIZE), no_repeat_ngram_size=size, banned_ids=banned)


def banned_phrases(folder: ForeignFolder, config: ModelConfig) -> tuple[tuple[int, ...], ...]:
    """The barred ones, but for single tokens that are barred anyhow, and `</s>` alone, which `generate` lets
    pass."""
    never = {config.pad_id, config.decoder_start_id, config.eos_id}
    barred = barred_phrases(folder, config.target_vocab_size)
    return tuple(phrase for phrase in barred if len(phrase) > 1 or phrase[0] not in never)


def barred_phrases(folder: ForeignFolder, size: int) -> tuple[tuple[int, ...], ...]:
    """Sequences of tokens that `generate` never writes, each once. `size` is that of the target's vocabulary.
    Raises BundleError for what is no list of lists of its ids."""
    settings = said_in(folder, _BARRED)
    phrases: Any = settings.values.get(_BARRED, [])
    is_list = isinstance(phrases, list) and all(isinstance(phrase, list) for phrase in phrases)
    ids = [token_id for phrase in phrases for token_id in phrase] if is_list else []
    if not is_list or not all(type(token_id) is int and 0 <= token_id < size for token_id in ids):
        raise settings.fault(_BARRED, f"a list of lists of token ids in 0..{size - 1}")
    return tuple(dict.fromkeys(tuple(phrase) for phrase in phrases if phrase))


def decoder_start(folder: ForeignFolder, usual: int | None = None) -> int:
    """The token that every target begins with. Raises BundleError."""
    return said_in(folder, START).integer(START, usual)


def refuse_forced_start(folder: ForeignFolder) -> None:
    """Raises BundleError for a first token of all targets, in a family whose models have none."""
    settings = said_in(folder, FORCED)
    if FORCED in settings:
        raise settings.fault(FORCED, "left out: models of this family are told no language by it")


def said_in(folder: ForeignFolder, key: str) -> ForeignConfig:
    """The file whose word counts: what `generate` reads, or `config.json`, as in older folders."""
    settings = folder.settings(GENERATION_CONFIG)
    return settings if key in settings else folder.config


def _integer(folder: ForeignFolder, key: str, usual: int, at_least: int = 0) -> int:
    return said_in(folder, key).integer(key, usual, at_least=at_least)
