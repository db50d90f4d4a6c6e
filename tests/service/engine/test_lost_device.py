"""After a fault that leaves a GPU of no use to a process, it ends, and what ran is decoded elsewhere."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import pytest
import torch

from model import devices
from model.network import EagerNetwork
from model.transformer import Transformer
from service.engine import (
    EngineConfig,
    EngineDraining,
    EngineError,
    FinishedEvent,
    StepFailed,
    lost_device,
)
from service.engine.request import Emission
from service.engine.thread_engine import ThreadEngine
from tests.builders import tiny_model
from tests.service.engine.by_hand import Ear
from tests.service.engine.segments import request
from tests.service.engine.thread_door import SECONDS, SHORT, collect, failure_of, run, until
from tests.service.engine.worker_door import nursed

FAULT = "CUDA error: an illegal memory access was encountered"


class _Fault:
    """The network's steps fail, and the device does not come back, until somebody starts anew."""

    def __init__(self, model: Transformer, monkeypatch: pytest.MonkeyPatch, *, lost: bool) -> None:
        self._step, self._lost = model.decode_step, lost
        self.is_there, self.asked = True, 0
        model.decode_step = self._guarded  # type: ignore[method-assign]
        monkeypatch.setattr(lost_device, "is_lost", self._is_lost)

    def _guarded(self, *arguments: Any) -> torch.Tensor:
        if self.is_there:
            raise RuntimeError(FAULT)
        return self._step(*arguments)

    def _is_lost(self, device: torch.device) -> bool:
        self.asked += 1
        self.is_there = False
        return self._lost


def test_what_ran_is_answered_by_the_process_that_is_started_next(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(1)
    fault = _Fault(model, monkeypatch, lost=True)

    async def scenario() -> None:
        with nursed(model, ear := Ear()) as (engine, nursery):
            streams = [engine.submit(request((5, n, 3), SHORT)) for n in range(4, 8)]
            for events in await asyncio.gather(*map(collect, streams)):
                assert isinstance(events[-1], FinishedEvent)
            assert len(nursery.children) == 2
            assert ear.facts.count(("restarted",)) == 1
            assert not [fact for fact in ear.facts if fact[0] == "failed"]

    run(scenario())
    assert fault.asked == 1


def test_a_device_that_still_answers_fails_who_ran_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(1)
    fault = _Fault(model, monkeypatch, lost=False)

    async def scenario() -> None:
        with nursed(model) as (engine, nursery):
            assert isinstance(failure_of(await collect(engine.submit(request(options=SHORT)))), StepFailed)
            events = await collect(engine.submit(request(options=SHORT)))
            assert isinstance(events[-1], FinishedEvent)
            assert len(nursery.children) == 1

    run(scenario())
    assert fault.asked == 1


def test_a_thread_that_cannot_be_started_anew_says_that_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(1)
    _Fault(model, monkeypatch, lost=True)

    async def scenario() -> None:
        engine = ThreadEngine(EagerNetwork(model), EngineConfig(max_rows=8))
        assert isinstance(failure_of(await collect(engine.submit(request(options=SHORT)))), StepFailed)
        await until(lambda: math.isinf(engine.snapshot().heartbeat_seconds))
        with pytest.raises(EngineDraining):
            engine.submit(request(options=SHORT))
        engine.close()

    run(scenario())


def test_who_comes_while_a_thread_ends_is_refused_and_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    model, has_failed_all, may_end = tiny_model(1), threading.Event(), threading.Event()
    _Fault(model, monkeypatch, lost=True)

    async def scenario() -> None:
        engine = ThreadEngine(EagerNetwork(model), EngineConfig(max_rows=8))
        fail_all = engine._engine.fail_all

        def slowly(error: EngineError) -> list[Emission]:
            emissions = fail_all(error)
            has_failed_all.set()
            assert may_end.wait(SECONDS)
            return emissions

        monkeypatch.setattr(engine._engine, "fail_all", slowly)
        assert isinstance(failure_of(await collect(engine.submit(request(options=SHORT)))), StepFailed)
        assert await asyncio.to_thread(has_failed_all.wait, SECONDS)
        try:
            with pytest.raises(EngineDraining):
                engine.submit(request(options=SHORT))
        finally:
            may_end.set()
            engine.close()

    run(scenario())


def test_a_gpu_is_lost_when_waiting_for_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: torch.device) -> None:
        raise RuntimeError(FAULT)

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert devices.is_lost(torch.device("cuda"))
    assert not devices.is_lost(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert not devices.is_lost(torch.device("cuda"))
