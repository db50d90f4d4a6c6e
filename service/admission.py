"""Who may come in: a place in the queue is reserved before a text is tokenised, so that refusing is cheap.

    characters -> estimated tokens -> Place --(tokenised)--> exact --(submitted)--> the engine's own count

Two reasons to refuse, both with status 429 and the time after which what waits now will have been served: the
queue, reservations included, has no room; or what waits will take so long that the request would miss its
deadline. Knows models, what their engines report, tokens, seconds. Must not know texts, bodies, or how an
engine queues. Used from the event loop only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from service.engine.config import PRIORITY_STEP_SECONDS, EngineSnapshot
from service.errors import (
    DRAINING_RETRY_SECONDS,
    Draining,
    FieldFault,
    Overloaded,
    RequestTooLarge,
    ServiceError,
)
from service.registry import ServedModel

# Of its time, so much may go by in the queue, and so much until its own tokens have been worked through as
# well: the rest is for a machine that gets slower than it was measured to be, as under overload it does. What
# mostly decides is the first, which does not depend on the request's size: else short ones would fill every
# gap, and long ones never get in.
QUEUE_SHARE, WORK_SHARE = 0.4, 0.8
FIRST_TOKENS_PER_CHARACTER = 0.3
# What was measured so many characters ago counts half; the guess weighs as much as a short text.
HALF_LIFE_CHARACTERS, GUESS_CHARACTERS = 20_000, 100


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may take, and how far ahead its priority puts it."""

    timeout_seconds: float
    priority: int = 0

    def allows(self, backlog_seconds: float, own_seconds: float) -> bool:
        """Whether the request would still be in time behind so much work, of which it brings some itself."""
        backlog = backlog_seconds - self.priority * PRIORITY_STEP_SECONDS
        is_soon = backlog <= QUEUE_SHARE * self.timeout_seconds
        return is_soon and backlog + own_seconds <= WORK_SHARE * self.timeout_seconds


class TokenEstimate:
    """Source tokens of a text that is not tokenised yet: as many per character as in recent texts."""

    def __init__(self) -> None:
        self._characters = float(GUESS_CHARACTERS)
        self._tokens = GUESS_CHARACTERS * FIRST_TOKENS_PER_CHARACTER

    def tokens_of(self, characters: int) -> int:
        return math.ceil(characters * self._tokens / self._characters)

    def learn(self, characters: int, tokens: int) -> None:
        """So many characters became so many tokens."""
        fade = 0.5 ** (characters / HALF_LIFE_CHARACTERS)
        self._characters = self._characters * fade + characters
        self._tokens = self._tokens * fade + tokens


class _Line:
    """One engine's queue as seen from here: what the engine counts, and what is reserved on top."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self.reserved = 0
        self.estimate = TokenEstimate()

    def check(self, tokens: int, patience: Patience, held: int = 0) -> None:
        """Raises Draining, or Overloaded when `tokens` have no room or come too late; `held` are of the same
        request and reserved already."""
        state = self._model.engine.snapshot()
        if state.draining:
            raise Draining("The server is shutting down.", retry_after_seconds=DRAINING_RETRY_SECONDS)
        ahead = state.queue_tokens + self.reserved - held
        # An empty queue takes anybody: what a request asks for itself is its own affair.
        if ahead and not patience.allows(_seconds(ahead, state), _seconds(tokens, state)):
            raise _overloaded("So much work is waiting that the deadline would pass.", ahead, state)
        if ahead + min(tokens, state.max_queue_tokens) > state.max_queue_tokens:
            raise _overloaded("The queue is full; try again later.", ahead, state)

    def check_possible(self, tokens: int) -> None:
        """Raises RequestTooLarge for what no queue could take, however empty."""
        bound = self._model.engine.snapshot().max_queue_tokens
        if tokens > bound:
            fault = FieldFault("text", f"at most {bound} source tokens on this server", tokens)
            raise RequestTooLarge("The texts are too long for this server.", faults=[fault])


class Place:
    """What one request has reserved; given back when its `with` block is left, however that happens."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tokens: dict[_Line, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give back what is left of it. Idempotent."""
        for line in list(self._tokens):
            self._set(line, 0)

    def _reserve(self, line: _Line, tokens: int) -> None:
        """Raises Draining, Overloaded; then nothing has changed."""
        line.check(tokens, self._patience)
        self._set(line, tokens)

    def _correct(self, exact: Mapping[_Line, int]) -> None:
        """Raises RequestTooLarge, Draining, Overloaded where what is needed in truth has no room."""
        for line in [line for line in self._tokens if line not in exact]:
            self._set(line, 0)
        for line, tokens in exact.items():
            line.check_possible(tokens)
            held = self._tokens.get(line, 0)
            if tokens > held:
                line.check(tokens, self._patience, held)
            self._set(line, tokens)

    def _spend(self, line: _Line, tokens: int) -> None:
        """The engine itself counts so many tokens from now on."""
        self._set(line, max(0, self._tokens.get(line, 0) - tokens))

    def _set(self, line: _Line, tokens: int) -> None:
        line.reserved += tokens - self._tokens.pop(line, 0)
        if tokens:
            self._tokens[line] = tokens


class Admission:
    """The queues of all engines. Reserve, tokenise, correct, submit; a `Place` goes with its request.

    Where models come and go, the queues of those that stay are taken over from the admission `before`: a
    place that was reserved there counts here too.
    """

    def __init__(self, models: Sequence[ServedModel], before: Admission | None = None) -> None:
        known: dict[ServedModel, _Line] = {} if before is None else before._lines
        self._lines: dict[ServedModel, _Line] = {model: known.get(model) or _Line(model) for model in models}

    def reserve(self, models: Sequence[ServedModel], characters: int, patience: Patience) -> Place:
        """A place for a text of so many characters with each of `models`, one of which it will go to.

        Raises Overloaded or Draining when none of them has one.
        """
        place, refusals = Place(patience), list[ServiceError]()
        if not characters:
            return place
        for line in (self._lines[model] for model in models):
            try:
                place._reserve(line, line.estimate.tokens_of(characters))
            except ServiceError as refusal:
                refusals.append(refusal)
        if len(refusals) == len(models):
            try:
                raise min(refusals, key=lambda refusal: refusal.retry_after_seconds or 0.0)
            finally:
                # An error that its own frames hold is freed by a search for garbage alone, and each of those
                # holds everybody up: there would be several a second where hundreds are refused.
                refusals.clear()
        return place

    def correct(self, place: Place, tokens: Mapping[ServedModel, int]) -> None:
        """Now the tokens are known. Raises RequestTooLarge, Draining, Overloaded; the place is left as it is
        then, to be released."""
        place._correct({self._lines[model]: count for model, count in tokens.items() if count})

    def submitted(self, place: Place, model: ServedModel, tokens: int) -> None:
        """A segment went to the engine, which counts it now."""
        place._spend(self._lines[model], tokens)

    def learn(self, model: ServedModel, characters: int, tokens: int) -> None:
        """What a text of so many characters really came to."""
        if characters:
            self._lines[model].estimate.learn(characters, tokens)

    def reserved(self, model: ServedModel) -> int:
        """Source tokens for which a place is held at the moment."""
        return self._lines[model].reserved

    @property
    def reserved_tokens(self) -> int:
        """Source tokens for which a place is held at the moment, with all models together."""
        return sum(line.reserved for line in self._lines.values())


def _seconds(tokens: int, state: EngineSnapshot) -> float:
    return tokens / max(state.tokens_per_second, 1e-3)


def _overloaded(detail: str, ahead: int, state: EngineSnapshot) -> Overloaded:
    return Overloaded(detail, retry_after_seconds=_seconds(ahead, state))
