"""How a foreign folder wants its model decoded, as far as we mean the same by it.

Knows: `generation_config.json` and the older keys of `config.json`. Must not know: families.
"""

from __future__ import annotations

from typing import Any

from model.config import ModelConfig
from model.decoding.options import (
    MAX_BEAM_SIZE,
    MAX_NGRAM_SIZE,
    MAX_PHRASE_TOKENS,
    MAX_PHRASES,
    DecodingOptions,
)
from model.importers.foreign import ForeignConfig, ForeignFolder

GENERATION_CONFIG = "generation_config.json"
USUAL_BEAM_SIZE = 4
START = "decoder_start_token_id"
FORCED = "forced_bos_token_id"
_BARRED = "bad_words_ids"
_END = "eos_token_id"


def read_decoding(folder: ForeignFolder, config: ModelConfig) -> DecodingOptions:
    """Beam size, repeated n-grams and what is never written. Lengths are scored our way: `length_penalty` has
    another formula there.

    Raises BundleError for a value of the wrong kind, or one that we cannot follow.
    """
    _check_end(folder, config)
    beam = _integer(folder, "num_beams", USUAL_BEAM_SIZE, at_least=1)
    size = _ngram_size(folder, config)
    banned = banned_phrases(folder, config)
    if beam == 1:
        return DecodingOptions(strategy="greedy", no_repeat_ngram_size=size, banned_ids=banned)
    return DecodingOptions(beam_size=min(beam, MAX_BEAM_SIZE), no_repeat_ngram_size=size, banned_ids=banned)


def banned_phrases(folder: ForeignFolder, config: ModelConfig) -> tuple[tuple[int, ...], ...]:
    """The barred ones, but for those that no target of ours can hold, and `</s>` alone, which `generate` lets
    pass. Raises BundleError for one that rules where a target may begin or end, and for too many."""
    barred = barred_phrases(folder, config.target_vocab_size)
    banned = tuple(phrase for phrase in barred if _may_stand(phrase, config))
    settings = generation_settings(folder)
    longest = max(map(len, banned), default=0)
    if len(banned) > MAX_PHRASES or longest > MAX_PHRASE_TOKENS:
        bound = f"at most {MAX_PHRASES} phrases of at most {MAX_PHRASE_TOKENS} tokens"
        raise settings.fault(_BARRED, f"{bound} ({len(banned)}, {longest} found)")
    for phrase in banned:
        if phrase[0] == config.decoder_start_id or phrase[-1] == config.eos_id:
            raise settings.fault(_BARRED, f"without start and end token, which phrase {list(phrase)} has")
    return banned


def _may_stand(phrase: tuple[int, ...], config: ModelConfig) -> bool:
    """Whether a target can hold it: padding, the start within, and what follows the end cannot be there."""
    start, end = config.decoder_start_id, config.eos_id
    if len(phrase) == 1:
        return phrase[0] not in {config.pad_id, start, end}
    first, *within, last = phrase
    if first in {config.pad_id, end} - {start}:
        return False
    return not {config.pad_id, start, end}.intersection(within) and last not in {config.pad_id, start} - {end}


def barred_phrases(folder: ForeignFolder, size: int) -> tuple[tuple[int, ...], ...]:
    """Sequences of tokens that `generate` never writes, each once. `size` is that of the target's vocabulary.
    Raises BundleError for what is no list of lists of its ids."""
    settings = generation_settings(folder)
    phrases: Any = settings.values.get(_BARRED, [])
    is_list = isinstance(phrases, list) and all(isinstance(phrase, list) for phrase in phrases)
    ids = [token_id for phrase in phrases for token_id in phrase] if is_list else []
    if not is_list or not all(type(token_id) is int and 0 <= token_id < size for token_id in ids):
        raise settings.fault(_BARRED, f"a list of lists of token ids in 0..{size - 1}")
    return tuple(dict.fromkeys(tuple(phrase) for phrase in phrases if phrase))


def decoder_start(folder: ForeignFolder, usual: int | None = None) -> int:
    """The token that every target begins with. Raises BundleError."""
    return start_settings(folder).integer(START, usual)


def start_settings(folder: ForeignFolder) -> ForeignConfig:
    """The file that says it: `config.json` also where the other is there and silent, since without it a model
    cannot run."""
    settings = generation_settings(folder)
    return settings if START in settings else folder.config


def refuse_forced_start(folder: ForeignFolder) -> None:
    """Raises BundleError for a first token of all targets, in a family whose models have none."""
    settings = generation_settings(folder)
    if FORCED in settings:
        raise settings.fault(FORCED, "left out: models of this family are told no language by it")


def generation_settings(folder: ForeignFolder) -> ForeignConfig:
    """The file whose word counts for `generate`: `config.json` only where the other is not there."""
    return folder.settings(GENERATION_CONFIG) if folder.has(GENERATION_CONFIG) else folder.config


def _ngram_size(folder: ForeignFolder, config: ModelConfig) -> int:
    key = "no_repeat_ngram_size"
    size = _integer(folder, key, 0)
    if size == 1 and config.decoder_start_id == config.eos_id:
        bound = "0 or at least 2: with 1 a target that begins with </s> has no other to end with"
        raise generation_settings(folder).fault(key, bound)
    return min(size, MAX_NGRAM_SIZE)


def _check_end(folder: ForeignFolder, config: ModelConfig) -> None:
    """Raises BundleError where `generate` would end a target with other tokens than the network's `</s>`."""
    settings = generation_settings(folder)
    if settings.values.get(_END, config.eos_id) not in (config.eos_id, [config.eos_id]):
        raise settings.fault(_END, f"{config.eos_id}, as in config.json: a target ends with one token")


def _integer(folder: ForeignFolder, key: str, usual: int, at_least: int = 0) -> int:
    return generation_settings(folder).integer(key, usual, at_least=at_least)
