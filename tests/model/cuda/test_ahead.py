"""Steps computed ahead are told as if each had been computed when it was asked for, whatever happens in
between."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cuda.cache import AheadCache
from model.cuda.graphs import WARM_UPS, Graphs
from model.cuda.network import CudaNetwork
from model.cuda.running_on import RunningOn
from model.decoding import DecodingOptions
from model.decoding.search import NewSegment, Search
from model.network import Foreseen
from tests.builders import tiny_model
from tests.model.cuda.scenarios import (
    MAX_ROWS,
    Scenario,
    Told,
    ahead,
    assert_same,
    eager,
    plain_options,
    random_model,
    run,
    scenarios,
)

SOURCE = (1, 4, 2, 0)


@settings(max_examples=25, deadline=None)
@given(scenarios(plain_only=True), st.integers(0, 2), st.integers(2, 5))
def test_plain_searches_are_told_what_they_would_have_found(
    scenario: Scenario, seed: int, steps: int
) -> None:
    assert_same(run(ahead(seed, steps), scenario), run(eager(seed), scenario))


@settings(max_examples=25, deadline=None)
@given(scenarios(), st.integers(0, 2))
def test_beside_any_other_search_too(scenario: Scenario, seed: int) -> None:
    assert_same(run(ahead(seed, 4), scenario), run(eager(seed), scenario))


@settings(max_examples=25, deadline=None)
@given(scenarios(plain_only=True), st.integers(0, 2), st.integers(2, 4), st.integers(0, 2**32))
def test_steps_begun_meanwhile_are_those_that_would_have_been_asked_for(
    scenario: Scenario, seed: int, steps: int, coins: int
) -> None:
    found = run(ahead(seed, steps), scenario, lambda step: bool(coins >> step % 32 & 1))
    assert_same(found, run(eager(seed), scenario))


@torch.inference_mode()
@pytest.mark.parametrize(("runs_on", "beginnings"), [(True, 1), (False, 4)])
def test_the_next_steps_are_begun_before_they_are_asked_for_unless_someone_waits_to_join(
    runs_on: bool, beginnings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = CudaNetwork(random_model(1), device="cpu", dtype=torch.float64, max_rows=8, steps_ahead=2)
    begun, begin = list[list[int]](), network._begin

    def counted(cache: AheadCache, tokens: list[int]) -> RunningOn:
        begun.append(tokens)
        return begin(cache, tokens)

    monkeypatch.setattr(network, "_begin", counted)
    search, options = Search(network), DecodingOptions(strategy="greedy", min_length=11)
    search.join([NewSegment(key, SOURCE, options, 12) for key in (0, 1)])
    for _ in range(8):
        search.step(run_on=runs_on)
        assert (network._running_on is not None) == runs_on
    assert len(begun) == beginnings


@pytest.mark.parametrize("join_at", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_who_joins_finds_the_others_where_they_stood_though_steps_were_begun(seed: int, join_at: int) -> None:
    """Beams whose rows change places in the steps that are given up."""
    first = [
        NewSegment(key, (1 + key, 4, 2, 0), DecodingOptions(beam_size=5, min_length=10), 14)
        for key in (0, 1, 2)
    ]
    scenario = Scenario({0: first, join_at: [NewSegment(9, SOURCE, DecodingOptions(beam_size=2), 6)]}, {})
    assert_same(run(ahead(seed, 2), scenario), run(eager(seed), scenario))


class _PretendedGraphs(Graphs):
    """Captures by calling as often as a true one does, so that what capturing overwrites shows."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        self.captures, self.keys = True, set[Hashable]()

    def wants(self, key: Hashable) -> bool:
        return key not in self.keys

    def capture(self, key: Hashable, work: Callable[[], object]) -> None:
        self.keys.add(key)
        for _ in range(WARM_UPS + 1):
            work()

    def run(self, key: Hashable, work: Callable[[], Any]) -> Any:
        assert key in self.keys
        return work()


@settings(max_examples=10, deadline=None)
@given(scenarios(), st.booleans())
def test_steps_that_are_captured_in_the_midst_of_a_search_change_nothing(
    scenario: Scenario, prepared: bool
) -> None:
    network = CudaNetwork(random_model(1), device="cpu", dtype=torch.float64, max_rows=MAX_ROWS)
    network._graphs = network._encoder._graphs = _PretendedGraphs()
    if prepared:
        network.prepare((1, 2))
    assert_same(run(network, scenario), run(eager(1), scenario))


def test_no_source_of_usual_length_waits_for_a_capture() -> None:
    network = CudaNetwork(random_model(1), device="cpu", max_rows=MAX_ROWS)
    network._graphs = network._encoder._graphs = graphs = _PretendedGraphs()
    network.prepare((1,))
    before = set(graphs.keys)
    with torch.inference_mode():
        for count in range(1, MAX_ROWS + 1):
            network.open([SOURCE] * count, [1] * count, [16] * count)
    assert {key for key in graphs.keys if key[0] == "encode"} == {key for key in before if key[0] == "encode"}


def test_steps_that_are_asked_for_one_by_one_can_be_captured_too() -> None:
    network = CudaNetwork(random_model(1), device="cpu", max_rows=MAX_ROWS, steps_ahead=1)
    network._graphs = network._encoder._graphs = _PretendedGraphs()
    network.prepare((1,))
    assert network._graphs.keys


@torch.inference_mode()
def test_a_step_that_is_measured_has_a_history_of_the_same_length_every_time() -> None:
    network = ahead(1, 4)
    cache = network.open([SOURCE], [1], [16])
    cache.foresee([Foreseen(16)])
    network.step(torch.tensor([network.config.decoder_start_id]), cache)
    state = network._state.view(network._shape_loaded)
    before = state.length.clone()
    for _ in range(20):
        network.replay_last()
    assert torch.equal(state.length, before)
    # Four steps that are told, four that are begun meanwhile, and the one that is repeated.
    assert network.replayed_positions() == 9
    assert int(state.counter) == 1


@settings(max_examples=8, deadline=None)
@given(st.lists(plain_options(), min_size=1, max_size=4))
def test_the_host_waits_once_for_so_many_steps(asked: list[DecodingOptions]) -> None:
    network = ahead(0, 4)
    search, waits, num_steps = Search(network), network.num_waits, 0
    with torch.inference_mode():
        search.join([NewSegment(key, SOURCE, options, 16) for key, options in enumerate(asked)])
        while search.keys:
            search.step()
            num_steps += 1
    if any(options.prefix_ids for options in asked):  # and twice without any for a prefix
        assert network.num_waits - waits <= -(-num_steps // 4)
    else:
        assert network.num_waits - waits == -(-num_steps // 4)


@torch.inference_mode()
def test_two_searches_take_turns_on_one_network() -> None:
    network, options = ahead(1, 4), DecodingOptions(beam_size=3, num_hypotheses=3, min_length=6)
    sources = [SOURCE, (3, 3, 1, 5, 0)]
    alone = [Scenario({0: [NewSegment(0, source, options, 16)]}, {}) for source in sources]
    searches = [Search(network), Search(network)]
    for search, scenario in zip(searches, alone, strict=True):
        search.join(scenario.joining[0])
    found = [Told(), Told()]
    while any(search.keys for search in searches):
        for search, told in zip(searches, found, strict=True):
            if search.keys:
                told.finished |= search.step().finished
    for scenario, told in zip(alone, found, strict=True):
        assert_same(told, run(eager(1), scenario))


@torch.inference_mode()
def test_who_joins_has_steps_computed_anew_and_the_search_says_when_none_would_be() -> None:
    search = Search(ahead(0, 4))
    search.join([NewSegment(0, SOURCE, DecodingOptions(strategy="greedy", min_length=12), 16)])
    left = []
    for _ in range(5):
        search.step()
        left.append(search.num_ahead)
    assert left == [3, 2, 1, 0, 3]
    search.join([NewSegment(1, SOURCE, DecodingOptions(strategy="greedy"), 16)])
    assert search.num_ahead == 0


@pytest.mark.parametrize("parents", [[0], [1, 0]])
@torch.inference_mode()
def test_a_search_that_does_something_else_is_followed(parents: list[int]) -> None:
    """As if it had not been foreseen at all: tokens of the caller's own choice, rows of its own order."""
    network, slow, rows = ahead(1, 4), eager(1), len(parents)
    cache, expected = network.open([SOURCE], [rows], [12]), slow.open([SOURCE], [rows], [12])
    cache.foresee([Foreseen(0)])
    tokens = torch.tensor([6] * rows)
    for step in range(6):
        told, true = network.step(tokens, cache), slow.step(tokens, expected)
        if step:
            torch.testing.assert_close(told.log_probs(), true.log_probs())
        if rows > 1:
            cache.reorder(torch.tensor(parents))
            expected.reorder(torch.tensor(parents))
        likeliest = true.top(1)[1][:, 0]
        tokens = torch.where(likeliest == 4, 2, 4) - torch.arange(rows)


@torch.inference_mode()
def test_places_are_free_again_when_a_search_ends_or_is_forgotten() -> None:
    network = CudaNetwork(tiny_model(0), device="cpu", dtype=torch.float32, max_rows=4)
    source = (5, 9, 7, 3)
    for _ in range(3):
        search = Search(network)
        search.join([NewSegment(0, source, DecodingOptions(), 16)])
        search.step()
        search.clear()
    search.join([NewSegment(0, source, DecodingOptions(), 8)])
    with pytest.raises(RuntimeError, match="4 rows asked for, 0 of 4 are free"):
        search.join([NewSegment(1, source, DecodingOptions(), 8)])
    while search.keys:
        search.step()
    search.join([NewSegment(1, source, DecodingOptions(), 8)])


@torch.inference_mode()
def test_a_row_of_numbers_that_are_none_fails_alone() -> None:
    model = tiny_model(0)
    model.source_embedding.tokens.weight[20] = float("nan")
    network = CudaNetwork(model, device="cpu", dtype=torch.float32, max_rows=12)
    for options in (DecodingOptions(), DecodingOptions(strategy="greedy")):
        sick, well = NewSegment(0, (20, 3), options, 8), NewSegment(1, (5, 9, 7, 3), options, 8)
        told = run(network, Scenario({0: [sick, well]}, {}))
        assert told.failed == {0: 0}
        assert told.finished.keys() == {1}


@torch.inference_mode()
@pytest.mark.parametrize("penalty", [0.0, 0.5])  # with 0 steps are computed ahead, so that rows are left ill
def test_numbers_that_are_none_stay_with_whom_they_were_of(penalty: float) -> None:
    """Their places are taken by others, who fill less of them."""
    model = tiny_model(0, share_embeddings=False)
    alone = CudaNetwork(model, device="cpu", dtype=torch.float32, max_rows=8)
    model.source_embedding.tokens.weight[20] = float("nan")
    network = CudaNetwork(model, device="cpu", dtype=torch.float32, max_rows=8)
    options = DecodingOptions(coverage_penalty=penalty)
    sick = NewSegment(0, (20, *[5] * 40, 3), options, 16)
    assert run(network, Scenario({0: [sick]}, {})).failed == {0: 0}
    short, long = NewSegment(1, (5, 9, 3), options, 16), NewSegment(2, (*[6] * 40, 3), options, 16)
    well = Scenario({0: [short, long]}, {})
    assert run(network, well) == run(alone, well)


def test_models_of_the_scenarios_end_at_different_lengths() -> None:
    """Else the properties above would say little."""
    lengths = set()
    for seed in range(3):
        sources = [(a, b, 0) for a in range(1, 6) for b in (1, 4)]
        segments = [
            NewSegment(key, source, DecodingOptions(strategy="greedy"), 20)
            for key, source in enumerate(sources)
        ]
        told = run(eager(seed), Scenario({0: segments}, {}))
        lengths |= {len(answer[0].token_ids) for answer in told.finished.values()}
    assert len(lengths) >= 5, lengths
    assert random_model(0).config.norm != random_model(1).config.norm
