"""What a client has on its screen when a segment ends is that segment, in every mode and under any timing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import Hypothesis
from service.engine.errors import StepFailed
from service.engine.request import (
    DraftEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)
from tests.fakes import CharacterTokenizer, FakeEngine, served_model
from tests.service.http_client import Event as Sent
from tests.service.http_client import app_client, read_events

SENTENCES = st.sampled_from(
    ["One two.", "Three!", " ", "\n\n", "  - four. ", "42 ", "Wie e\u0301 das? ", "Ü\u0308ber 字。", "\t"]
)
TEXTS = st.lists(st.lists(SENTENCES, max_size=5).map("".join), max_size=3)
OPTIONS = st.sampled_from(
    [{"strategy": "greedy"}, {"strategy": "sample", "seed": 3}, {}, {"beam_size": 2, "num_hypotheses": 2}]
)


class Unsteady:
    """Translates to capitals in random portions and turns, in drafts where they are asked for."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.engine = FakeEngine(script=self.script, turns=lambda: self._random.randint(0, 4))

    def script(self, request: SegmentRequest) -> list[Event]:
        final = tuple(self._ids(CharacterTokenizer().decode_target(request.source_ids).upper()))
        certain = request.options.strategy != "beam"
        drafting = request.draft and not certain
        told = self._drafts(final) if drafting else self._portions(final) if request.stream else []
        worse = Hypothesis(tuple(self._ids("worse")), (-1.0,) * 5, -9.0, "stop")
        best = Hypothesis(final, (-0.5,) * len(final), -1.0, "stop")
        found = (best, worse)[: request.options.num_hypotheses]
        return [*told, FinishedEvent(found, SegmentTimings(0.0, 0.0, 0.0))]

    def _portions(self, final: tuple[int, ...]) -> list[Event]:
        """The last tokens come with the end."""
        cuts = sorted(self._random.sample(range(len(final) + 1), min(4, len(final))))
        return [TokensEvent(final[a:b]) for a, b in zip([0, *cuts], cuts, strict=False)]

    def _drafts(self, final: tuple[int, ...]) -> list[Event]:
        lengths = [self._random.randint(0, len(final)) for _ in range(self._random.randint(0, 5))]
        wrong = self._ids(self._random.choice(["", " ", "x", " \u0301", "ein Irrtum"]))
        return [DraftEvent((*final[:length], *wrong)) for length in lengths]

    def _ids(self, text: str) -> list[int]:
        return CharacterTokenizer().encode_source(text)[:-1]


def screen(events: list[Sent], count: int) -> list[str]:
    """Each text as a client shows it, checked against every `segment` event on the way."""
    texts, segment = [""] * count, ""
    for event in events:
        if event.name == "delta":
            segment += event.data["text"]
        elif event.name == "revise":
            assert 0 < event.data["drop"] <= len(segment)
            segment = segment[: len(segment) - event.data["drop"]]
        elif event.name == "segment":
            assert segment == event.data["text"]
            texts[event.data["text_index"]] += segment
            segment = ""
    return texts


@given(TEXTS, OPTIONS, st.sampled_from(["stable", "draft"]), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_what_is_shown_is_the_answer_in_reading_order(
    texts: list[str], options: dict[str, Any], mode: str, seed: int
) -> None:
    client = app_client(served_model(Unsteady(seed).engine))
    body = {"text": texts, "source": "en", **options}
    whole = [one["text"] for one in client.post("/v1/translate", json=body).json()["translations"]]
    response = client.post("/v1/translate", json={**body, "stream": True, "stream_mode": mode})
    events = read_events(response.text)
    assert screen(events, len(texts)) == whole == [text.upper() for text in texts]
    assert [int(event.id) for event in events] == list(range(1, len(events) + 1))
    assert (events[0].name, events[-1].name) == ("start", "done")
    places = [(event.data["text_index"], event.data["segment_index"]) for event in events[1:-1]]
    assert places == sorted(places)
    if mode == "stable" or options.get("strategy"):
        assert "revise" not in {event.name for event in events}


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_drafts_take_back_no_layout_and_nothing_of_earlier_segments(seed: int) -> None:
    """Dropping is checked against the segment alone in `screen`; layout stands before what is dropped."""
    client = app_client(served_model(Unsteady(seed).engine))
    body = {"text": "  - One two.  Three four.\n", "source": "en", "stream": True, "stream_mode": "draft"}
    shown = ""
    for event in read_events(client.post("/v1/translate", json=body).text):
        if event.name == "delta":
            shown += event.data["text"]
        elif event.name == "revise":
            shown = shown[: len(shown) - event.data["drop"]]
        if event.name in ("delta", "revise"):
            layout = "  - " if event.data["segment_index"] == 0 else "  - ONE TWO.  "
            assert shown.startswith(layout)


def test_drafts_are_asked_for_only_in_draft_mode() -> None:
    for mode, draft in (("stable", False), ("draft", True)):
        engine = FakeEngine()
        client = app_client(served_model(engine))
        client.post("/v1/translate", json={"text": "One.", "stream": True, "stream_mode": mode})
        assert [(one.stream, one.draft) for one in engine.requests] == [(True, draft)]


@pytest.mark.parametrize("mode", ["stable", "draft"])
def test_an_error_in_the_middle_ends_the_stream_as_a_problem_with_the_next_id(mode: str) -> None:
    def script(request: SegmentRequest) -> list[Event]:
        first: Event = DraftEvent((75, 76)) if request.draft else TokensEvent((75, 76))
        return [first, FailedEvent(StepFailed("at 0x7f"))]

    client = app_client(served_model(FakeEngine(script=script)))
    body = {"text": "One. Two.", "stream": True, "stream_mode": mode}
    response = client.post("/v1/translate", json=body)
    events = read_events(response.text)
    assert [event.name for event in events] == ["start", "delta", "error"]
    assert [event.id for event in events] == ["1", "2", "3"]
    problem = events[-1].data
    assert (problem["status"], problem["code"]) == (500, "internal_error")
    assert problem["request_id"] == response.headers["x-request-id"]
    assert "0x7f" not in response.text
