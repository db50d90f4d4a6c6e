"""What the rows of a beam have written, as chains that share their beginnings.

Knows: tokens and their log-probabilities. Must not know: sums, options, when a search ends.

A row that goes on from another adds a link to that row's chain, so no step copies what was written before;
chains are walked only where someone wants the tokens. Rows of one beam differ: where two chains are alike,
they are one.
"""

from __future__ import annotations

from collections.abc import Iterable

# The trail before, then the last token with its log-probability. None: nothing is written yet.
Trail = tuple["Trail | None", int, float]


def trail_of(token_ids: Iterable[int], log_probs: Iterable[float]) -> Trail | None:
    trail: Trail | None = None
    for token_id, log_prob in zip(token_ids, log_probs, strict=True):
        trail = (trail, token_id, log_prob)
    return trail


def written(trail: Trail | None) -> tuple[list[int], list[float]]:
    """All tokens and their log-probabilities, the first first."""
    token_ids: list[int] = []
    log_probs: list[float] = []
    while trail is not None:
        trail, token_id, log_prob = trail
        token_ids.append(token_id)
        log_probs.append(log_prob)
    return token_ids[::-1], log_probs[::-1]


def last_tokens(trail: Trail | None, count: int) -> list[int]:
    """The last `count` tokens, of at least so many."""
    token_ids: list[int] = []
    for _ in range(count):
        assert trail is not None
        trail, token_id, _log_prob = trail
        token_ids.append(token_id)
    return token_ids[::-1]


def common_beginning(trails: Iterable[Trail | None]) -> tuple[Trail | None, int]:
    """The longest trail that all of these, equally long, go on from, and by how many tokens it is shorter.

    At least one is needed.
    """
    ends, shorter = {id(trail): trail for trail in trails}, 0
    while len(ends) > 1:
        before = [trail[0] for trail in ends.values() if trail is not None]
        ends, shorter = {id(trail): trail for trail in before}, shorter + 1
    (shared,) = ends.values()
    return shared, shorter
