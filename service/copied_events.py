"""Events of a segment whose translation has each masked span once: decoded, looked at, if need be again.

    decode -> is a span lost, doubled or made up, a character spelled by halves? -- no --> its events
                 ^             | yes
                 +-- behind what is settled: what was lost is required, what must not come is banned

Settled is all that stands before the first fault, and while something is still to come no more than up to the
last span that has come: what is lost must find its place behind it. So a stream never has to take back, and
whoever asks for none gets the same answer. After a few rounds the last one stands, and unmasking.py mends its
text. Knows the engine's door and token ids; must not know text or HTTP.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from model.decoding.options import MAX_REQUIRED_PHRASES, SAMPLE_ONLY, DecodingOptions, OptionError
from service.engine.errors import EngineError
from service.engine.handle import SegmentEvents
from service.engine.request import Event, FinishedEvent, SegmentRequest, TokensEvent
from service.protection import CopiedIds
from service.token_spans import TokenIds
from service.whole_characters import num_spelled

MAX_ROUNDS = 4  # after the first
_DEFAULTS = {one.name: one.default for one in fields(DecodingOptions)}


@dataclass(frozen=True, slots=True)
class Fault:
    """The first token that must not be there, and its place; or the end, where something is missing.
    `is_half`: it is a byte of no character."""

    place: int
    is_loss: bool
    is_half: bool = False


def fault_in(token_ids: Sequence[int], copied: CopiedIds, *, is_whole: bool) -> Fault | None:
    """What is wrong with a translation, or with the beginning of one, whose last character may be a half."""
    fault = _fault_of_copies(token_ids, copied, is_whole=is_whole)
    first = len(token_ids) if fault is None else fault.place
    if is_whole and (half := num_spelled(token_ids, copied.byte_of)) < first:
        return Fault(half, is_loss=False, is_half=True)
    return fault


def _fault_of_copies(token_ids: Sequence[int], copied: CopiedIds, *, is_whole: bool) -> Fault | None:
    if not copied.wanted and copied.every.isdisjoint(token_ids):
        return None
    open_ones = set(copied.wanted)
    for place, token_id in enumerate(token_ids):
        if token_id in open_ones:
            open_ones.remove(token_id)
        elif token_id in copied.every:
            return Fault(place, is_loss=False)
    return Fault(len(token_ids), is_loss=True) if is_whole and open_ones else None


def num_settled(token_ids: Sequence[int], copied: CopiedIds) -> int:
    """How many of the first tokens another round would keep; all where nothing is missing or wrong."""
    return min(_num_with_copies(token_ids, copied), num_spelled(token_ids, copied.byte_of))


def _num_with_copies(token_ids: Sequence[int], copied: CopiedIds) -> int:
    open_ones, settled = set(copied.wanted), 0
    for place, token_id in enumerate(token_ids):
        if token_id in open_ones:
            open_ones.remove(token_id)
            settled = place + 1
        elif token_id in copied.every:
            return settled if open_ones else place
    return settled if open_ones else len(token_ids)


def guarded(
    options: DecodingOptions,
    prefix: TokenIds,
    copied: CopiedIds,
    best: TokenIds,
    *,
    requires: bool,
    bars_bytes: bool = False,
) -> DecodingOptions:
    """Options under which nothing is written behind `prefix` that must not be, and what is missing there is,
    if it `requires` that: by beam search, since others cannot. `best` was written without. What cannot be
    spelled is copied, so a model can do without bytes, where `bars_bytes`.

    Raises OptionError where the options forbid it.
    """
    # So many may be required at a time; what has come by itself will come again.
    missing = sorted(copied.wanted.difference(prefix), key=lambda token_id: (token_id in best, token_id))
    barred = copied.every.difference(missing).union(copied.byte_of if bars_bytes else ())
    banned = tuple((token_id,) for token_id in sorted(barred))
    changes: dict[str, Any] = {"prefix_ids": prefix, "banned_ids": _united(options.banned_ids, banned)}
    if requires:
        own = [phrase for phrase in options.required_ids if copied.every.isdisjoint(phrase)]
        changes["required_ids"] = (*own, *((token_id,) for token_id in missing))[:MAX_REQUIRED_PHRASES]
        changes |= _as_beam(options)
    return replace(options, **changes)


def _united(one: tuple[TokenIds, ...], other: tuple[TokenIds, ...]) -> tuple[TokenIds, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _as_beam(options: DecodingOptions) -> dict[str, Any]:
    unfit = ("diversity_groups", "diversity_penalty")
    if options.strategy == "beam":
        return {name: _DEFAULTS[name] for name in unfit}
    return {"strategy": "beam", **{name: _DEFAULTS[name] for name in SAMPLE_ONLY}}


class CopiedEvents:
    """`submit` submits a round to the engine, whatever else is demanded of it."""

    def __init__(
        self, submit: Callable[[SegmentRequest], SegmentEvents], request: SegmentRequest, copied: CopiedIds
    ) -> None:
        """Raises what `EngineHandle.submit` raises."""
        self._submit, self._request, self._copied = submit, request, copied
        self._events = submit(request)
        self._seen: list[int] = []  # tokens streamed in this round
        self._num_told = 0  # in all rounds
        self._num_rounds, self._seconds, self._accepted_at = 1, 0.0, time.monotonic()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            event = await anext(self._events)
            if isinstance(event, TokensEvent):
                if new := self._told(event.token_ids):
                    return TokensEvent(new)
            elif isinstance(event, FinishedEvent):
                if not self._again(event):
                    return replace(event, timings=event.timings.later(self._seconds))
            else:
                return event

    async def aclose(self) -> None:
        await self._events.aclose()

    def _told(self, token_ids: TokenIds) -> TokenIds:
        """What can be told now that these tokens have come."""
        self._seen += token_ids
        told, self._num_told = self._num_told, max(self._num_told, num_settled(self._seen, self._copied))
        return tuple(self._seen[told : self._num_told])

    def _again(self, event: FinishedEvent) -> bool:
        """Whether another round has begun, since the answer is faulty and there may be a better one."""
        best = event.hypotheses[0].token_ids
        fault = fault_in(best, self._copied, is_whole=True)
        if fault is None or self._num_rounds > MAX_ROUNDS:
            return False
        try:
            self._next_round(best, fault)
        except (OptionError, EngineError):
            return False
        self._seconds += event.timings.total_seconds
        self._seen = []
        return True

    def _next_round(self, best: TokenIds, fault: Fault) -> None:
        """Raises OptionError, and what `EngineHandle.submit` raises."""
        options = self._request.options
        # Where something is doubled, its first place may be the better one, and what is lost belongs here.
        right = num_settled(best, self._copied) if fault.is_loss else fault.place
        prefix = best[: max(right, len(options.prefix_ids))]
        requires = fault.is_loss or options.strategy == "beam"
        bars = fault.is_half
        options = guarded(options, prefix, self._copied, best, requires=requires, bars_bytes=bars)
        request = replace(self._request.again(self._accepted_at), options=options)
        self._events = self._submit(request)
        self._request = request
        self._num_rounds += 1
