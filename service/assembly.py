"""Puts finished segments together: whole texts, their n-best list, their scores.

Pure functions of values; knows no engine, no tokens' ids, no HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs import Alternative, Candidate, FinishReason, SegmentHypothesis, SegmentResult, TextResult


@dataclass(frozen=True, slots=True)
class _Partial:
    """The first segments of a text, put together one way."""

    text: str
    scores: tuple[float, ...]
    finish_reason: FinishReason

    def extended(self, result: SegmentResult, hypothesis: SegmentHypothesis) -> "_Partial":
        segment = result.segment
        scores = self.scores if hypothesis.score is None else (*self.scores, hypothesis.score)
        reason: FinishReason = "length" if hypothesis.finish_reason == "length" else self.finish_reason
        return _Partial(self.text + segment.before + hypothesis.text + segment.after, scores, reason)


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
    partials = [_Partial("", (), "stop")]
    for result in segments:
        longer = [partial.extended(result, one) for partial in partials for one in result.hypotheses]
        # Stable: of equal sums the one made of better-ranked hypotheses stays in front.
        partials = sorted(longer, key=lambda partial: -sum(partial.scores))[:num_hypotheses]
    candidates = tuple(Candidate(one.text, _mean(one.scores), one.finish_reason) for one in partials)
    return TextResult(candidates, tuple(segments), detected_source, alternatives)


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
