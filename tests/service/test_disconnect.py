"""Work ends when its client goes, and only then."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.disconnect import unless_disconnected

GONE: Message = {"type": "http.disconnect"}


def client(stays: asyncio.Event) -> Callable[[], Awaitable[Message]]:
    """Says something that means nothing, and goes once `stays` is set."""
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await stays.wait()
        return GONE

    return receive


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_work_that_is_done_first_is_answered_and_nobody_listens_any_more() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()

        async def work() -> str:
            await settle()
            return "done"

        assert await unless_disconnected(client(asyncio.Event()), work()) == "done"
        await settle()
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


def test_a_client_that_goes_takes_its_work_along() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        going = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("work")

        asyncio.get_running_loop().call_later(0.01, going.set)
        await unless_disconnected(client(going), work())

    with pytest.raises(ClientDisconnect):
        asyncio.run(scenario())
    assert ended == ["work"]


def test_an_answer_that_comes_with_the_going_of_the_client_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(turns: int) -> None:
        going = asyncio.Event()

        async def work() -> str:
            for turn in range(5):
                if turn == turns:
                    going.set()
                await asyncio.sleep(0)
            return "done"

        with contextlib.suppress(ClientDisconnect):
            assert await unless_disconnected(client(going), work()) == "done"
        await settle()

    for turns in range(5):
        asyncio.run(scenario(turns))
    assert not caplog.records


def test_a_time_limit_of_the_work_itself_is_not_taken_for_the_client() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(unless_disconnected(client(asyncio.Event()), work()))


def test_whoever_is_cancelled_from_outside_is_cancelled() -> None:
    async def scenario() -> None:
        waiting = asyncio.ensure_future(
            unless_disconnected(client(asyncio.Event()), asyncio.sleep(60, "never"))
        )
        await settle()
        waiting.cancel()
        await waiting

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
