"""What a step does beside the network does not grow with the queue. (Its seconds are for load tests.)"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

import service.engine
from model.decoding import DecodingOptions
from model.network import EagerNetwork
from service.engine.config import EngineConfig
from service.engine.engine import Engine
from service.engine.request import Segment
from service.engine.runner import Runner
from service.engine.waiting_queue import WaitingQueue
from tests.builders import tiny_model
from tests.service.engine.segments import request

ENGINE = str(Path(service.engine.__file__).parent)
ROWS, NUM_STEPS = 16, 10


def engine_with(num_waiting: int) -> Engine:
    """All of its rows are taken for long; every waiting segment has a deadline of its own."""
    rng = random.Random(1)
    engine = Engine(Runner(EagerNetwork(tiny_model())), EngineConfig(max_rows=ROWS, max_queue_tokens=10**6))
    options = DecodingOptions(strategy="greedy", min_length=NUM_STEPS + 10)
    for index in range(ROWS + num_waiting):
        source = (*(rng.randrange(4, 24) for _ in range(rng.randint(5, 12))), 3)
        deadline = 1e9 + rng.random()
        engine.submit(request(source, options, segment_id=str(index), stream=True, deadline=deadline))
    engine.step()  # encodes them all
    return engine


def instructions_of_the_engine(work: Callable[[], None]) -> int:
    """Instructions of Python that functions of `service.engine` execute meanwhile, loops counted in full."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(ENGINE):
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def instructions_per_step(num_waiting: int) -> float:
    """With one of the waiting segments cancelled before every step."""
    engine = engine_with(num_waiting)

    def steps() -> None:
        for step in range(NUM_STEPS):
            engine.cancel(str(ROWS + step))
            engine.step()

    with torch.inference_mode():
        count = instructions_of_the_engine(steps)
    snapshot = engine.snapshot()
    assert (snapshot.running_rows, snapshot.queue_segments) == (ROWS, num_waiting - NUM_STEPS)
    return count / NUM_STEPS


def test_a_step_does_not_look_through_the_queue() -> None:
    short, long = instructions_per_step(100), instructions_per_step(10_000)
    assert short > 100
    assert long < 1.5 * short


def test_the_count_sees_a_walk_through_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(queue: WaitingQueue, now: float) -> list[Segment]:
        late = []
        for segment in queue._segments.values():
            if (segment.request.deadline or now) < now:
                late.append(segment)
        return late

    # As if it stood in the engine.
    walk.__code__ = walk.__code__.replace(co_filename=ENGINE)
    monkeypatch.setattr(WaitingQueue, "remove_late", walk)
    assert instructions_per_step(2_000) > 1.5 * instructions_per_step(100)
