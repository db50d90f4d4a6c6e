"""What the translator is asked and what it answers, as plain values.

A job has passed the schema but not yet met a model. Knows texts, scores and counts; must not know HTTP, JSON,
token ids or torch, so that routes can be imported before a model is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.segmentation import Segment, Span, SplitMode

FinishReason = Literal["stop", "length"]

# An answer with attention holds a number for each pair of tokens in each head: only so much of that is sent.
MAX_ATTENTION_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationJob:
    """One request: texts in order, languages as the caller wrote them, and what was asked of decoding.

    `options` holds only the decoding options that were named; the model's defaults fill the rest. `prefix`,
    `banned` and `required` are options too, in text (service/segment_options.py makes token ids of them).
    `want_tokens` asks for the scored tokens of every hypothesis, `draft` for a stream that may take back,
    `alternatives` for so many ways to go on behind the prefix. `is_array` says how the caller wrote `text`,
    for the names of fields in errors. `may_stay`: a text in which nothing is translated stays as it is, it is
    not refused for its `prefix` or `required`.
    """

    texts: tuple[str, ...]
    is_array: bool = True
    source: str | None = None
    target: str | None = None
    model: str | None = None
    options: Mapping[str, Any]
    prefix: str = ""
    banned: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    may_stay: bool = False
    alternatives: int = 0
    split: SplitMode = "sentences"
    stream: bool = False
    draft: bool = False
    want_tokens: bool = False
    want_alignment: bool = False
    want_attention: bool = False
    priority: int = 0
    timeout_seconds: float | None = None

    def field_of(self, text_index: int) -> str:
        """The name of a text's field, as it stands in the request."""
        return f"text[{text_index}]" if self.is_array else "text"


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A target token as the vocabulary writes it, with its log-probability."""

    token: str
    log_prob: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One translation of a whole text, layout included. `score` is None when nothing was translated."""

    text: str
    score: float | None
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class SegmentHypothesis:
    """One translation of a segment's `source`, without layout; `score` is normalised by length."""

    text: str
    score: float | None
    finish_reason: FinishReason
    tokens: tuple[ScoredToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that is final and comes next in its text; layout is part of it."""

    text_index: int
    segment_index: int
    text: str


@dataclass(frozen=True, slots=True)
class Revision:
    """In a draft: the last `drop` code points of what the segment has shown so far are not so."""

    text_index: int
    segment_index: int
    drop: int


@dataclass(frozen=True, slots=True)
class WordPair:
    """A target word and where it comes from: spans in the segment's `source` and in the best translation."""

    source_span: Span
    target_span: Span
    weight: float


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """The cross-attention of a segment's best translation; `values` by layer, head, target token, source
    token."""

    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    values: list[list[list[list[float]]]]


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """A finished segment; `hypotheses` best first, never empty. `word_pairs` and `attention` are of the best,
    where they were asked for."""

    text_index: int
    segment_index: int
    segment: Segment
    hypotheses: tuple[SegmentHypothesis, ...]
    word_pairs: tuple[WordPair, ...] = ()
    attention: AttentionMap | None = None

    @property
    def best(self) -> SegmentHypothesis:
        return self.hypotheses[0]

    @property
    def text(self) -> str:
        """With its layout: exactly what the segment's deltas add up to."""
        return self.segment.before + self.best.text + self.segment.after


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to go on behind the prefix: the next `token` (what it adds to the text is `next`; nothing for
    the end), its log-probability there, and the whole text that came of it."""

    next: str
    token: str
    log_prob: float
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class TextResult:
    """A whole text: `candidates` best first, never empty; `detected_source` where no source was given;
    `alternatives` likeliest first, where they were asked for."""

    candidates: tuple[Candidate, ...]
    segments: tuple[SegmentResult, ...]
    detected_source: str | None
    alternatives: tuple[Alternative, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens without end marks, and characters (code points) of the request's texts."""

    source_tokens: int
    target_tokens: int
    characters: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds since the request was taken up: until its first segment left the queue, until its first token,
    until its end. None where nothing was translated."""

    queue_seconds: float | None
    first_token_seconds: float | None
    total_seconds: float


@dataclass(frozen=True, slots=True)
class TranslationResult:
    """The answer to a job; one `TextResult` per text, in order."""

    texts: tuple[TextResult, ...]
    usage: Usage
    timings: Timings
