"""What scheduling costs beside the network: with the shipped model, a full batch and a long queue."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest
import torch

import model
from model.checkpoint import load_bundle
from model.decoding import DecodingOptions
from model.network import EagerNetwork
from service.engine.config import EngineConfig
from service.engine.engine import Engine
from service.engine.observer import Phase, SilentObserver
from service.engine.runner import Runner
from tests.service.engine.segments import request

SHIPPED = Path(model.__file__).parent.parent / "checkpoints" / "en-de"
ROWS, NUM_STEPS = 64, 30


class Stopwatch(SilentObserver):
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        self.seconds[phase] += duration_seconds


@pytest.mark.slow
@pytest.mark.parametrize("num_waiting", [0, 10_000])
def test_scheduling_takes_under_five_percent_of_a_step_of_64_rows(num_waiting: int) -> None:
    """Every waiting segment has a deadline of its own, and one is cancelled before every step."""
    rng, watch = random.Random(1), Stopwatch()
    engine = Engine(
        Runner(EagerNetwork(load_bundle(SHIPPED).model)),
        EngineConfig(max_rows=ROWS, max_queue_tokens=10**6),
        watch,
    )
    options = DecodingOptions(strategy="greedy", min_length=NUM_STEPS + 10)
    with torch.inference_mode():
        for index in range(ROWS + num_waiting):
            source = (*(rng.randrange(10, 1000) for _ in range(rng.randint(5, 30))), 3)
            engine.submit(
                request(source, options, segment_id=str(index), stream=True, deadline=1e9 + rng.random())
            )
        engine.step()  # encodes them all
        watch.seconds.clear()
        for step in range(NUM_STEPS):
            engine.cancel(str(ROWS + step))
            engine.step()
    assert engine.snapshot().running_rows == ROWS
    assert engine.snapshot().queue_segments == max(0, num_waiting - NUM_STEPS)
    assert watch.seconds["schedule"] < 0.05 * sum(watch.seconds.values()), dict(watch.seconds)
