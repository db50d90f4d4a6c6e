"""An open loop sends when it is due, whatever becomes of what was sent before."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import cast

import pytest

from loadtests.traffic.figures import figures
from loadtests.traffic.limits import DEFAULT
from loadtests.traffic.open_window import finished, open_window
from loadtests.traffic.samples import DONE, Sample, Verdict
from loadtests.traffic.sender import Sender
from loadtests.traffic.windows import OPEN, Level

STALL_SECONDS = 0.6


class Stalling:
    """A sender to a server that answers nothing for a while, then everything at once."""

    def __init__(self) -> None:
        self.is_closed = False
        self._over = asyncio.Event()

    async def send(self, number: int, began: float, due: float) -> Sample:
        sent = time.perf_counter() - began
        if number == 0:
            asyncio.get_running_loop().call_later(STALL_SECONDS, self._over.set)
        await self._over.wait()
        return Sample("translate", due, sent, time.perf_counter() - began, 200, Verdict(DONE))

    def close(self) -> None:
        self.is_closed = True


def test_a_server_that_stalls_is_not_asked_less_and_its_stall_is_in_every_latency() -> None:
    """Coordinated omission: users who wait would have asked once in this time, and once been slow."""
    sender = Stalling()
    level = Level(OPEN, 100.0, "constant")
    window = open_window(cast(Sender, sender), level, 1.0, 0.0, number=0, seed=0)
    assert len(window.samples) == 99
    assert all(one.lateness < 0.5 for one in window.samples)
    p50 = next(one for one in figures(DEFAULT) if one.name == "latency p50")
    slow = [one for one in window.samples if one.due < STALL_SECONDS / 2]
    assert len(slow) >= 29
    assert all(one.latency > STALL_SECONDS / 2 - 0.02 for one in slow)
    assert p50.of([window]) > 50
    assert sender.is_closed


def test_what_was_due_in_the_warm_up_stands_before_second_0() -> None:
    level = Level(OPEN, 50.0, "poisson")
    windows = [open_window(cast(Sender, Stalling()), level, 0.5, 0.5, number=n, seed=7) for n in (0, 0, 1)]
    moments = [[one.due for one in window.samples] for window in windows]
    assert -0.5 <= min(moments[0]) < 0.0 < max(moments[0]) < 0.5
    assert moments[0] == moments[1] != moments[2]
    assert abs(windows[0].began_at + 0.5 - time.time()) < 30


def test_a_signal_in_the_midst_of_a_callback_ends_the_loop_without_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = Stalling()

    def signalled() -> None:
        raise SystemExit(143)

    async def load() -> None:
        asyncio.get_running_loop().call_soon(signalled)
        await asyncio.sleep(60)

    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit):
        finished(cast(Sender, sender), load)
    assert caplog.records == []
    assert sender.is_closed
