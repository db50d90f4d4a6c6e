"""A text's segments as a model reads them: cut, masked where nothing may change, in token ids.

    text -> sentences -> what must not change masked -> ids -> if they are too many, divided, and so again

What has more characters of its own that the model would take for masks than there are masks cannot be masked,
and is divided as if it were too long.

Knows text, tokenizers, masks and length limits; must not know options of decoding, the engine or HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import FieldFault, SegmentTooLong
from service.jobs import TranslationJob
from service.language_codes import primary
from service.long_sentences import IndivisibleError, divide
from service.masking import private_runs
from service.protected_spans import protected_spans
from service.protection import MaskedSource, Target
from service.registry import Route
from service.segmentation import Segment, Span, has_letter, sentence_spans, to_segments, trim
from service.span_sets import around, within


@dataclass(frozen=True, slots=True)
class SegmentSource:
    """A segment and its source ids, `</s>` included; no ids where it passes through unchanged. `masked` says
    what the ids do not spell: None where the model has not learned to copy."""

    segment: Segment
    source_ids: tuple[int, ...]
    masked: MaskedSource | None = None


def segment_sources(job: TranslationJob, index: int, route: Route) -> list[SegmentSource]:
    """A text's segments in order, each short enough for the route's model. Raises SegmentTooLong."""
    text = job.texts[index]
    reader = _Reader(job, index, route)
    found = [piece for span in reader.sentences() for piece in reader.read(span)]
    segments = to_segments(text, [piece.span for piece in found])
    if not found:
        return [SegmentSource(segment, ()) for segment in segments]
    pairs = zip(segments, found, strict=True)
    return [SegmentSource(segment, tuple(piece.source_ids), piece.masked) for segment, piece in pairs]


@dataclass(frozen=True, slots=True)
class _Piece:
    """`fits`: the model can be given these ids; there are none where the piece cannot be masked."""

    span: Span
    source_ids: list[int]
    masked: MaskedSource | None
    fits: bool


class _Reader:
    """Reads the pieces of one text for one route."""

    def __init__(self, job: TranslationJob, index: int, route: Route) -> None:
        self._job, self._index, self._route = job, index, route
        self._text = job.texts[index]
        self._tokenizer, self._limit = route.model.tokenizer, route.max_source_length
        self._protector = route.model.protector
        self._language = primary(route.source)
        languages = self._language, primary(route.target)
        self._kept: Sequence[Span] = protected_spans(self._text, *languages) if self._protector else ()

    def sentences(self) -> list[Span]:
        """Spans to translate; none cuts what must not change, or begins or ends with a picture."""
        spans = sentence_spans(self._text, self._job.split, self._language)
        return [self._bare(span) for span in around(spans, self._kept)] if self._kept else spans

    def read(self, span: Span) -> list[_Piece]:
        """The piece, or its parts where it does not fit; nothing where there is nothing to translate."""
        piece = self._piece(span)
        if piece is None:
            return []
        if piece.fits:
            return [piece]
        if self._job.split == "none":
            raise self._too_long(len(piece.source_ids)) if piece.source_ids else self._too_private(span)
        return [part for one in self._parts(span) if (part := self._piece(one)) is not None]

    def _bare(self, span: Span) -> Span:
        """Without pictures at its edges, which stay where they are as layout does."""
        start, end = span
        inner = within(self._kept, span)
        for left, right in inner:
            if span[0] + left != start or not _is_picture(self._text[span[0] + left : span[0] + right]):
                break
            start, end = trim(self._text, (span[0] + right, end))
        for left, right in reversed(inner):
            if span[0] + right != end or not _is_picture(self._text[span[0] + left : span[0] + right]):
                break
            start, end = trim(self._text, (start, max(start, span[0] + left)))
        return start, end

    def _piece(self, span: Span) -> _Piece | None:
        source, masked = self._text[slice(*span)], None
        if self._protector is not None:
            kept = within(self._kept, span)
            masked = self._protector.masked(source, kept, self._target, self._language)
            if masked is None:
                return _Piece(span, [], None, fits=False)
            if not has_letter(masked.mask.text):
                return None
            source = masked.mask.text
        source_ids = self._tokenizer.encode_source(source)
        # Of some letters (fillers, for one) the tokenizer leaves nothing but `</s>`: nothing to translate.
        fits = len(source_ids) <= self._limit
        return _Piece(span, source_ids, masked, fits) if len(source_ids) > 1 else None

    @property
    def _target(self) -> Target:
        return Target(self._job.prefix, (*self._job.banned, *self._job.required))

    def _parts(self, span: Span) -> list[Span]:
        try:
            parts = divide(self._text, span, self._num_tokens, self._limit, self._kept)
        except IndivisibleError as error:
            raise self._too_long(error.num_tokens) from None
        # A cut between characters may stand beside a space, which is layout as anywhere else.
        return [trim(self._text, part) for part in parts if has_letter(self._text[slice(*part)])]

    def _num_tokens(self, span: Span) -> int:
        piece = self._piece(span)
        if piece is None:
            return 0
        # Cut until it can be masked; one character alone always can.
        return len(piece.source_ids) or self._limit + 1

    def _too_long(self, num_tokens: int) -> SegmentTooLong:
        bound = f"at most {self._limit} tokens in one piece; split 'sentences' divides longer texts"
        field = self._job.field_of(self._index)
        detail = f"{field} has more tokens than the model reads."
        return SegmentTooLong(detail, faults=[FieldFault(field, bound, num_tokens)])

    def _too_private(self, span: Span) -> SegmentTooLong:
        most = 0 if self._protector is None else len(self._protector.symbols)
        bound = (
            f"with private characters (U+E000 to U+F8FF) in at most {most} places of one piece; "
            "split 'sentences' divides longer texts"
        )
        field = self._job.field_of(self._index)
        detail = f"{field} has private characters in more places than the model copies."
        value = private_runs(self._text[slice(*span)])
        return SegmentTooLong(detail, faults=[FieldFault(field, bound, value)])


def _is_picture(text: str) -> bool:
    return not any(character.isascii() or character.isalnum() for character in text)
