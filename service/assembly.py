"""Puts finished segments together: whole texts, their n-best list, their scores.

Pure functions of values; knows no engine, no tokens' ids, no HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs import Alternative, Candidate, FinishReason, SegmentHypothesis, SegmentResult, TextResult


@dataclass(frozen=True, slots=True)
class _Partial:
    """The first segments of a text, put together one way: the last of them and `earlier` ones.

    Each is made in constant time, however long the text; `candidate` walks back through all of them once.
    """

    earlier: _Partial | None = None
    piece: str = ""
    score_sum: float = 0.0
    num_scores: int = 0
    finish_reason: FinishReason = "stop"

    def extended(self, result: SegmentResult, hypothesis: SegmentHypothesis) -> _Partial:
        segment = result.segment
        piece = segment.before + hypothesis.text + segment.after
        reason: FinishReason = "length" if hypothesis.finish_reason == "length" else self.finish_reason
        if hypothesis.score is None:
            return _Partial(self, piece, self.score_sum, self.num_scores, reason)
        return _Partial(self, piece, self.score_sum + hypothesis.score, self.num_scores + 1, reason)

    def candidate(self) -> Candidate:
        pieces: list[str] = []
        last: _Partial | None = self
        while last is not None:
            pieces.append(last.piece)
            last = last.earlier
        score = self.score_sum / self.num_scores if self.num_scores else None
        return Candidate("".join(reversed(pieces)), score, self.finish_reason)


def _best_ways(
    partials: Sequence[_Partial], hypotheses: Sequence[SegmentHypothesis], count: int
) -> list[tuple[_Partial, SegmentHypothesis]]:
    """The `count` best ways to go on, best first; of equal sums the one of better-ranked parts."""
    if count == 1:
        return [(partials[0], hypotheses[0])]
    scores = [one.score or 0.0 for one in hypotheses]
    sums = [(-(partial.score_sum + score)) for partial in partials for score in scores]
    best = sorted(range(len(sums)), key=sums.__getitem__)[:count]
    return [(partials[way // len(scores)], hypotheses[way % len(scores)]) for way in best]


def assemble_text(
    segments: Sequence[SegmentResult],
    num_hypotheses: int,
    detected_source: str | None,
    alternatives: tuple[Alternative, ...] | None = None,
) -> TextResult:
    """A text from all its segments, in order: its translation, and the next best as far as asked for.

    A text's score is the mean of its translated segments' scores, None if there is none. The n best are taken
    over every way of choosing one hypothesis per segment: since the mean of a fixed number of scores orders
    as their sum, keeping the n best after each segment loses none. The first has every segment's best.
    """
    partials = [_Partial()]
    for result in segments:
        ways = _best_ways(partials, result.hypotheses, num_hypotheses)
        partials = [partial.extended(result, hypothesis) for partial, hypothesis in ways]
    candidates = tuple(partial.candidate() for partial in partials)
    return TextResult(candidates, tuple(segments), detected_source, alternatives)
