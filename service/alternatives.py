"""The likeliest ways to go on behind a prefix, each completed: two rounds of ordinary segments.

    1. a beam of k, one token longer than the prefix    its k answers are the k likeliest next tokens
    2. for each of them prefix + token as a prefix      completed as the request's options say

Knows the engine's door and tokenizers; must not know HTTP or how the rest of a request is answered.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

from model.decoding import Hypothesis
from model.decoding.options import MAX_BEAM_SIZE
from model.decoding.scoring import normalised_score
from service.copied_events import fault_in
from service.demands import Demands
from service.engine.errors import EngineError
from service.engine.handle import SegmentEvents
from service.engine.request import FinishedEvent, SegmentRequest
from service.engine_events import until_finished
from service.engine_faults import service_error
from service.errors import PhrasesNotAvoided
from service.jobs import Alternative, Candidate
from service.planning import PlannedSegment
from service.prefix_healing import one_token_more
from service.protection import CopiedIds
from service.registry import Route
from service.segment_text import final_text
from service.signalled_engine import engine_of
from service.unmasking import shown_pieces, shown_text

_PART = "\ufffd"  # how a byte of a character is decoded by itself


@dataclass(frozen=True, slots=True)
class _Next:
    """A next token (none: the end), its log-probability, and the sum of all with the prefix's."""

    token_ids: tuple[int, ...]
    log_prob: float
    total: float


class Continuations:
    """How one segment may go on. Its `request` says prefix and options; `deadline` is the whole request's."""

    def __init__(
        self,
        route: Route,
        plan: PlannedSegment,
        request: SegmentRequest,
        demands: Demands,
        deadline: float,
    ) -> None:
        self._route, self._plan, self._deadline = route, plan, deadline
        self._copied = None if plan.masked is None else plan.masked.ids
        self._demands = demands.without_prefix()  # whose tokens are all given here
        # Rounds of what was accepted, if beside its own.
        request = request.again(time.monotonic())
        self._request = replace(request, stream=False, draft=False, want_attention=False)
        self._prefix = request.options.prefix_ids

    async def likeliest(self, count: int) -> tuple[Alternative, ...]:
        """At most `count`, the likeliest next token first; one that a banned phrase rules out is missing.

        Raises ServiceError.
        """
        following = await self._next_tokens(count)
        async with AsyncExitStack() as stack:
            # All are submitted before the first is waited for; leaving cancels what has not ended.
            running = [self._complete(stack, rank, one) for rank, one in enumerate(following)]
            found = [
                await self._alternative(one, events) for one, events in zip(following, running, strict=True)
            ]
        return tuple(alternative for alternative in found if alternative is not None)

    async def _next_tokens(self, count: int) -> list[_Next]:
        options = self._request.options
        may_end = options.min_length <= len(self._prefix)
        # Where the segment may not end here, the end is asked for as well, and left out.
        first = replace(
            self._request,
            segment_id=f"{self._request.segment_id}/next",
            options=one_token_more(
                options, self._prefix, min(MAX_BEAM_SIZE, count if may_end else count + 1)
            ),
        )
        async with AsyncExitStack() as stack:
            events = self._submitted(stack, first, Demands(self._route.model.tokenizer), None)
            finished = await self._last(events)
        following = [self._next(hypothesis) for hypothesis in finished.hypotheses]
        return [one for one in following if (one.token_ids or may_end) and self._may_follow(one)][:count]

    def _may_follow(self, one: _Next) -> bool:
        """Not what is copied, if it is there already or stands for nothing here."""
        ids = (*self._prefix, *one.token_ids)
        return self._copied is None or fault_in(ids, self._copied, is_whole=False) is None

    def _next(self, hypothesis: Hypothesis) -> _Next:
        """The end has no log-probability of its own in an answer; but scores of the first round are plain
        sums, so that what is not the prefix's is the end's."""
        length, log_probs = len(self._prefix), hypothesis.token_log_probs
        end = hypothesis.score - sum(log_probs[:length])
        return _Next(
            hypothesis.token_ids[length:], log_probs[-1] if len(log_probs) > length else end, hypothesis.score
        )

    def _complete(self, stack: AsyncExitStack, rank: int, one: _Next) -> SegmentEvents | None:
        """The second round of what goes on; None for what has ended."""
        if not one.token_ids:
            return None
        prefix = (*self._prefix, *one.token_ids)
        # In bounds: planning has seen to it that a token more has room under `max_length`.
        options = replace(self._request.options, prefix_ids=prefix, num_hypotheses=1)
        request = replace(self._request, segment_id=f"{self._request.segment_id}/{rank}", options=options)
        return self._submitted(stack, request, self._demands, self._copied)

    async def _alternative(self, one: _Next, events: SegmentEvents | None) -> Alternative | None:
        if events is None:
            alpha = self._request.options.length_penalty
            score = normalised_score(one.total, len(self._prefix) + 1, alpha)
            return self._spelled(one, Hypothesis(self._prefix, (), score, "stop"))
        try:
            best = (await self._last(events)).hypotheses[0]
        except PhrasesNotAvoided:
            return None
        return self._spelled(one, best)

    def _spelled(self, one: _Next, best: Hypothesis) -> Alternative:
        tokenizer, segment, mask = self._route.model.tokenizer, self._plan.segment, self._plan.mask
        spell = tokenizer.decode_target_continuation if self._prefix else tokenizer.decode_target
        (token,) = shown_pieces(mask, tokenizer.target_pieces(one.token_ids or [tokenizer.eos_id]))
        text = segment.before + final_text(tokenizer, mask, best) + segment.after
        candidate = Candidate(text, best.score, best.finish_reason)
        added = shown_text(mask, spell(one.token_ids))
        return Alternative("" if added == _PART else added, token, one.log_prob, candidate)

    def _submitted(
        self, stack: AsyncExitStack, request: SegmentRequest, demands: Demands, copied: CopiedIds | None
    ) -> SegmentEvents:
        try:
            events = demands.submit(engine_of(self._route), request, copied, self._plan.mask)
        except EngineError as error:
            raise service_error(error) from error
        stack.push_async_callback(events.aclose)
        return events

    async def _last(self, events: SegmentEvents) -> FinishedEvent:
        async with aclosing(until_finished(events, self._deadline)) as told:
            async for event in told:
                if isinstance(event, FinishedEvent):
                    return event
        raise RuntimeError("the engine ended a segment without an answer")
