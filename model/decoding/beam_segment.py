"""One segment in beam search: what it was asked, what it has finished, when that is enough.

Knows: hypotheses, scores, the stopping rule (see beam.py). Must not know: tensors, rows of other segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from model.decoding.options import DecodingOptions
from model.decoding.scoring import NEVER, length_penalty, normalised_score
from model.decoding.strategy import FinishReason, Hypothesis, Task


@dataclass(frozen=True, slots=True)
class Ending:
    """A hypothesis about to be finished: its tokens without `</s>`, the sum of what counts with it."""

    token_ids: list[int]
    log_probs: list[float]
    total: float
    coverage: float  # sum over the source of log(min(attention, 1)), see coverage.py


@dataclass(slots=True)
class BeamSegment:
    """One live segment, with what it has finished in the order of finishing."""

    key: int
    options: DecodingOptions
    max_length: int
    stream: bool
    draft: bool
    source_length: int
    num_steps: int = 0
    num_sent: int = 0  # tokens already told to be stable
    finished: list[Hypothesis] = field(default_factory=list)
    group_of: list[int] = field(default_factory=list)  # of what is finished
    num_finished: list[int] = field(init=False)  # by group
    open_groups: set[int] = field(init=False)
    # A live sum, divided by it, is the most that may come of it: a sum of log-probabilities never rises, and
    # a negative one weighs least under the largest penalty, which with alpha >= 0 is that of the limit.
    largest_penalty: float = field(init=False)
    _to_beat: float | None = field(init=False, default=None)  # None: to be found anew

    @classmethod
    def of(cls, task: Task) -> BeamSegment:
        """A segment at its beginning. Drafts come in place of stable tokens."""
        told = task.stream and not task.draft
        return cls(task.key, task.options, task.max_length, told, task.draft, task.source_length)

    def __post_init__(self) -> None:
        self.largest_penalty = length_penalty(self.max_length, self.options.length_penalty)
        self.num_finished = [0] * self.options.diversity_groups
        self.open_groups = set(range(self.options.diversity_groups))

    def finish(self, group: int, ending: Ending, reason: FinishReason) -> None:
        num_tokens = len(ending.token_ids) + (reason == "stop")
        score = normalised_score(ending.total, num_tokens, self.options.length_penalty)
        score += self.options.coverage_penalty * ending.coverage
        self.finished.append(Hypothesis(tuple(ending.token_ids), tuple(ending.log_probs), score, reason))
        self.group_of.append(group)
        self.num_finished[group] += 1
        self._to_beat = None

    @property
    def ranked(self) -> tuple[Hypothesis, ...]:
        """The answer so far, best first; what several groups have found stands there once."""
        by_score = sorted(self._in_turn(), key=lambda hypothesis: -hypothesis.score)
        if self.options.diversity_groups > 1:
            first = dict[tuple[int, ...], Hypothesis]()
            for hypothesis in by_score:
                first.setdefault(hypothesis.token_ids, hypothesis)
            by_score = list(first.values())
        return tuple(by_score[: self.options.num_hypotheses])

    def _in_turn(self) -> list[Hypothesis]:
        """What is finished by step, then by group: at the limit all that ends is noted before all that lives,
        whichever group has it."""
        if self.options.diversity_groups == 1:
            return self.finished
        lines = zip(self.finished, self.group_of, strict=True)
        return [one for one, _ in sorted(lines, key=lambda line: (_num_steps(line[0]), line[1]))]

    def close_groups(self, best_live: Sequence[float]) -> list[int]:
        """Rules a and c for every open group, with the highest sum of its live rows; which have closed."""
        wanted = self.options.finished_wanted
        closed = [g for g in self.open_groups if self.num_finished[g] >= wanted or best_live[g] == NEVER]
        self.open_groups.difference_update(closed)
        return closed

    def is_decided(self, best_live: Sequence[float]) -> bool:
        """Rules a and c for the whole, and rule d."""
        if not self.open_groups:
            return True
        if len(self.finished) < self.options.num_hypotheses:
            return False
        if self._to_beat is None:  # asked at every step, changed by an ending alone
            ranked = self.ranked
            self._to_beat = ranked[-1].score if len(ranked) == self.options.num_hypotheses else NEVER
        best = max(best_live[group] for group in self.open_groups)
        return best / self.largest_penalty <= self._to_beat

    @property
    def best(self) -> Hypothesis | None:
        return max(self.finished, key=lambda hypothesis: hypothesis.score, default=None)

    def leading_finished(self, best_live: Sequence[float]) -> Hypothesis | None:
        """The best finished hypothesis if no live one, scored as it is, has a higher score."""
        best, live = self.best, max(best_live[group] for group in self.open_groups)
        score = normalised_score(live, self.num_steps, self.options.length_penalty)
        return best if best is not None and best.score >= score else None

    def newly_stable(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        new = prefix[self.num_sent :]
        self.num_sent += len(new)
        return new


def _num_steps(hypothesis: Hypothesis) -> int:
    """Steps that it took: a token each, and one for `</s>`."""
    return len(hypothesis.token_ids) + (hypothesis.finish_reason == "stop")
