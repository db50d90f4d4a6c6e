"""Beam search of many segments at once, with different widths and options, in one vectorised step.

Knows: log-probabilities, rows, segments. Must not know: the network, caches, requests.

One step of a beam of width b, in words:
1. Every live row is continued with every token; the 2 b highest sums of log-probabilities are its candidates.
   Of equal sums the lower row comes first, then the lower token id.
2. Candidates that end with `</s>` and stand among the first b are finished. Later ones are dropped.
3. The best b candidates that do not end are the live rows of the next step.
A segment is one beam; with `diversity_groups` each group is one, and diversity.py says how they keep apart.
Where phrases are required, required_picks.py says who lives on. What is added up are the log-probabilities as
constraints.py leaves them; a coverage penalty changes the scores of finished hypotheses, not who lives on.

Stopping rule. A segment ends after the first step at which one of these holds:
a. in every group, at least `finished_wanted` hypotheses are finished (Kasai et al. 2022; with one group and
   patience 1 the usual "as many as the beam is wide"); all that finished in that step count. A group that has
   enough before the others goes no further;
b. its length limit is reached: the live hypotheses are finished as they are, with reason "length", and
   compete with those that ended;
c. no live row is left (only where vocabularies are tiny);
d. `num_hypotheses` are finished and no live row can outscore the worst of the best `num_hypotheses`. What is
   answered is then the same as without this rule, since a sum of log-probabilities never rises and a coverage
   penalty is never above 0.
The answer is the best `num_hypotheses` by score; of equal scores the one that finished first, in one step the
one of the lower group.

The draft of a segment is the hypothesis that leads: of the finished ones the best, unless a live row, scored
as it is (its sum over the length penalty of its present length), is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from model.decoding.beam_plan import BeamPlan, required_beams
from model.decoding.beam_rows import BeamRows
from model.decoding.beam_segment import BeamSegment, Ending
from model.decoding.constraints import TargetVocabulary
from model.decoding.picks import Picks
from model.decoding.required_picks import RequiredBeam
from model.decoding.scoring import NEVER
from model.decoding.stable_prefix import Contest, common_prefixes, leading_live
from model.decoding.strategy import Hypothesis, Selection, Task, check_new
from model.step_scores import StepScores

Answers = dict[int, tuple[Hypothesis, ...]]


class BeamStrategy:
    """All live beam segments; see `Strategy`."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._segments: list[BeamSegment] = []
        self._rows = BeamRows(device)
        self._required: dict[tuple[int, int], RequiredBeam] = {}
        self._plan: BeamPlan | None = None

    @property
    def keys(self) -> Sequence[int]:
        return [segment.key for segment in self._segments]

    @property
    def wants_attention(self) -> bool:
        return any(segment.options.coverage_penalty for segment in self._segments)

    def add(self, task: Task) -> int:
        check_new(task, self.keys)
        segment, options = BeamSegment.of(task), task.options
        self._segments.append(segment)
        self._rows.add(options.rows, options.diversity_groups)
        self._required |= required_beams(segment)
        self._plan = None
        return options.rows

    def remove(self, keys: Sequence[int]) -> None:
        gone = set(keys)
        kept = [segment.key not in gone for segment in self._segments]
        if all(kept):
            return
        self._rows.keep(kept)
        self._segments = [segment for segment in self._segments if segment.key not in gone]
        self._required = {owner: beam for owner, beam in self._required.items() if owner[0] not in gone}
        self._plan = None
        if not self.wants_attention:
            self._rows.coverage.forget()

    def select(self, scores: StepScores) -> Selection:
        if self._plan is None:
            self._plan = BeamPlan(self._vocabulary, self._segments, self._rows, self._required)
        self._attend(scores.attention)
        picks = self._plan.pick(scores.log_probs())
        best_live, failed = self._look(picks, self._plan)
        parents, token_ids = self._advance(picks)
        finished = self._end(best_live, failed, self._plan)
        stable = self._stable(finished, failed)
        drafts = self._drafts(best_live, {*finished, *failed})
        self.remove([*finished, *failed])
        return Selection(parents, token_ids, finished, stable, tuple(failed), drafts)

    def _attend(self, attention: Tensor | None) -> None:
        if self.wants_attention:
            if attention is None:
                raise ValueError("a coverage penalty needs to know what was attended to")
            self._rows.coverage.attend(attention)

    def _look(self, picks: Picks, plan: BeamPlan) -> tuple[list[list[float]], list[int]]:
        """Record what finished. Answers the highest live sum by segment and group, and who failed."""
        columns = (picks.candidates.totals[:, 0], picks.best_live, picks.ends.sum(dim=1).double())
        best_live: list[list[float]] = [[] for _ in self._segments]
        failed, some_end = dict[int, None](), False
        owners = zip(self._rows.segment_of_group, self._rows.number_of_group, strict=True)
        for (index, group), line in zip(owners, torch.stack(columns, dim=1).tolist(), strict=True):
            segment = self._segments[index]
            best_live[index].append(line[1])
            some_end |= line[2] > 0
            if group in segment.open_groups and not math.isfinite(line[0]):
                failed[segment.key] = None
        if some_end:
            self._record_ends(picks, plan)
        return best_live, list(failed)

    def _record_ends(self, picks: Picks, plan: BeamPlan) -> None:
        """Turn candidates that end into hypotheses, before the rows that they continue move on."""
        places = picks.ends.nonzero()[:, 0].tolist()
        rows, totals = picks.candidates.rows[picks.ends], picks.candidates.totals[picks.ends].tolist()
        for place, ending in zip(places, self._endings(rows, totals, plan), strict=True):
            index, group = self._rows.segment_of_group[place], self._rows.number_of_group[place]
            self._segments[index].finish(group, ending, "stop")

    def _endings(self, rows: Tensor, totals: Sequence[float], plan: BeamPlan) -> list[Ending]:
        """What `rows` [N] hold, with the sums `totals`."""
        token_ids, log_probs = self._rows.token_ids[rows].tolist(), self._rows.log_probs[rows].tolist()
        held = self._rows.lengths[rows].tolist()
        coverage = [0.0] * len(totals)
        if self.wants_attention:
            coverage = self._rows.coverage.logs(rows, plan.source_lengths[rows])
        lines = zip(token_ids, log_probs, held, totals, coverage, strict=True)
        return [Ending(tokens[:n], own[:n], total, logs) for tokens, own, n, total, logs in lines]

    def _advance(self, picks: Picks) -> tuple[Tensor, Tensor]:
        """Move every row on to its candidate; a row that got none is dead and repeats itself with `</s>`."""
        layout, chosen = self._rows.groups, picks.chosen
        is_alive = layout.rows(picks.alive)
        itself = torch.arange(len(is_alive))
        parents = torch.where(is_alive, layout.rows(chosen.rows), itself)
        token_ids = torch.where(is_alive, layout.rows(chosen.token_ids), self._vocabulary.eos_id)
        totals = torch.where(is_alive, layout.rows(chosen.totals), NEVER)
        self._rows.advance(parents, token_ids, layout.rows(chosen.log_probs), totals)
        for segment in self._segments:
            segment.num_steps += 1
        return parents, token_ids

    def _end(self, best_live: Sequence[Sequence[float]], failed: Sequence[int], plan: BeamPlan) -> Answers:
        """Apply the stopping rule."""
        answers: Answers = {}
        closed: list[int] = []
        first_group = 0
        for index, (segment, live) in enumerate(zip(self._segments, best_live, strict=True)):
            if segment.key not in failed:
                closed += [first_group + group for group in segment.close_groups(live)]
                at_limit = segment.num_steps == segment.max_length
                if at_limit:  # before rule d: of equal scores the lower group's is first, though it lives
                    self._finish_live(index, segment, plan)
                if at_limit or segment.is_decided(live):
                    answers[segment.key] = segment.ranked
            first_group += len(live)
        if closed:
            self._rows.kill(closed)
        return answers

    def _finish_live(self, index: int, segment: BeamSegment, plan: BeamPlan) -> None:
        """Rule b: the live rows are finished as they are."""
        first, width = sum(self._rows.widths[:index]), self._rows.widths[index]
        rows = torch.arange(first, first + width)
        endings = self._endings(rows, self._rows.totals[rows].tolist(), plan)
        for slot, ending in enumerate(endings):
            group = slot // (width // segment.options.diversity_groups)
            if ending.total > NEVER and group in segment.open_groups:
                segment.finish(group, ending, "length")

    def _stable(self, finished: Answers, failed: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Newly stable tokens of streamed segments; the whole rest for those that have ended."""
        streamed = [(i, s) for i, s in enumerate(self._segments) if s.stream and s.key not in failed]
        contests = {
            s.key: Contest(i, s.best, s.largest_penalty) for i, s in streamed if s.key not in finished
        }
        prefixes = common_prefixes(list(contests.values()), self._rows)
        by_key = dict(zip(contests, prefixes, strict=True))
        by_key |= {s.key: finished[s.key][0].token_ids for _, s in streamed if s.key in finished}
        news = {segment.key: segment.newly_stable(by_key[segment.key]) for _, segment in streamed}
        return {key: tokens for key, tokens in news.items() if tokens}

    def _drafts(self, best_live: Sequence[Sequence[float]], gone: set[int]) -> dict[int, tuple[int, ...]]:
        """The tokens of the hypothesis that leads in each segment streamed in drafts."""
        drafted = [(i, s) for i, s in enumerate(self._segments) if s.draft and s.key not in gone]
        leading = {s.key: s.leading_finished(best_live[i]) for i, s in drafted}
        drafts = {key: best.token_ids for key, best in leading.items() if best is not None}
        open_ones = [(i, s.key) for i, s in drafted if s.key not in drafts]
        tokens = leading_live([index for index, _ in open_ones], self._rows)
        return drafts | {key: one for (_, key), one in zip(open_ones, tokens, strict=True)}
