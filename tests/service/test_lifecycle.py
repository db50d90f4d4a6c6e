"""Where the server is in its life, and when nothing runs any more."""

import asyncio

import pytest

from service.errors import Draining, Loading
from service.lifecycle import Lifecycle
from tests.fakes import fake_translator


def test_work_is_refused_while_loading_and_while_draining() -> None:
    lifecycle = Lifecycle()
    with pytest.raises(Loading):
        lifecycle.require_translator()
    translator = fake_translator()
    lifecycle.ready(translator)
    assert lifecycle.require_translator() is translator
    lifecycle.begin_draining()
    with pytest.raises(Draining):
        lifecycle.require_translator()
    assert lifecycle.loaded is translator


def test_models_that_arrive_during_a_drain_make_nothing_ready() -> None:
    lifecycle = Lifecycle()
    lifecycle.begin_draining()
    lifecycle.ready(fake_translator())
    assert lifecycle.phase == "draining"


def test_whoever_leaves_takes_work_and_is_not_ready() -> None:
    translator = fake_translator()
    lifecycle = Lifecycle(translator)
    assert (lifecycle.is_ready, lifecycle.is_going) == (True, False)
    lifecycle.begin_leaving()
    assert lifecycle.require_translator() is translator
    assert (lifecycle.is_ready, lifecycle.is_going) == (False, True)
    lifecycle.begin_draining()
    assert lifecycle.is_going


def test_waiting_ends_with_the_last_request() -> None:
    async def run() -> list[bool]:
        lifecycle = Lifecycle(fake_translator())
        seen = [await lifecycle.wait_until_idle(0.01)]
        with lifecycle.request():
            with lifecycle.request():
                seen.append(await lifecycle.wait_until_idle(0.01))
            seen.append(await lifecycle.wait_until_idle(0.01))
        return [*seen, await lifecycle.wait_until_idle(0.01)]

    assert asyncio.run(run()) == [True, False, False, True]


def test_a_request_that_fails_is_counted_out_too() -> None:
    lifecycle = Lifecycle(fake_translator())
    with pytest.raises(RuntimeError), lifecycle.request():
        raise RuntimeError
    assert lifecycle.running_requests == 0
