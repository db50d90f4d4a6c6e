"""Segments and requests with defaults, for tests of the engine's parts.

Knows: the constructors. Must not know: what a test wants to find out.
"""

from __future__ import annotations

import itertools

from model.decoding import DecodingOptions
from service.engine.request import Segment, SegmentRequest

GREEDY = DecodingOptions(strategy="greedy")
_IDS = itertools.count()


def request(
    source_ids: tuple[int, ...] = (5, 6, 7, 3),
    options: DecodingOptions = GREEDY,
    *,
    segment_id: str | None = None,
    stream: bool = False,
    draft: bool = False,
    priority: int = 0,
    deadline: float | None = None,
    accepted_at: float | None = None,
) -> SegmentRequest:
    """A request with an id of its own."""
    return SegmentRequest(
        segment_id=f"segment-{next(_IDS)}" if segment_id is None else segment_id,
        source_ids=source_ids,
        options=options,
        stream=stream,
        draft=draft,
        priority=priority,
        deadline=deadline,
        accepted_at=accepted_at,
    )


def segment(
    key: int,
    *,
    num_tokens: int = 4,
    rows: int = 1,
    max_length: int = 8,
    submitted_at: float = 0.0,
    priority: int = 0,
    deadline: float | None = None,
    accepted_at: float | None = None,
) -> Segment:
    """An accepted segment of any size; its tokens mean nothing."""
    options = DecodingOptions(beam_size=rows)
    asked = request((5,) * num_tokens, options, priority=priority, deadline=deadline, accepted_at=accepted_at)
    return Segment(key, asked, max_length, submitted_at)
