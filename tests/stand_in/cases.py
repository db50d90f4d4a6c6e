"""On a device that is not the processor, but for its arithmetic: the same answers, no tensor in the wrong
place, and no wait but those that are stated.

`python -m pytest tests/stand_in/cases.py`, which test_stand_in.py does: in a process of its own.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.checkpoint import load_bundle
from model.cuda.network import STEPS_AHEAD, CudaNetwork
from model.decoding import DecodingOptions
from model.decoding.search import NewSegment, Search, decode_batch
from model.network import EagerNetwork
from model.transfers import to_host
from service.engine import EngineConfig, FinishedEvent, SegmentRequest
from service.engine.network_plan import NetworkPlan
from service.engine.network_start import start_network
from service.engine.thread_engine import ThreadEngine
from tests.builders import tiny_bundle
from tests.model.cuda.scenarios import MAX_ROWS, Scenario, assert_same, eager, random_model, run, scenarios
from tests.service.engine.thread_door import collect
from tests.stand_in import device as stand_in
from tests.training.runs import trainer
from tests.training.shared_runs import curve_of
from training.distributed import World
from training.release import release
from training.stream import Place


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> torch.device:
    return stand_in.device(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(autouse=True)
def _as_on_a_gpu() -> Iterator[None]:
    with stand_in.as_on_a_gpu():
        yield


@functools.cache
def network(device: torch.device, seed: int, steps_ahead: int) -> CudaNetwork:
    return CudaNetwork(
        random_model(seed), device=device, dtype=torch.float64, max_rows=MAX_ROWS, steps_ahead=steps_ahead
    )


def test_the_stand_in_refuses_what_a_gpu_refuses(device: torch.device) -> None:
    here, there = torch.arange(6.0).view(2, 3), torch.arange(6.0).view(2, 3).to(device)
    with pytest.raises(RuntimeError, match="same device"):
        there + here
    with pytest.raises(RuntimeError, match="a tensor of the host"):
        torch.gather(there, 1, torch.zeros(2, 1, dtype=torch.long))
    assert torch.equal((there @ there.T).cpu(), here @ here.T)


def _put(tensor: Tensor, index: Tensor) -> None:
    tensor[index] = 0.0


WAITING: dict[str, Callable[[Tensor], object]] = {
    "a number is read": lambda there: there[0, 1].item(),
    "a copy to the host": lambda there: there.cpu(),
    "a copy to the device": lambda there: there.copy_(torch.zeros(2, 3)),
    "indices of the host": lambda there: there[torch.tensor([1])],
    "places of the host": lambda there: _put(there, torch.tensor([1])),
    "what a mask takes": lambda there: there[there > 2],
    "where a mask puts": lambda there: _put(there, there > 2),
    "where it is not 0": lambda there: there.nonzero(),
}


@pytest.mark.parametrize("work", WAITING.values(), ids=WAITING)
def test_the_stand_in_counts_what_a_gpu_is_waited_for(
    device: torch.device, work: Callable[[Tensor], object]
) -> None:
    there = torch.arange(6.0).view(2, 3).to(device)
    stand_in.waits()
    work(there)
    assert stand_in.waits() > 0


def test_and_nothing_else(device: torch.device) -> None:
    stand_in.waits()
    there = torch.arange(6.0).view(2, 3).to(device, non_blocking=True)
    there.index_fill_(1, torch.tensor([1]).to(device, non_blocking=True), 2.0)
    torch.where(there > 2, there @ there.T @ there, there).sort(dim=1).values.to("cpu", non_blocking=True)
    assert stand_in.waits() == 0


def test_what_comes_to_the_host_together_is_waited_for_once(device: torch.device) -> None:
    sent = (torch.tensor([[True, False, True]]), torch.arange(4), torch.tensor([0.5]), torch.empty(2, 0))
    there = [one.to(device, non_blocking=True) for one in sent]
    stand_in.waits()
    assert all(map(torch.equal, to_host(*there), sent))
    assert stand_in.waits() == 1


@settings(max_examples=40)
@given(st.data())
def test_searches_are_those_of_the_processor(device: torch.device, data: st.DataObject) -> None:
    scenario, seed = data.draw(scenarios(plain_only=data.draw(st.booleans()))), data.draw(st.integers(0, 2))
    found = run(network(device, seed, data.draw(st.sampled_from([1, 4]))), scenario)
    assert_same(found, run(eager(seed), scenario))


@settings(max_examples=10)
@given(scenarios(), st.integers(0, 2))
def test_so_are_those_of_the_plain_module(device: torch.device, scenario: Scenario, seed: int) -> None:
    moved = EagerNetwork(copy.deepcopy(random_model(seed)).to(device))
    assert_same(run(moved, scenario), run(eager(seed), scenario))


SOURCES = ((1, 4, 2, 0), (3, 3, 1, 5, 0), (5, 0), (2, 4, 1, 1, 3, 0), (4, 2, 0))
PLAIN = {"greedy": {"strategy": "greedy"}, "beam": {"beam_size": 4}, "min_length": {"min_length": 3}}
RULED: dict[str, dict[str, Any]] = {
    "n-grams": {"no_repeat_ngram_size": 2},
    "repetition": {"repetition_penalty": 1.3},
    "greedy with a rule": {"strategy": "greedy", "no_repeat_ngram_size": 2},
    "banned": {"banned_ids": ((4,), (2, 1))},
    "groups": {"beam_size": 4, "diversity_groups": 2, "diversity_penalty": 0.5},
    "sampling": {"strategy": "sample", "seed": 7},
    "filters": {"strategy": "sample", "seed": 7, "top_k": 3, "top_p": 0.9},
}


@torch.inference_mode()
def waits_and_steps(device: torch.device, options: DecodingOptions) -> tuple[int, int]:
    search = Search(network(device, 1, STEPS_AHEAD))
    stand_in.waits()
    search.join([NewSegment(key, source, options, 16) for key, source in enumerate(SOURCES)])
    assert stand_in.waits() == 0  # who joins has nobody wait
    steps = 0
    while search.keys:
        search.step()
        steps += 1
    return stand_in.waits(), steps


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_plain_searches_wait_for_nothing_but_the_stated(
    device: torch.device, options: dict[str, Any]
) -> None:
    """Those waits are for an event, and counted by the network."""
    own = network(device, 1, STEPS_AHEAD)
    before = own.num_waits
    waits, steps = waits_and_steps(device, DecodingOptions(**options))
    assert (waits, own.num_waits - before) == (0, -(-steps // STEPS_AHEAD))


@pytest.mark.parametrize("options", RULED.values(), ids=RULED)
def test_a_step_by_other_rules_is_waited_for_once(device: torch.device, options: dict[str, Any]) -> None:
    waits, steps = waits_and_steps(device, DecodingOptions(**options))
    assert waits == steps


@pytest.mark.parametrize("options", [{"coverage_penalty": 0.4}, {"required_ids": ((4, 2),)}])
def test_two_rules_ask_once_more(device: torch.device, options: dict[str, Any]) -> None:
    """What a hypothesis that ends has attended to, and how likely the tokens of phrases are."""
    waits, steps = waits_and_steps(device, DecodingOptions(beam_size=3, **options))
    assert steps < waits <= 2 * steps


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("kernels", "path"), [("auto", "direct"), ("eager", "eager")])
def test_a_bundle_is_started_in_the_precision_that_was_asked_for(
    device: torch.device, tmp_path: Path, kernels: Any, path: str, precision: Any
) -> None:
    tiny_bundle(tmp_path / "tiny")
    plan = NetworkPlan(device=str(device), precision=precision, kernels=kernels)
    network = start_network(tmp_path / "tiny", plan, 1, 1 << 30, 16).network
    assert (network.path, network.precision, network.device) == (path, precision, device)
    assert decode_batch(network, [(5, 9, 3)], DecodingOptions(beam_size=2, max_length=4))


def test_an_engine_answers_what_it_answers_on_the_processor(device: torch.device) -> None:
    """Requests of all kinds, which its thread mixes as they come."""
    asked = [DecodingOptions(**options, max_length=12) for options in (PLAIN | RULED).values()]

    async def answers(engine: ThreadEngine) -> list[tuple[int, ...]]:
        streams = [
            engine.submit(SegmentRequest(segment_id=str(n), source_ids=source, options=options))
            for n, (options, source) in enumerate(product(asked, SOURCES))
        ]
        events = [(await collect(stream))[-1] for stream in streams]
        return [one.hypotheses[0].token_ids for one in events if isinstance(one, FinishedEvent)]

    found = []
    for each in (network(device, 1, STEPS_AHEAD), eager(1)):
        engine = ThreadEngine(each, EngineConfig(max_rows=MAX_ROWS))
        try:
            found.append(asyncio.run(asyncio.wait_for(answers(engine), 60)))
        finally:
            engine.close()
    assert found[0] == found[1]
    assert len(found[0]) == len(asked) * len(SOURCES)


RUNS: dict[str, dict[str, Any]] = {
    "plain": {"validation": {"interval_steps": 4}, "checkpoint": {"interval_steps": 4}},
    "average": {"checkpoint": {"ema_decay": 0.9, "interval_steps": 5}},
    "several batches": {"batch": {"batches_per_update": 3}},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("sections", RUNS.values(), ids=RUNS)
def test_a_training_run_is_that_of_the_processor(
    device: torch.device, tmp_path: Path, sections: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    curves = []
    for place in (torch.device("cpu"), device):
        monkeypatch.setattr(World, "device", lambda self, asked, place=place: place)
        made = trainer(tmp_path / place.type, model={"dropout": 0.0}, **sections)
        curve = curve_of(made)
        assert made.run()
        curves.append(torch.tensor(curve))
    exact = "precision" not in sections
    torch.testing.assert_close(*curves, rtol=1e-3 if exact else 5e-2, atol=1e-5 if exact else 5e-2)


def test_a_run_begins_there_with_the_weights_of_a_bundle_and_leaves_a_bundle(
    device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = trainer(tmp_path / "first", max_steps=2)
    assert begun.run()
    begun._checkpoint()
    bundle = str(release(begun, begun.monitor))
    monkeypatch.setattr(World, "device", lambda self, asked: device)
    moved = trainer(tmp_path / "second", max_steps=2, start_from=bundle)
    own, first = moved.model.state_dict(), load_bundle(Path(bundle)).model.state_dict()
    assert all(torch.equal(own[name].cpu(), weights) for name, weights in first.items())
    assert moved.run()
    moved._checkpoint()
    assert load_bundle(release(moved, moved.monitor)).info.name == "tiny"


@pytest.mark.parametrize("sections", [{}, {"optimizer": {"r_drop": 2.0}}])
def test_a_step_of_training_waits_for_the_device_once(
    device: torch.device, tmp_path: Path, sections: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "device", lambda self, asked: device)
    made = trainer(tmp_path, model={"dropout": 0.1}, **sections)
    shares, update = made.stream.shares(Place(0, 0)), made.learner.update
    update(1, next(shares))  # the first makes what the optimiser keeps
    share = next(shares)
    stand_in.waits()
    update(2, share)
    assert stand_in.waits() == 1
