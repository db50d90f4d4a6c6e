"""Beam search of many segments at once, with different widths and options, in one vectorised step.

Knows: log-probabilities, hypotheses, when a segment ends. Must not know: the network, caches, requests.

One step of a segment of width b, in words:
1. Every live row is continued with every token; the 2 b highest sums of log-probabilities are its candidates.
   Of equal sums the lower row comes first, then the lower token id.
2. Candidates that end with `</s>` and stand among the first b are finished. Later ones are dropped.
3. The best b candidates that do not end are the live rows of the next step.

Stopping rule. A segment ends after the first step at which one of these holds:
a. at least `finished_wanted` = max(1, num_hypotheses, round(b * patience)) hypotheses are finished (Kasai et
   al. 2022; with patience 1 the usual "as many as the beam is wide"); all that finished in that step count;
b. its length limit is reached: the live hypotheses are finished as they are, with reason "length", and
   compete with those that ended;
c. no live row is left (only where vocabularies are tiny);
d. `num_hypotheses` are finished and no live row can outscore the worst of the best `num_hypotheses`. What is
   answered is then the same as without this rule, since a sum of log-probabilities never rises.
The answer is the best `num_hypotheses` by normalised score; of equal scores the one that finished first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.decoding.beam_rows import BeamRows
from model.decoding.candidates import Candidates, best_candidates
from model.decoding.constraints import NEVER, TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.scoring import best_attainable, length_penalty, normalised_score
from model.decoding.stable_prefix import Contest, common_prefixes
from model.decoding.strategy import FinishReason, Hypothesis, Selection, check_new


@dataclass(slots=True)
class _Segment:
    """One live segment: what it was asked and what it has finished, in the order of finishing."""

    key: int
    options: DecodingOptions
    max_length: int
    stream: bool
    num_steps: int = 0
    num_sent: int = 0  # tokens already told to be stable
    finished: list[Hypothesis] = field(default_factory=list)

    def finish(
        self, token_ids: list[int], log_probs: list[float], total: float, reason: FinishReason
    ) -> None:
        """`token_ids` and `log_probs` without `</s>`; `total` is the sum with it."""
        score = normalised_score(total, len(token_ids) + (reason == "stop"), self.options.length_penalty)
        self.finished.append(Hypothesis(tuple(token_ids), tuple(log_probs), score, reason))

    @property
    def ranked(self) -> tuple[Hypothesis, ...]:
        """The answer so far, best first."""
        by_score = sorted(self.finished, key=lambda hypothesis: -hypothesis.score)
        return tuple(by_score[: self.options.num_hypotheses])

    def has_enough(self, best_live: float) -> bool:
        """Rules a, c and d of the stopping rule; `best_live` is the highest sum of a live row."""
        if len(self.finished) >= self.options.finished_wanted or best_live == NEVER:
            return True
        if len(self.finished) < self.options.num_hypotheses:
            return False
        attainable = best_attainable(best_live, self.max_length, self.options.length_penalty)
        return attainable <= self.ranked[-1].score

    def contest(self, index: int) -> Contest:
        penalty = length_penalty(self.max_length, self.options.length_penalty)
        return Contest(index, self.ranked[0] if self.finished else None, penalty)

    def newly_stable(self, prefix: tuple[int, ...]) -> tuple[int, ...]:
        new = prefix[self.num_sent :]
        self.num_sent += len(new)
        return new


class BeamStrategy:
    """All live beam segments; see `Strategy`."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._segments: list[_Segment] = []
        self._rows = BeamRows(device)

    @property
    def keys(self) -> Sequence[int]:
        return [segment.key for segment in self._segments]

    def add(
        self,
        key: int,
        options: DecodingOptions,
        max_length: int,
        *,
        stream: bool = False,
        draft: bool = False,
    ) -> int:
        check_new(key, self.keys, max_length)
        self._segments.append(_Segment(key, options, max_length, stream))
        self._rows.add(options.rows)
        return options.rows

    def remove(self, keys: Sequence[int]) -> None:
        gone = set(keys)
        kept = [segment.key not in gone for segment in self._segments]
        if not all(kept):
            self._rows.keep(kept)
            self._segments = [segment for segment in self._segments if segment.key not in gone]

    def select(self, log_probs: Tensor) -> Selection:
        self._forbid(log_probs)
        candidates = best_candidates(self._rows.totals, log_probs, self._rows.layout)
        ends, live = self._split(candidates)
        chosen, alive = self._choose_live(candidates, live)
        best_live, failed = self._to_host(candidates, ends, chosen, alive)
        parents, token_ids = self._advance(chosen, alive)
        finished = self._end(best_live, failed)
        stable = self._stable(finished, failed)
        self.remove([*finished, *failed])
        return Selection(parents, token_ids, finished, stable, tuple(failed))

    def _forbid(self, log_probs: Tensor) -> None:
        short = [segment.num_steps < segment.options.min_length for segment in self._segments]
        widths = self._rows.widths
        rows = [is_short for is_short, width in zip(short, widths, strict=True) for _ in range(width)]
        self._vocabulary.forbid(log_probs, rows)

    def _split(self, candidates: Candidates) -> tuple[Tensor, Tensor]:
        """Which candidates [G, N] finish a hypothesis (step 2), and which may live on (step 3)."""
        rank = torch.arange(candidates.totals.shape[1], device=candidates.totals.device)
        is_end = candidates.token_ids == self._vocabulary.eos_id
        possible = candidates.totals > NEVER
        # Live ones need no rank: with one end per row, the first b that go on are among the first 2 b.
        return is_end & possible & (rank < self._rows.layout.widths[:, None]), ~is_end & possible

    def _choose_live(self, candidates: Candidates, live: Tensor) -> tuple[Candidates, Tensor]:
        """The first W that may live on, by segment and slot [G, W], and whether there are so many."""
        picks = torch.sort(live.byte(), dim=1, descending=True, stable=True).indices
        picks = picks[:, : self._rows.layout.widest]
        return candidates.gather(picks), live.gather(1, picks)

    def _to_host(
        self, candidates: Candidates, ends: Tensor, chosen: Candidates, alive: Tensor
    ) -> tuple[list[float], list[int]]:
        """Record what finished. Answers the highest live sum per segment, and the keys of failed segments.

        One transfer at every step; more only when some hypothesis finishes.
        """
        best_live = torch.where(alive[:, 0], chosen.totals[:, 0], NEVER)
        columns = (candidates.totals[:, 0], best_live, ends.sum(dim=1).double())
        summary = torch.stack(columns, dim=1).tolist()
        failed = [key for key, line in zip(self.keys, summary, strict=True) if not math.isfinite(line[0])]
        if any(line[2] for line in summary):
            self._record_ends(candidates, ends)
        return [line[1] for line in summary], failed

    def _record_ends(self, candidates: Candidates, ends: Tensor) -> None:
        """Turn candidates that end into hypotheses, before the rows that they continue move on."""
        where = ends.nonzero()
        rows = candidates.rows[ends]
        totals = candidates.totals[ends].tolist()
        histories = zip(self._rows.token_ids[rows].tolist(), self._rows.log_probs[rows].tolist(), strict=True)
        for index, total, (token_ids, log_probs) in zip(where[:, 0].tolist(), totals, histories, strict=True):
            segment = self._segments[index]
            held = segment.num_steps
            segment.finish(token_ids[:held], log_probs[:held], total, "stop")

    def _advance(self, chosen: Candidates, alive: Tensor) -> tuple[Tensor, Tensor]:
        """Move every row on to its candidate; a row that got none is dead and repeats itself with `</s>`."""
        layout = self._rows.layout
        is_alive = layout.rows(alive)
        itself = torch.arange(len(is_alive), device=is_alive.device)
        parents = torch.where(is_alive, layout.rows(chosen.rows), itself)
        token_ids = torch.where(is_alive, layout.rows(chosen.token_ids), self._vocabulary.eos_id)
        totals = torch.where(is_alive, layout.rows(chosen.totals), NEVER)
        self._rows.advance(parents, token_ids, layout.rows(chosen.log_probs), totals)
        for segment in self._segments:
            segment.num_steps += 1
        return parents, token_ids

    def _end(self, best_live: list[float], failed: list[int]) -> dict[int, tuple[Hypothesis, ...]]:
        """Apply the stopping rule."""
        answers: dict[int, tuple[Hypothesis, ...]] = {}
        for index, (segment, live) in enumerate(zip(self._segments, best_live, strict=True)):
            if segment.key in failed:
                continue
            if segment.has_enough(live):
                answers[segment.key] = segment.ranked
            elif segment.num_steps == segment.max_length:
                self._finish_live(index, segment)
                answers[segment.key] = segment.ranked
        return answers

    def _finish_live(self, index: int, segment: _Segment) -> None:
        """Rule b: the live rows are finished as they are."""
        first = sum(self._rows.widths[:index])
        rows = slice(first, first + self._rows.widths[index])
        held = segment.num_steps
        state = (self._rows.totals, self._rows.token_ids[:, :held], self._rows.log_probs[:, :held])
        for total, token_ids, log_probs in zip(*(values[rows].tolist() for values in state), strict=True):
            if total > NEVER:
                segment.finish(token_ids, log_probs, total, "length")

    def _stable(
        self, finished: dict[int, tuple[Hypothesis, ...]], failed: list[int]
    ) -> dict[int, tuple[int, ...]]:
        """Newly stable tokens of streamed segments; the whole rest for those that have ended."""
        streamed = [(i, s) for i, s in enumerate(self._segments) if s.stream and s.key not in failed]
        going_on = [(i, s) for i, s in streamed if s.key not in finished]
        prefixes = common_prefixes([segment.contest(index) for index, segment in going_on], self._rows)
        by_key = {s.key: prefix for (_, s), prefix in zip(going_on, prefixes, strict=True)}
        by_key |= {s.key: finished[s.key][0].token_ids for _, s in streamed if s.key in finished}
        news = {segment.key: segment.newly_stable(by_key[segment.key]) for _, segment in streamed}
        return {key: tokens for key, tokens in news.items() if tokens}
