"""A body comes in within bounds of size and time, and is not waited for once the server drains."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from service.errors import Draining, RequestTimeout, RequestTooLarge
from service.intake import Intake
from service.lifecycle import Lifecycle
from tests.fakes import fake_translator

LONG, SHORT = 60.0, 0.2


def request_of(
    *chunks: bytes, headers: dict[str, str] | None = None, pause: float = 0.0, end: bool = True
) -> tuple[Request, list[bytes]]:
    """A request whose body comes so; without an end, nothing more comes for long."""
    taken: list[bytes] = []

    async def messages() -> AsyncIterator[Message]:
        for chunk in chunks:
            await asyncio.sleep(pause)
            taken.append(chunk)
            yield {"type": "http.request", "body": chunk, "more_body": True}
        if not end:
            await asyncio.sleep(LONG)
        yield {"type": "http.request", "body": b"", "more_body": False}

    stream = messages()
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "headers": raw}, lambda: anext(stream)), taken


def read(request: Request, silence_seconds: float = LONG) -> bytes:
    async def reading() -> bytes:
        return await Intake(100, silence_seconds, Lifecycle(fake_translator())).read(request)

    return asyncio.run(reading())


def test_a_body_is_put_together_from_its_chunks() -> None:
    request, _ = request_of(b'{"te', b'xt":1}')
    assert read(request) == b'{"text":1}'


def test_a_body_without_a_length_is_bounded_while_it_comes() -> None:
    request, taken = request_of(*[b"x" * 40] * 1000)
    with pytest.raises(RequestTooLarge) as caught:
        read(request)
    (fault,) = caught.value.faults
    assert (fault.field, fault.bound, fault.value) == ("body", "at most 100 bytes", 120)
    assert len(taken) == 3


def test_a_body_that_announces_too_much_is_not_read_at_all() -> None:
    request, taken = request_of(b"x", headers={"Content-Length": "101"})
    with pytest.raises(RequestTooLarge):
        read(request)
    assert taken == []


@pytest.mark.parametrize("chunks", [(), (b"x",)])
def test_a_client_that_falls_silent_is_waited_for_so_long(chunks: tuple[bytes, ...]) -> None:
    request, _ = request_of(*chunks, end=False)
    with pytest.raises(RequestTimeout) as caught:
        read(request, SHORT)
    assert caught.value.faults[0].bound == "sent without a pause of 0.2 s"
    assert caught.value.extra_headers == {"Connection": "close"}


def test_each_piece_of_a_slow_body_buys_time() -> None:
    request, _ = request_of(*[b"x"] * 8, pause=1.0)
    assert read(request, 5.0) == b"x" * 8


def test_of_a_server_that_drains_no_body_is_waited_for() -> None:
    async def run() -> None:
        lifecycle = Lifecycle(fake_translator())
        intake = Intake(100, LONG, lifecycle)
        requests = [request_of(b"x", end=False)[0] for _ in range(3)]
        reading = [asyncio.ensure_future(intake.read(one)) for one in requests]
        await asyncio.sleep(0.05)
        lifecycle.begin_draining()
        async with asyncio.timeout(LONG / 2):
            ends = await asyncio.gather(*reading, return_exceptions=True)
        assert [type(end) for end in ends] == [Draining] * 3

    asyncio.run(run())


def test_nothing_is_kept_of_what_has_been_read() -> None:
    async def run() -> None:
        intake = Intake(100, LONG, Lifecycle(fake_translator()))
        await intake.read(request_of(b"x")[0])
        with pytest.raises(RequestTooLarge):
            await intake.read(request_of(b"x" * 101)[0])
        assert not intake._arriving

    asyncio.run(run())


def test_a_client_that_goes_is_no_client_that_sent_nonsense() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        read(Request({"type": "http", "headers": []}, gone))
