"""A prefix that ends within a word, spelled with the tokens that the model itself would have chosen.

    "Wo ist der nächste Bahnho"    as any text is cut      … ▁nächste ▁Bahn ho     and then? "ation"
                                   healed                  … ▁nächste ▁Bahnhof     and then "?"

The last word's tokens depend on how the word goes on, which nobody knows yet. So the words before it are
forced, and the model is asked which tokens come next: the likeliest one that agrees with the prefix is taken,
again and again until the prefix is spelled. Each question is a segment of one free token, and decodes all
that is forced; so of a last word that is cut into very many tokens only the end is asked about. Where no
likely token agrees, or the questions are used up, the prefix is cut as any text is. Either way the text
begins with it, character for character.
Knows the engine's door and tokenizers; must not know HTTP or banned phrases.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

from model.decoding.options import DecodingOptions, OptionError
from model.tokenizer import Tokenizer
from service.engine.errors import EngineError
from service.engine.handle import EngineHandle, SegmentEvents
from service.engine.request import Event, FailedEvent, FinishedEvent, SegmentRequest
from service.phrases import UnwritableError, exact_ids
from service.token_spans import TokenIds

NUM_LIKELY = 16  # tokens looked at for each question
# Questions, and tokens at a prefix's end that are asked about: more than words of a language have.
MAX_QUESTIONS = 8
MAX_TOKENS_READ = 256  # for all questions together: each begins with the first token of the prefix


def one_token_more(options: DecodingOptions, prefix_ids: TokenIds, count: int) -> DecodingOptions:
    """A beam whose answers are the `count` likeliest tokens behind the prefix, by the plain sum of their
    log-probabilities; what makes tokens less likely for having been there counts here too."""
    return DecodingOptions(
        strategy="beam",
        beam_size=count,
        num_hypotheses=count,
        length_penalty=0.0,
        repetition_penalty=options.repetition_penalty,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        prefix_ids=prefix_ids,
        max_length=len(prefix_ids) + 1,
    )


def whole_words(tokenizer: Tokenizer, prefix: str) -> TokenIds | None:
    """Ids of the prefix without its last word; None where it ends with a mark, or its rest cannot stand
    alone."""
    if not prefix[-1:].isalnum():
        return None
    try:
        return exact_ids(tokenizer, prefix.rpartition(" ")[0])
    except UnwritableError:
        return None


def held_ids(tokenizer: Tokenizer, prefix: str, prefix_ids: TokenIds) -> TokenIds | None:
    """Ids behind which the prefix is asked about: its whole words, or more where its last word is cut into
    very many tokens. None as for `whole_words`."""
    held, most = whole_words(tokenizer, prefix), most_questions(prefix_ids)
    if held is None or len(prefix_ids) - len(held) <= most:
        return held
    return prefix_ids[:-most]


def most_questions(prefix_ids: TokenIds) -> int:
    """How many are worth their time behind so many tokens: at least one."""
    return max(1, min(MAX_QUESTIONS, MAX_TOKENS_READ // max(1, len(prefix_ids))))


def next_spelling(
    tokenizer: Tokenizer, prefix: str, held: TokenIds, likeliest: Iterable[TokenIds]
) -> TokenIds | None:
    """The first of the hypotheses that adds to what `held` spells and agrees with the prefix as far as both
    go; None where none does."""
    spelled = len(tokenizer.decode_target(held))
    for token_ids in likeliest:
        text = tokenizer.decode_target(token_ids)
        if text.startswith(prefix) or (len(text) > spelled and prefix.startswith(text)):
            return token_ids
    return None


class HealedEvents:
    """The events of a segment once its prefix is spelled. `go_on` submits the segment itself."""

    def __init__(
        self,
        engine: EngineHandle,
        request: SegmentRequest,
        tokenizer: Tokenizer,
        prefix: str,
        held: TokenIds,
        go_on: Callable[[SegmentRequest], SegmentEvents],
    ) -> None:
        """Raises what `EngineHandle.submit` raises."""
        self._engine, self._request, self._go_on = engine, request, go_on
        self._tokenizer, self._prefix = tokenizer, prefix
        self._seconds, self._accepted_at = 0.0, time.monotonic()
        self._is_spelled, self._num_asked = False, 0
        self._most = most_questions(request.options.prefix_ids)
        self._events = self._ask(held)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._is_spelled:
            event = await anext(self._events)
            if isinstance(event, FailedEvent):
                return event
            if isinstance(event, FinishedEvent):
                self._seconds += event.timings.total_seconds
                try:
                    self._events = self._after(event)
                except EngineError as error:
                    return FailedEvent(error)
        event = await anext(self._events)
        if isinstance(event, FinishedEvent):
            return replace(event, timings=event.timings.later(self._seconds))
        return event

    async def aclose(self) -> None:
        await self._events.aclose()

    def _ask(self, held: TokenIds) -> SegmentEvents:
        """What comes behind these tokens? Or, where that cannot be asked here, the segment as it is."""
        self._held = held
        self._num_asked += 1
        try:
            options = one_token_more(self._request.options, held, NUM_LIKELY)
            # A prefix beyond this limit is to be refused at once.
            options = replace(options, max_length_ratio=self._request.options.max_length_ratio)
            question = replace(
                self._request, options=options, stream=False, draft=False, want_attention=False
            )
            return self._engine.submit(question)
        except (OptionError, EngineError):
            return self._spelled(self._request.options.prefix_ids)

    def _after(self, event: FinishedEvent) -> SegmentEvents:
        self._request = self._request.again(self._accepted_at)
        likeliest = [hypothesis.token_ids for hypothesis in event.hypotheses]
        token_ids = next_spelling(self._tokenizer, self._prefix, self._held, likeliest)
        if token_ids is not None and self._tokenizer.decode_target(token_ids).startswith(self._prefix):
            return self._healed(token_ids)
        if token_ids is None or self._num_asked == self._most:
            return self._spelled(self._request.options.prefix_ids)
        return self._ask(token_ids)

    def _healed(self, token_ids: TokenIds) -> SegmentEvents:
        """The segment behind the model's own spelling; where that is so long that too little room is left
        under the limit, behind the usual one, with which the segment was accepted."""
        try:
            return self._spelled(token_ids)
        except (OptionError, EngineError):
            return self._spelled(self._request.options.prefix_ids)

    def _spelled(self, prefix_ids: TokenIds) -> SegmentEvents:
        self._is_spelled = True
        options = replace(self._request.options, prefix_ids=prefix_ids)
        return self._go_on(replace(self._request, options=options))
