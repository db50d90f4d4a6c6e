"""Requests of a simulated load: when they come and how long they are, the same for the same seed.

Knows: sentences, random moments. Must not know: who serves them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from loadtests.subject import SHIPPED
from loadtests.workload import made_up
from model.checkpoint import load_bundle_head

NUM_LENGTHS = 2_000

# Requests per second at moments in seconds; straight lines between them.
Profile = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Request:
    """One sentence. As many target tokens as source tokens are assumed, with the end of the sentence."""

    arrived: float
    tokens: int


@cache
def sentence_tokens(count: int = NUM_LENGTHS, seed: int = 0) -> tuple[int, ...]:
    """Source tokens of made-up sentences, by the shipped tokenizer."""
    tokenizer = load_bundle_head(SHIPPED).tokenizer
    return tuple(len(ids) for ids in tokenizer.encode_sources(made_up(count, seed).sentences))


@cache
def mean_characters(count: int, seed: int = 0) -> float:
    """Of the sentences of a measurement under live load."""
    sentences = made_up(count, seed).sentences
    return sum(map(len, sentences)) / count


def mean_tokens() -> float:
    return sum(sentence_tokens()) / len(sentence_tokens())


def arrivals(profile: Profile, seed: int, lengths: Sequence[int] | None = None) -> Iterator[Request]:
    """At random moments (Poisson) by the profile, until its end."""
    rng, lengths = random.Random(seed), lengths or sentence_tokens()
    rate, highest = _rate(profile), max(rate for _, rate in profile)
    now, end = profile[0][0], profile[-1][0]
    while highest > 0:
        now += rng.expovariate(highest)
        if now >= end:
            return
        if rng.random() * highest < rate(now):
            yield Request(now, rng.choice(lengths))


def steady(rate: float, seconds: float) -> Profile:
    return [(0.0, rate), (seconds, rate)]


def _rate(profile: Profile) -> Callable[[float], float]:
    pieces = list(pairwise(profile))

    def rate(now: float) -> float:
        for (begin, low), (end, high) in pieces:
            if now < end:
                return low + (high - low) * (now - begin) / (end - begin)
        return profile[-1][1]

    return rate
