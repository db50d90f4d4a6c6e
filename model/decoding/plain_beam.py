"""Plain beams (see plain.py), answered as beam.py answers them, at a cost that is small beside any network's.

Knows: scores, segments, trails. Must not know: the network, caches, requests.
What a step does, when a search stops and what a draft is are said in beam.py. Here nothing of the size of a
vocabulary is made, and bookkeeping is on the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

import torch

from model.beam_step import NEVER, BeamStep
from model.decoding.beam_segment import BeamSegment, Ending
from model.decoding.constraints import TargetVocabulary
from model.decoding.plain import Bars
from model.decoding.prefix import Begun
from model.decoding.stable_prefix import same_beginning
from model.decoding.strategy import Hypothesis, Selection, Task, check_new
from model.decoding.trails import Trail, common_beginning, last_tokens, trail_of, written
from model.step_scores import StepScores

Answers = dict[int, tuple[Hypothesis, ...]]
GROUP = 0  # a plain beam is one group


class PlainBeamStrategy:
    """All live plain beams; see `Strategy`."""

    wants_attention = False

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        self._vocabulary, self._device = vocabulary, device
        self._segments: dict[int, BeamSegment] = {}
        self._widths: list[int] = []
        self._totals: list[float] = []  # by row; -inf: no beam is on it
        self._trails: list[Trail | None] = []  # by row
        self._bars: Bars | None = None

    @property
    def keys(self) -> Sequence[int]:
        return list(self._segments)

    def add(self, task: Task) -> int:
        check_new(task, self._segments)
        rows = task.options.rows
        self._segments[task.key] = BeamSegment.of(task)
        self._totals += [0.0, *[NEVER] * (rows - 1)]  # all rows would be equal
        self._trails += [None] * rows
        self._rows_changed()
        return rows

    def resume(self, begun: Begun) -> None:
        """Go on behind a prefix, which all rows have written; one of them is on a beam."""
        segment, rows = BeamSegment.of(begun.task), begun.task.options.rows
        segment.num_steps, segment.num_sent = len(begun.log_probs), begun.num_sent
        self._segments[segment.key] = segment
        # One after the other, as a search adds them: `sum` is more exact from Python 3.12 on.
        *_, total = accumulate(begun.log_probs)
        self._totals += [total, *[NEVER] * (rows - 1)]
        self._trails += [trail_of(begun.token_ids, begun.log_probs), *[None] * (rows - 1)]
        self._rows_changed()

    def remove(self, keys: Sequence[int]) -> None:
        gone = set(keys) & self._segments.keys()
        if not gone:
            return
        kept = [
            key not in gone for key, segment in self._segments.items() for _ in range(segment.options.rows)
        ]
        self._totals = [total for total, stays in zip(self._totals, kept, strict=True) if stays]
        self._trails = [trail for trail, stays in zip(self._trails, kept, strict=True) if stays]
        self._segments = {key: one for key, one in self._segments.items() if key not in gone}
        self._rows_changed()

    def _rows_changed(self) -> None:
        self._widths = [segment.options.rows for segment in self._segments.values()]
        self._bars = None  # derived anew when next asked

    def select(self, scores: StepScores) -> Selection:
        segments = list(self._segments.values())
        if self._bars is None:
            self._bars = Bars(self._vocabulary, [segment.options for segment in segments], self._device)
        barred = self._bars.pairs(lambda: [segment.num_steps for segment in segments])
        step = scores.extend_beams(self._widths, self._totals, self._vocabulary.eos_id, barred)
        failed = _failed(segments, step.highest)
        self._record_ends(step, segments)
        self._advance(step, segments)
        finished = self._end(step, segments, failed)
        told = [segment for segment in segments if segment.key not in failed]
        stable, drafts = self._stable(told, finished), self._drafts(told, finished)
        self.remove([*finished, *failed])
        return Selection(step.moves, step.tokens, finished, stable, tuple(failed), drafts)

    def _record_ends(self, step: BeamStep, segments: Sequence[BeamSegment]) -> None:
        """Before the rows that they continue move on."""
        for beam, row, total in step.ends:
            segments[beam].finish(GROUP, Ending(*written(self._trails[row]), total, 0.0), "stop")

    def _advance(self, step: BeamStep, segments: Sequence[BeamSegment]) -> None:
        parents = self._trails if step.moves is None else map(self._trails.__getitem__, step.parents)
        self._trails = list(zip(parents, step.token_ids, step.log_probs, strict=True))
        self._totals = list(step.totals)
        for segment in segments:
            segment.num_steps += 1

    def _rows(self) -> dict[int, range]:
        """The rows of each segment, by its key."""
        lines = zip(self._segments, self._widths, accumulate(self._widths), strict=True)
        return {key: range(last - width, last) for key, width, last in lines}

    def _end(self, step: BeamStep, segments: Sequence[BeamSegment], failed: Sequence[int]) -> Answers:
        """Apply the stopping rule."""
        answers: Answers = {}
        for segment, live in zip(segments, step.best_live, strict=True):
            at_limit = segment.num_steps == segment.max_length
            if not (segment.finished or at_limit) or segment.key in failed:
                continue  # as nearly always
            segment.close_groups([live])
            decided = segment.is_decided([live])
            if at_limit and not decided:
                self._finish_live(segment)
            if at_limit or decided:
                answers[segment.key] = segment.ranked
        return answers

    def _finish_live(self, segment: BeamSegment) -> None:
        """Rule b: the live rows are finished as they are."""
        for row in self._rows()[segment.key]:
            if self._totals[row] > NEVER:
                ending = Ending(*written(self._trails[row]), self._totals[row], 0.0)
                segment.finish(GROUP, ending, "length")

    def _stable(self, told: Iterable[BeamSegment], finished: Answers) -> dict[int, tuple[int, ...]]:
        """Newly stable tokens of streamed segments; the whole rest for those that have ended."""
        streamed = [segment for segment in told if segment.stream]
        if not streamed:
            return {}
        rows, news = self._rows(), dict[int, tuple[int, ...]]()
        for segment in streamed:
            answer = finished.get(segment.key)
            new = self._certain(segment, rows[segment.key]) if answer is None else _unsent(segment, answer[0])
            segment.num_sent += len(new)
            if new:
                news[segment.key] = tuple(new)
        return news

    def _certain(self, segment: BeamSegment, rows: range) -> Sequence[int]:
        """What all that can still win go on with behind what was sent (see stable_prefix.py)."""
        best, penalty = segment.best, segment.largest_penalty
        to_beat = NEVER if best is None else best.score
        winners = [self._trails[row] for row in rows if self._totals[row] / penalty > to_beat]
        finished = None if best is None else _unsent(segment, best)
        if not winners:
            return finished or ()
        shared, shorter = common_beginning(winners)
        live = last_tokens(shared, segment.num_steps - shorter - segment.num_sent)
        return live if finished is None else same_beginning(live, finished)

    def _drafts(self, told: Iterable[BeamSegment], finished: Answers) -> dict[int, tuple[int, ...]]:
        """The tokens of the hypothesis that leads in each segment streamed in drafts."""
        drafted = [segment for segment in told if segment.draft and segment.key not in finished]
        if not drafted:
            return {}
        rows, drafts = self._rows(), dict[int, tuple[int, ...]]()
        for segment in drafted:
            leader = max(rows[segment.key], key=self._totals.__getitem__)
            best = segment.leading_finished([self._totals[leader]])
            drafts[segment.key] = tuple(written(self._trails[leader])[0]) if best is None else best.token_ids
        return drafts


def _failed(segments: Sequence[BeamSegment], highest: Sequence[float]) -> list[int]:
    if math.isfinite(sum(highest)):  # as nearly always
        return []
    return [s.key for s, total in zip(segments, highest, strict=True) if not math.isfinite(total)]


def _unsent(segment: BeamSegment, hypothesis: Hypothesis) -> Sequence[int]:
    """What stands behind the tokens that were told to be stable, which nothing takes back."""
    return hypothesis.token_ids[segment.num_sent :]
