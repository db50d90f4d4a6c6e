"""Streams keep alive, end in band, and stop the work when nobody reads any more."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from service.app import create_app
from service.errors import DeadlinePassed
from service.jobs import TranslationJob
from service.settings import Settings
from service.streaming import EventStreamResponse, StreamEvent, encode_event, with_heartbeat
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.http_client import read_events


class Connection:
    """The server's end of a request: what is sent is kept, and the client leaves when it is told to."""

    def __init__(self, body: dict[str, Any] | None = None) -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.something_sent = asyncio.Event()
        self._body: bytes | None = json.dumps(body or {}).encode()
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/translate",
            "raw_path": b"/v1/translate",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-type", b"application/json")],
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.gone.is_set():
            raise OSError("the connection is closed")
        self.sent.append(message)
        if message.get("body"):
            self.something_sent.set()

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


async def events_of(*events: StreamEvent, then: Exception | None = None) -> AsyncGenerator[StreamEvent]:
    for event in events:
        yield event
    if then is not None:
        raise then


def respond(events: AsyncGenerator[StreamEvent], heartbeat_seconds: float = 10.0) -> tuple[str, list[str]]:
    """The body of a stream, and what was noted while it ran."""
    notes: list[str] = []

    async def run() -> str:
        connection = Connection()
        response = EventStreamResponse(
            events,
            lambda: notes.append("closed"),
            heartbeat_seconds,
            lambda status: notes.append(str(status)),
        )
        await connection.receive()
        await response(connection.scope, connection.receive, connection.send)
        assert connection.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        return connection.body

    return asyncio.run(run()), notes


def test_an_event_is_written_as_the_standard_says() -> None:
    data = {"text": "a\nb\r\u2028é"}
    assert encode_event(7, "delta", data) == (
        'id: 7\nevent: delta\ndata: {"text":"a\\nb\\r\\u2028é"}\n\n'.encode()
    )


@given(st.text() | st.text("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r\n\\u"))
def test_whatever_a_reader_takes_for_line_ends_the_data_is_one_line(text: str) -> None:
    lines = encode_event(1, "delta", {"text": text}).decode().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[2].removeprefix("data: ")) == {"text": text}


def test_a_stream_is_its_events_with_increasing_ids() -> None:
    body, notes = respond(events_of(("start", {"a": 1}), ("done", {})))
    assert [(event.id, event.name, event.data) for event in read_events(body)] == [
        ("1", "start", {"a": 1}),
        ("2", "done", {}),
    ]
    assert set(notes) == {"closed"}


def test_a_silence_is_filled_with_comments_that_readers_skip() -> None:
    async def slow() -> AsyncGenerator[StreamEvent]:
        await asyncio.sleep(0.08)
        yield "done", {}

    body, _ = respond(slow(), heartbeat_seconds=0.02)
    assert body.startswith(": ")
    assert ": still working\n\n" in body
    assert [event.name for event in read_events(body)] == ["done"]


def test_a_heartbeat_loses_and_changes_no_event() -> None:
    async def uneven() -> AsyncGenerator[StreamEvent]:
        for number in range(20):
            await asyncio.sleep(0.004 * (number % 3))
            yield "delta", {"number": number}

    async def collect() -> list[Any]:
        return [event[1]["number"] async for event in with_heartbeat(uneven(), 0.002) if event is not None]

    assert asyncio.run(collect()) == list(range(20))


def test_what_was_ready_before_an_error_is_told_before_it() -> None:
    async def collect() -> list[Any]:
        told: list[Any] = []
        events = with_heartbeat(events_of(*[("delta", {"n": n}) for n in range(50)], then=ValueError("x")), 9)
        try:
            async for event in events:
                await asyncio.sleep(0)  # a client that reads more slowly than the events come
                told.append(event)
        except ValueError as error:
            told.append(str(error))
        return told

    assert asyncio.run(collect()) == [*[("delta", {"n": n}) for n in range(50)], "x"]


def test_closed_early_it_closes_its_events_and_leaves_nothing_behind() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncGenerator[StreamEvent]:
        try:
            yield "start", {}
            await asyncio.sleep(1000)
        finally:
            closed.append(True)

    async def run() -> None:
        events = with_heartbeat(endless(), 0.001)
        assert await anext(events) == ("start", {})
        assert await anext(events) is None
        await events.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert closed == [True]


def test_events_close_together_have_no_heartbeat_between_them_and_each_silence_has_its_own() -> None:
    async def steady() -> AsyncGenerator[StreamEvent]:
        for number in range(12):
            await asyncio.sleep(0.02)
            yield "delta", {"number": number}
        await asyncio.sleep(1.0)

    async def collect() -> list[Any]:
        return [event async for event in with_heartbeat(steady(), 0.2)]

    told = asyncio.run(collect())
    assert None not in told[:12]
    assert 2 <= told[12:].count(None) <= 5


def test_an_error_of_ours_ends_the_stream_as_its_problem_and_is_reported() -> None:
    body, notes = respond(events_of(("start", {}), then=DeadlinePassed("Too late.")))
    error = read_events(body)[-1]
    assert (error.id, error.name, error.data["code"], error.data["status"]) == (
        "2",
        "error",
        "deadline_passed",
        504,
    )
    assert notes[0] == "504"


def test_a_defect_ends_the_stream_without_telling_what_it_was() -> None:
    body, notes = respond(events_of(("start", {}), then=ValueError("secret")))
    error = read_events(body)[-1]
    assert (error.name, error.data["code"]) == ("error", "internal_error")
    assert "secret" not in body
    assert notes[0] == "500"


def run_request(
    body: dict[str, Any], engine: FakeEngine, leave: Callable[[Connection, FakeEngine], Any]
) -> Connection:
    """Run one request whose client goes away when `leave` has been awaited; ends within a second."""

    async def run() -> Connection:
        engine.gate = asyncio.Event()
        connection = Connection(body)
        app = create_app(fake_translator(served_model(engine)), Settings())
        request = asyncio.ensure_future(app(connection.scope, connection.receive, connection.send))
        await leave(connection, engine)
        connection.gone.set()
        async with asyncio.timeout(10):
            await request
        assert asyncio.all_tasks() == {asyncio.current_task()}, "something goes on without its request"
        return connection

    return asyncio.run(run())


async def after_the_first_event(connection: Connection, engine: FakeEngine) -> None:
    await connection.something_sent.wait()


async def after_submission(connection: Connection, engine: FakeEngine) -> None:
    while not engine.requests:  # noqa: ASYNC110 (the engine knows no events)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)


def test_a_stream_whose_client_goes_stops_all_its_segments_at_once() -> None:
    engine = FakeEngine()
    connection = run_request({"text": "One. Two. Three.", "stream": True}, engine, after_the_first_event)
    assert len(engine.cancelled) == 3
    assert connection.sent[0]["status"] == 200


def test_an_answer_in_one_piece_whose_client_goes_stops_all_its_segments() -> None:
    engine = FakeEngine()
    connection = run_request({"text": "One. Two. Three."}, engine, after_submission)
    assert len(engine.cancelled) == 3
    assert connection.sent == []


def test_a_request_of_thousands_of_lines_leaves_others_their_turn() -> None:
    async def run() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        engine = FakeEngine()
        translator = fake_translator(served_model(engine))
        others = asyncio.ensure_future(other())
        job = TranslationJob(texts=("a\n" * 1500,), options={}, source="en")
        with await translator.start(job):
            others.cancel()
        assert len(engine.cancelled) == 1500
        return turns

    assert asyncio.run(run()) >= 15


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_that_is_cancelled_stops_all_its_segments(stream: bool) -> None:
    engine = FakeEngine()

    async def run() -> None:
        engine.gate = asyncio.Event()
        connection = Connection({"text": "One. Two.", "stream": stream})
        app = create_app(fake_translator(served_model(engine)), Settings())
        request = asyncio.ensure_future(app(connection.scope, connection.receive, connection.send))
        await after_submission(connection, engine)
        request.cancel()
        await asyncio.wait({request})

    asyncio.run(run())
    assert len(engine.cancelled) == 2


def test_the_start_is_sent_before_the_first_token() -> None:
    async def run() -> str:
        engine = FakeEngine(gate=asyncio.Event())
        connection = Connection({"text": "One. Two.", "stream": True})
        app = create_app(fake_translator(served_model(engine)), Settings())
        request = asyncio.ensure_future(app(connection.scope, connection.receive, connection.send))
        await connection.something_sent.wait()
        sent = connection.body
        connection.gone.set()
        await request
        return sent

    assert asyncio.run(run()).startswith("id: 1\nevent: start\n")


def test_segments_that_finish_early_wait_for_those_before_them() -> None:
    """The engine answers the second text while the first stands still; nothing of it may be sent yet."""

    async def run() -> tuple[str, str]:
        gate = asyncio.Event()
        slow, quick = FakeEngine(gate=gate), FakeEngine()
        models = [served_model(slow, "slow"), served_model(quick, "quick", [("fr", "de")])]
        connection = Connection({"text": ["en: one", "fr: deux"], "target": "de", "stream": True})
        app = create_app(fake_translator(*models), Settings())
        request = asyncio.ensure_future(app(connection.scope, connection.receive, connection.send))
        while connection.body.count("event:") < 2:  # noqa: ASYNC110 (start, and what the first text has)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        before = connection.body
        gate.set()
        await request
        return before, connection.body

    before, whole = asyncio.run(run())
    assert [event.data.get("text_index") for event in read_events(before)] == [None, 0]
    texts = [event.data["text"] for event in read_events(whole) if event.name == "segment"]
    assert texts == ["en: one", "fr: deux"]
