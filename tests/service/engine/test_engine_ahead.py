"""An engine over a network that computes steps ahead: the same answers, and nobody joins in their midst."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.cuda.network import CudaNetwork
from model.decoding import DecodingOptions
from model.network import EagerNetwork, Network
from service.engine import EngineConfig, FailedEvent, FinishedEvent, SegmentRequest
from service.engine.engine import Engine
from service.engine.runner import Runner
from tests.builders import tiny_model

MODEL = tiny_model(1)
AHEAD = CudaNetwork(MODEL, device="cpu", dtype=torch.float32, max_rows=32)
OPTIONS = (DecodingOptions(), DecodingOptions(strategy="greedy"), DecodingOptions(beam_size=2, min_length=6))


def request(number: int) -> SegmentRequest:
    source = (5 + number % 7, 9, 4 + number % 5, 3)
    return SegmentRequest(segment_id=str(number), source_ids=source, options=OPTIONS[number % 3])


@torch.inference_mode()
def answers(network: Network) -> tuple[dict[str, tuple[int, ...]], list[tuple[int, int]]]:
    """Of 12 segments that arrive one a step; and at every step how many were computed ahead and how many
    joined."""
    runner = Runner(network)
    engine, found, joins = Engine(runner, EngineConfig(max_rows=32)), {}, []
    for number in range(200):
        if number < 12:
            engine.submit(request(number))
        ahead, before = runner.num_ahead, engine.snapshot().running_segments
        told = engine.step()
        ended = [one for one in told if isinstance(one.event, FinishedEvent)]
        joins.append((ahead, engine.snapshot().running_segments + len(ended) - before))
        for one in ended:
            assert isinstance(one.event, FinishedEvent)
            found[one.segment.request.segment_id] = one.event.hypotheses[0].token_ids
    assert engine.is_idle
    return found, joins


def test_answers_are_those_of_the_eager_network_and_who_joins_waits_for_the_end_of_a_block() -> None:
    found, joins = answers(AHEAD)
    assert found == answers(EagerNetwork(MODEL))[0]
    assert any(joined for ahead, joined in joins if ahead == 0)
    assert any(ahead for ahead, _ in joins)
    assert not any(joined for ahead, joined in joins if ahead)


@torch.inference_mode()
@pytest.mark.parametrize("failing", ["step", "encoder"])
def test_places_of_a_pass_that_failed_are_free_for_those_who_come_next(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the error, and with it the frames of its traceback, is kept by whoever reads it."""
    network = CudaNetwork(MODEL, device="cpu", dtype=torch.float32, max_rows=4)

    def fail(*_: Any) -> None:
        monkeypatch.undo()
        raise RuntimeError("out of memory")

    owner, name = (network._work, "advance") if failing == "step" else (network._encoder, "encode")
    monkeypatch.setattr(owner, name, fail)
    engine = Engine(Runner(network), EngineConfig(max_rows=4))
    for number in range(8):
        engine.submit(SegmentRequest(segment_id=str(number), source_ids=(5, 9, 4, 3), options=OPTIONS[1]))
    kinds = {int(e.segment.request.segment_id): type(e.event) for e in engine.run_until_idle() if e.is_last}
    assert [kinds[number] for number in range(8)] == [FailedEvent] * 4 + [FinishedEvent] * 4
