"""What may come next, spelled out slowly for one hypothesis: the rules that `reference.py` searches under.

Knows: token lists and log-probabilities of one target, in plain Python; the definitions of docs/decoding.md.
Must not know: tensors, the vectorised rules that are held against these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.random_numbers import uniform

NEVER = float("-inf")


def counted(
    own: Sequence[float], target: Sequence[int], options: DecodingOptions, vocabulary: TargetVocabulary
) -> list[float]:
    """The log-probabilities [V] after `target` as the rules leave them; -inf is forbidden."""
    if len(target) < len(options.prefix_ids):
        forced = options.prefix_ids[len(target)]
        return [value if token_id == forced else NEVER for token_id, value in enumerate(own)]
    values = list(own)
    for token_id in set(target):
        values[token_id] *= options.repetition_penalty
    for token_id in range(len(values)):
        if token_id in vocabulary.never_ids or is_banned([*target, token_id], options):
            values[token_id] = NEVER
    if len(target) < options.min_length:
        values[vocabulary.eos_id] = NEVER
    if (options.no_repeat_ngram_size or options.banned_ids) and max(values) == NEVER:
        values[vocabulary.eos_id] = own[vocabulary.eos_id]
    return values


def is_banned(target: Sequence[int], options: DecodingOptions) -> bool:
    """Whether the last token completes a repeated n-gram or a banned sequence."""
    size = options.no_repeat_ngram_size
    if size and len(target) >= size:
        before, last = target[:-1], target[-size:]
        if contains(before, last):
            return True
    return any(ends_with(target, phrase) for phrase in options.banned_ids)


def contains(target: Sequence[int], phrase: Sequence[int]) -> bool:
    starts = range(len(target) - len(phrase) + 1)
    return any(list(target[i : i + len(phrase)]) == list(phrase) for i in starts)


def ends_with(target: Sequence[int], phrase: Sequence[int]) -> bool:
    return len(target) >= len(phrase) and list(target[len(target) - len(phrase) :]) == list(phrase)


def num_missing(target: Sequence[int], phrases: Sequence[Sequence[int]]) -> int:
    """The tokens of all phrases that `target` lacks, less what it ends with of the one that is furthest.

    A phrase that stands inside another one comes with it.
    """
    alone = [p for p in {*map(tuple, phrases)} if not any(p != q and contains(q, p) for q in phrases)]
    absent = [phrase for phrase in alone if not contains(target, phrase)]
    written = [max(n for n in range(len(phrase)) if ends_with(target, phrase[:n])) for phrase in absent]
    return sum(map(len, absent)) - max(written, default=0)


def draw(values: Sequence[float], options: DecodingOptions, seed: int, step: int) -> int:
    """The token that sampling takes from the log-probabilities `values` [V] at this step."""
    kept = kept_mass(values, options)
    threshold, mass = uniform(seed, step) * sum(kept), 0.0
    for token_id, share in enumerate(kept):
        mass += share
        if mass > threshold:
            return token_id
    raise ValueError("no token has any mass")


def kept_mass(values: Sequence[float], options: DecodingOptions) -> list[float]:
    """The probability of every token at the temperature, 0 for what some filter drops. Not renormalised."""
    weights = [math.exp((value - max(values)) / options.temperature) for value in values]
    probabilities = [weight / sum(weights) for weight in weights]
    ranked = sorted(range(len(values)), key=lambda token_id: -values[token_id])
    kept, likelier = [0.0] * len(values), 0.0
    for rank, token_id in enumerate(ranked):
        probability = probabilities[token_id]
        in_top_k = options.top_k == 0 or rank < options.top_k
        in_top_p = options.top_p == 1.0 or likelier < options.top_p
        is_large = probability >= max(options.min_p * probabilities[ranked[0]], options.epsilon)
        if rank == 0 or (in_top_k and in_top_p and is_large):
            kept[token_id] = probability
        likelier += probability
    return kept
