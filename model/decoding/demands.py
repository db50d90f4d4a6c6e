"""Whether a model can do what the options demand, and how long it may take: settled before a segment begins.

Knows: options, a vocabulary, a length limit. Must not know: tensors, searches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from model.config import ModelConfig
from model.decoding.options import DecodingOptions, OptionError
from model.decoding.required import RequiredPhrases


def target_limit(options: DecodingOptions, config: ModelConfig, num_source_tokens: int) -> int:
    """The most tokens that a segment may produce, `</s>` counted: the smallest of all limits, at least 1.

    Raises `OptionError` where the options demand what the model cannot write, or not within that limit.
    """
    check_tokens(options, config)
    limits = [config.max_target_length]
    if options.max_length is not None:
        limits.append(options.max_length)
    if options.max_length_ratio is not None:
        limits.append(ratio_limit(options.max_length_ratio, num_source_tokens))
    limit = max(1, min(limits))
    check_room(options, limit)
    return limit


def ratio_limit(ratio: float, num_source_tokens: int) -> int:
    """The most tokens at so many per source token: as the ratio is written, since 1.1 * 50 is above 55."""
    return math.ceil(Decimal(repr(ratio)) * num_source_tokens)


def check_room(options: DecodingOptions, max_length: int) -> None:
    """Raises `OptionError` when prefix and required phrases do not fit into `max_length` tokens."""
    num_forced = len(options.prefix_ids)
    if num_forced > max_length:
        raise OptionError("prefix_ids", f"at most {max_length} tokens, the length limit", num_forced)
    if options.required_ids:
        required = RequiredPhrases(options.required_ids)
        num_missing = required.num_missing(required.after_all(options.prefix_ids))
        if num_forced + num_missing > max_length:
            bound = f"at most {max_length - num_forced} more tokens in all, the room under the length limit"
            raise OptionError("required_ids", bound, num_missing)


def check_tokens(options: DecodingOptions, config: ModelConfig) -> None:
    """Raises `OptionError` for token ids that the target vocabulary lacks, or that are never text."""
    for field, token_id in _tokens(options):
        if not 0 <= token_id < config.target_vocab_size:
            raise OptionError(field, f"of token ids in 0..{config.target_vocab_size - 1}", token_id)
        if token_id in (config.eos_id, config.pad_id, config.decoder_start_id):
            raise OptionError(field, "free of padding, start and end tokens", token_id)


def _tokens(options: DecodingOptions) -> Iterator[tuple[str, int]]:
    for token_id in options.prefix_ids:
        yield "prefix_ids", token_id
    for field in ("banned_ids", "required_ids"):
        for phrase in getattr(options, field):
            yield from ((field, token_id) for token_id in phrase)
