"""A model may go once nobody who came before its end may use it any more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from service.visits import Visits

SOON, PATIENCE = 0.01, 30.0
OLD, OTHER = object(), object()


async def has_ended(waiting: asyncio.Task[bool]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return waiting.done()


def run(story: Callable[[Visits], Awaitable[None]]) -> None:
    asyncio.run(story(Visits()))  # type: ignore[arg-type]


def test_nobody_is_waited_for_where_nobody_is() -> None:
    async def story(visits: Visits) -> None:
        assert await visits.wait_until_left(OLD, SOON)
        assert await visits.wait_until_none(SOON)

    run(story)


def test_who_has_not_said_what_it_uses_may_use_everything() -> None:
    async def story(visits: Visits) -> None:
        with visits.visit():
            assert not await visits.wait_until_left(OLD, SOON)
        assert await visits.wait_until_left(OLD, SOON)

    run(story)


def test_who_uses_another_model_is_not_waited_for_from_the_moment_it_says_so() -> None:
    async def story(visits: Visits) -> None:
        with visits.visit() as one, visits.visit() as another:
            another.uses([OLD])
            waiting = asyncio.create_task(visits.wait_until_left(OLD, PATIENCE))
            assert not await has_ended(waiting)
            one.uses([OTHER])
            assert not await has_ended(waiting)
            another.uses([OTHER])
            assert await waiting

    run(story)


def test_who_comes_later_is_not_waited_for() -> None:
    async def story(visits: Visits) -> None:
        with ExitStack() as first:
            first.enter_context(visits.visit())
            waiting = asyncio.create_task(visits.wait_until_left(OLD, PATIENCE))
            assert not await has_ended(waiting)
            with visits.visit():
                first.close()
                assert await waiting
                assert len(visits) == 1

    run(story)


def test_a_request_that_fails_has_left_too() -> None:
    async def story(visits: Visits) -> None:
        with pytest.raises(RuntimeError), visits.visit():
            raise RuntimeError
        assert len(visits) == 0
        assert await visits.wait_until_left(OLD, SOON)

    run(story)
