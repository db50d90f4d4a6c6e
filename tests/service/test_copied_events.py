"""A segment is decoded until its answer has each masked span once; a stream tells nothing wrong meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import DecodingOptions, Hypothesis
from model.decoding.options import MAX_REQUIRED_PHRASES, OptionError
from service.copied_events import MAX_ROUNDS, CopiedEvents, Fault, fault_in, guarded
from service.demands import Demands
from service.engine.errors import EngineOverloaded, StepFailed
from service.engine.request import (
    DraftEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)
from service.protection import CopiedIds
from tests.builders import tiny_tokenizer
from tests.fakes import FakeEngine

A, B, OTHER, STOP = 100, 101, 102, 50
COPIED = CopiedIds(frozenset({A, B}), frozenset({A, B, OTHER}))
NOTHING = CopiedIds(frozenset(), frozenset({A, B, OTHER}))


def is_allowed(token_ids: Sequence[int], options: DecodingOptions) -> bool:
    prefix = options.prefix_ids
    required = all(token_id in token_ids for (token_id,) in options.required_ids)
    banned = any((token_id,) in options.banned_ids for token_id in token_ids[len(prefix) :])
    return tuple(token_ids[: len(prefix)]) == prefix and required and not banned


class Searching:
    """Answers the first of its preferences that the options allow; else the prefix and what is required."""

    def __init__(self, *preferred: Sequence[int]) -> None:
        self.preferred = [tuple(token_ids) for token_ids in preferred]
        self.engine = FakeEngine(script=self.script)

    def script(self, request: SegmentRequest) -> list[Event]:
        options = request.options
        missing = [one for (one,) in options.required_ids if one not in options.prefix_ids]
        fallback = (*options.prefix_ids, *missing, STOP)
        best = next((ids for ids in self.preferred if is_allowed(ids, options)), fallback)
        events: list[Event] = []
        if request.draft:
            events = [DraftEvent(best[:2])]
        elif request.stream:
            events = [TokensEvent((token_id,)) for token_id in best]
        return [*events, FinishedEvent((Hypothesis(best, (), -1.0, "stop"),), SegmentTimings(0.1, 0.2, 0.4))]

    def run(
        self, copied: CopiedIds = COPIED, *, stream: bool = False, draft: bool = False, **o: Any
    ) -> list[Event]:
        options = DecodingOptions(**{"strategy": "greedy", **o})
        request = SegmentRequest(
            segment_id="a", source_ids=(5, 3), options=options, stream=stream, draft=draft
        )

        async def collect() -> list[Event]:
            events = CopiedEvents(self.engine.submit, request, copied)
            return [event async for event in events]

        return asyncio.run(collect())

    @property
    def asked(self) -> list[DecodingOptions]:
        return [request.options for request in self.engine.requests]


def answer_of(events: Sequence[Event]) -> tuple[int, ...]:
    event = events[-1]
    assert isinstance(event, FinishedEvent)
    return event.hypotheses[0].token_ids


def told(events: Sequence[Event]) -> list[int]:
    return [one for event in events if isinstance(event, TokensEvent) for one in event.token_ids]


@pytest.mark.parametrize(
    ("token_ids", "fault"),
    [
        ((5, A, 6, B), None),
        ((B, A), None),
        ((5, A, 6), Fault(3, is_loss=True)),
        ((5, A, A, B), Fault(2, is_loss=False)),
        ((5, OTHER, A, B), Fault(1, is_loss=False)),
    ],
)
def test_the_first_fault_of_an_answer_is_found(token_ids: tuple[int, ...], fault: Fault | None) -> None:
    assert fault_in(token_ids, COPIED, is_whole=True) == fault


def test_a_beginning_lacks_nothing_yet() -> None:
    assert fault_in((5, 6), COPIED, is_whole=False) is None
    assert fault_in((5, 6), NOTHING, is_whole=True) is None
    assert fault_in((5, A), NOTHING, is_whole=True) == Fault(1, is_loss=False)


def test_a_right_answer_comes_as_it_is_and_decoding_is_not_narrowed() -> None:
    searching = Searching((5, A, B, STOP))
    assert answer_of(searching.run()) == (5, A, B, STOP)
    assert searching.asked == [DecodingOptions(strategy="greedy")]


def test_a_stream_tells_what_another_round_would_keep_and_all_once_nothing_is_missing() -> None:
    events = Searching((5, A, 6, 7, B, 8, STOP)).run(stream=True)
    assert [event.token_ids for event in events if isinstance(event, TokensEvent)] == [
        (5, A),
        (6, 7, B),
        (8,),
        (STOP,),
    ]
    assert told(Searching((5, 6, STOP)).run(NOTHING, stream=True)) == [5, 6, STOP]


def test_what_is_lost_is_required_by_a_beam_behind_what_has_come() -> None:
    searching = Searching((5, A, 6, STOP), (5, A, 7, B, STOP))
    assert answer_of(searching.run()) == (5, A, 7, B, STOP)
    first, second = searching.asked
    assert (second.strategy, second.prefix_ids, second.required_ids) == ("beam", (5, A), ((B,),))
    assert set(second.banned_ids) == {(A,), (OTHER,)}
    assert first.strategy == "greedy"


def test_what_is_doubled_is_banned_behind_its_first_place() -> None:
    searching = Searching((5, A, 6, A, B, STOP), (5, A, 6, 7, B, STOP))
    assert answer_of(searching.run()) == (5, A, 6, 7, B, STOP)
    assert searching.asked[1].strategy == "greedy"
    assert searching.asked[1].prefix_ids == (5, A, 6)


def test_what_is_made_up_is_banned_also_where_nothing_is_copied() -> None:
    searching = Searching((5, OTHER, 6), (5, 7, 6))
    assert answer_of(searching.run(NOTHING)) == (5, 7, 6)


def test_an_answer_that_has_lost_everything_is_begun_anew() -> None:
    searching = Searching((5, 6, STOP), (7, B, A, STOP))
    assert answer_of(searching.run(stream=True)) == (7, B, A, STOP)
    assert searching.asked[1].prefix_ids == ()


def test_a_draft_is_told_as_it_comes() -> None:
    events = Searching((5, 6, STOP)).run(strategy="beam", stream=True, draft=True)
    assert [type(event) for event in events] == [DraftEvent, DraftEvent, FinishedEvent]


PREFERRED = st.lists(st.lists(st.sampled_from([5, 6, STOP, A, B, OTHER]), min_size=1, max_size=7), max_size=6)


@given(PREFERRED, st.sampled_from(["greedy", "beam"]), st.sampled_from([(), (5,), (5, A)]))
@settings(deadline=None, max_examples=150)
def test_whatever_a_search_prefers_the_answer_is_right_and_a_stream_of_it_the_same(
    preferred: list[list[int]], strategy: str, prefix: tuple[int, ...]
) -> None:
    begun = [[*prefix, *token_ids] for token_ids in preferred]
    run: dict[str, Any] = {"strategy": strategy, "prefix_ids": prefix}
    events = Searching(*begun).run(stream=True, **run)
    answer = answer_of(events)
    assert fault_in(answer, COPIED, is_whole=True) is None
    assert tuple(told(events)) == answer[: len(told(events))]
    assert answer_of(Searching(*begun).run(**run)) == answer
    assert answer_of(Searching(*begun).run(stream=True, draft=True, **run)) == answer


def test_an_engine_that_does_not_listen_is_asked_so_often_and_its_last_answer_stands() -> None:
    searching = Searching()
    searching.engine.script = lambda request: [
        FinishedEvent((Hypothesis((5,), (), -1.0, "stop"),), SegmentTimings(0.0, 0.0, 0.0))
    ]
    assert answer_of(searching.run()) == (5,)
    assert len(searching.engine.requests) == 1 + MAX_ROUNDS


def test_a_later_round_keeps_the_place_of_the_first() -> None:
    searching = Searching((5, 6, STOP), (7, A, STOP), (8, STOP))
    searching.run()
    first, *later = (request.accepted_at for request in searching.engine.requests)
    assert first is None
    assert later
    assert None not in later


def test_where_there_is_no_room_for_another_round_the_first_answer_stands() -> None:
    searching = Searching((5, A, STOP))
    searching.engine.refuse, searching.engine.refuse_after = EngineOverloaded(1.0), 1
    assert answer_of(searching.run()) == (5, A, STOP)


def test_options_that_forbid_another_round_let_the_first_answer_stand() -> None:
    assert answer_of(Searching((5, A, STOP)).run(no_repeat_ngram_size=2)) == (5, A, STOP)


def test_a_failure_is_told_as_it_is() -> None:
    searching = Searching()
    error = StepFailed("x")
    searching.engine.script = lambda request: [FailedEvent(error)]
    assert searching.run() == [FailedEvent(error)]


def test_the_times_of_all_rounds_add_up() -> None:
    event = Searching((5, A, STOP)).run()[-1]
    assert isinstance(event, FinishedEvent)
    assert event.timings.total_seconds == pytest.approx(0.8)


def test_of_many_spans_those_that_were_lost_are_required_first() -> None:
    every = frozenset(range(100, 120))
    best = tuple(range(104, 120))
    options = guarded(DecodingOptions(), (), CopiedIds(every, every), best, requires=True)
    assert len(options.required_ids) == MAX_REQUIRED_PHRASES
    assert options.required_ids[:4] == ((100,), (101,), (102,), (103,))


def test_what_the_request_itself_requires_stays_required() -> None:
    options = DecodingOptions(required_ids=((5, 6), (A,)))
    made = guarded(options, (5, A), COPIED, (), requires=True)
    assert made.required_ids == ((5, 6), (B,))


def test_a_search_s_own_rules_stay_but_for_diversity_which_would_be_in_the_way() -> None:
    options = DecodingOptions(beam_size=4, diversity_groups=2, diversity_penalty=1.0, repetition_penalty=1.2)
    made = guarded(options, (), COPIED, (), requires=True)
    assert (made.beam_size, made.repetition_penalty, made.diversity_penalty) == (4, 1.2, 0.0)
    sampled = DecodingOptions(strategy="sample", seed=3, top_k=5, max_length=9)
    assert guarded(sampled, (), COPIED, (), requires=True).max_length == 9
    with pytest.raises(OptionError, match="no_repeat_ngram_size"):
        guarded(DecodingOptions(no_repeat_ngram_size=3), (), COPIED, (), requires=True)


def test_demands_look_after_copies_where_there_are_any() -> None:
    searching, demands = Searching((5, A, STOP)), Demands(tiny_tokenizer())
    request = SegmentRequest(segment_id="a", source_ids=(5, 3), options=DecodingOptions(strategy="greedy"))

    async def collect(copied: CopiedIds | None) -> list[Event]:
        return [event async for event in demands.submit(searching.engine, request, copied)]

    assert answer_of(asyncio.run(collect(COPIED))) == (5, A, B, STOP)
    assert answer_of(asyncio.run(collect(None))) == (5, A, STOP)


E_ACUTE, HALF = (200, 201), 202  # the two bytes of é, the first one of another letter
SPELLED = CopiedIds(frozenset({A}), frozenset({A, B}), {200: 0xC3, 201: 0xA9, HALF: 0xE2})


@pytest.mark.parametrize(
    ("token_ids", "place"),
    [
        ((5, A, *E_ACUTE, 6), None),
        ((5, HALF, A), 1),
        ((5, A, HALF, *E_ACUTE), 2),
        ((A, *E_ACUTE, 201), 3),
        ((A, 5, 200), 2),
        ((HALF, 5), 0),  # before what is lost
    ],
)
def test_half_a_character_is_a_fault_where_it_stands(token_ids: tuple[int, ...], place: int | None) -> None:
    fault = None if place is None else Fault(place, is_loss=False, is_half=True)
    assert fault_in(token_ids, SPELLED, is_whole=True) == fault


def test_behind_half_a_character_no_byte_is_written() -> None:
    searching = Searching((5, A, HALF, 6), (5, A, *E_ACUTE), (5, A, 7))
    (event,) = searching.run(SPELLED)
    assert isinstance(event, FinishedEvent)
    assert event.hypotheses[0].token_ids == (5, A, 7)
    assert [options.prefix_ids for options in searching.asked] == [(), (5, A)]


@given(st.lists(st.sampled_from([5, A, B, *E_ACUTE, HALF]), max_size=9), st.booleans())
def test_a_stream_tells_no_half_of_a_character_and_nothing_that_changes(ids: list[int], takes: bool) -> None:
    events = Searching(ids, (*ids[:2], A, 6) if takes else (A, 6)).run(SPELLED, stream=True)
    told = [token_id for event in events if isinstance(event, TokensEvent) for token_id in event.token_ids]
    (finished,) = (event for event in events if isinstance(event, FinishedEvent))
    assert tuple(told) == finished.hypotheses[0].token_ids[: len(told)]
    assert fault_in(finished.hypotheses[0].token_ids, SPELLED, is_whole=True) is None


def test_without_faults_bytes_are_not_barred() -> None:
    searching = Searching((5, *E_ACUTE), (5, *E_ACUTE, A))
    searching.run(SPELLED)
    assert all(not {(200,), (201,)} & set(options.banned_ids) for options in searching.asked)
