"""Which sentences of a test set are worth reading: the worst, and those in which two systems differ most.

Knows: sentence scores. Must not know: pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluation_scores import TestScores
from training.scoring import sentence_chrf

# A name or an interjection that is wrong scores 0 and says little: such sentences come last.
FEWEST_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Example:
    """Sentence `index` and the chrF of each system's translation."""

    index: int
    chrf: float
    baseline_chrf: float | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """`lost` are those where the system falls furthest behind the baseline, `won` the reverse."""

    worst: list[Example]
    lost: list[Example]
    won: list[Example]


def choose_examples(test: TestScores, count: int) -> Examples:
    """Up to `count` of each kind; equal sentences with equal translations are shown once."""
    found = _distinct(test)
    worst = sorted(found, key=lambda one: (_is_short(test, one), one.chrf, one.index))
    if test.baseline is None:
        return Examples(worst[:count], [], [])
    by_change = sorted(found, key=lambda one: (_change(one), one.index))
    lost = [one for one in by_change[:count] if _change(one) < 0]
    won = [one for one in reversed(by_change[-count:]) if _change(one) > 0]
    return Examples(worst[:count], lost, won)


def _distinct(test: TestScores) -> list[Example]:
    texts, others = test.system.translations.texts, _baseline_texts(test)
    references = test.test_set.all_references
    own = sentence_chrf(texts, *references)
    other = None if others is None else sentence_chrf(others, *references)
    found: dict[tuple[str, str], Example] = {}
    for index, key in enumerate(zip(test.test_set.sources, texts, strict=True)):
        found.setdefault(key, Example(index, own[index], None if other is None else other[index]))
    return list(found.values())


def _baseline_texts(test: TestScores) -> Sequence[str] | None:
    return None if test.baseline is None else test.baseline.translations.texts


def _is_short(test: TestScores, one: Example) -> bool:
    return len(test.test_set.references[one.index]) < FEWEST_CHARACTERS


def _change(one: Example) -> float:
    return 0.0 if one.baseline_chrf is None else one.chrf - one.baseline_chrf
