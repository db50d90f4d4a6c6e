"""Searches with arrivals and cancellations at given steps, and all that they tell: for equalities between
networks.

Knows: `Search`. Must not know: which network it is given.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st

from model.cuda.network import CudaNetwork
from model.decoding import DecodingOptions, Hypothesis
from model.decoding.search import NewSegment, Search
from model.network import EagerNetwork, Network
from model.transformer import Transformer
from tests.builders import tiny_model
from tests.model.decoding.any_options import LONGEST, NUM_TOKENS, RANDOM_VOCABULARY, TEXT, any_options

MAX_ROWS = 48


@dataclass(frozen=True)
class Scenario:
    """`joining[s]` join before step s, `dropped[s]` (keys) leave before it."""

    joining: Mapping[int, Sequence[NewSegment]]
    dropped: Mapping[int, Sequence[int]]


@dataclass
class Told:
    """Everything that a search said, by key, in order."""

    finished: dict[int, tuple[Hypothesis, ...]] = field(default_factory=dict)
    stable: dict[int, list[tuple[int, tuple[int, ...]]]] = field(default_factory=dict)
    drafts: dict[int, list[tuple[int, tuple[int, ...]]]] = field(default_factory=dict)
    failed: dict[int, int] = field(default_factory=dict)


@torch.inference_mode()
def run(network: Network, scenario: Scenario, runs_on: Callable[[int], bool] = lambda step: True) -> Told:
    """`runs_on(s)`: whether step s may have later ones begun meanwhile."""
    search, told = Search(network), Told()
    last = max(scenario.joining)
    step = 0
    while step <= last or search.keys:
        search.drop(scenario.dropped.get(step, ()))
        if segments := scenario.joining.get(step):
            search.join(segments)
        if search.keys:
            selection = search.step(run_on=runs_on(step))
            told.finished |= selection.finished
            told.failed |= dict.fromkeys(selection.failed, step)
            for key, tokens in selection.stable.items():
                told.stable.setdefault(key, []).append((step, tokens))
            for key, tokens in selection.drafts.items():
                told.drafts.setdefault(key, []).append((step, tokens))
        step += 1
    return told


def assert_same(found: Told, expected: Told) -> None:
    """Tokens, streams and endings are equal, scores up to the rounding of float64."""
    assert (found.stable, found.drafts, found.failed) == (expected.stable, expected.drafts, expected.failed)
    assert found.finished.keys() == expected.finished.keys()
    for key, hypotheses in expected.finished.items():
        others = found.finished[key]
        assert [h.token_ids for h in others] == [h.token_ids for h in hypotheses]
        assert [h.finish_reason for h in others] == [h.finish_reason for h in hypotheses]
        for one, other in zip(hypotheses, others, strict=True):
            torch.testing.assert_close(other.score, one.score, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(other.token_log_probs, one.token_log_probs, rtol=1e-9, atol=1e-9)


@functools.cache
def random_model(seed: int) -> Transformer:
    """In float64, so that no near-tie is decided by rounding; the vocabulary of `any_options`."""
    sizes: dict[str, Any] = {"source_vocab_size": NUM_TOKENS, "target_vocab_size": NUM_TOKENS}
    marks = {"eos_id": RANDOM_VOCABULARY.eos_id, "pad_id": NUM_TOKENS - 1, "decoder_start_id": NUM_TOKENS - 1}
    norms = {"norm": "pre", "final_norm": True} if seed % 2 else {}
    return tiny_model(seed, eos_scale=1.0, max_target_length=24, **sizes, **marks, **norms).double()


@functools.cache
def eager(seed: int) -> EagerNetwork:
    return EagerNetwork(random_model(seed))


@functools.cache
def ahead(seed: int, steps: int) -> CudaNetwork:
    """Without a GPU: the same code, called instead of replayed."""
    return CudaNetwork(
        random_model(seed), device="cpu", dtype=torch.float64, max_rows=MAX_ROWS, steps_ahead=steps
    )


def plain_options() -> st.SearchStrategy[DecodingOptions]:
    prefix = st.lists(TEXT, max_size=2).map(tuple)
    greedy = st.builds(
        DecodingOptions, strategy=st.just("greedy"), min_length=st.integers(0, 6), prefix_ids=prefix
    )
    beam = st.integers(1, 5).flatmap(
        lambda size: st.builds(
            DecodingOptions,
            beam_size=st.just(size),
            num_hypotheses=st.integers(1, size),
            min_length=st.integers(0, 6),
            length_penalty=st.sampled_from([0.0, 0.6, 3.0]),
            patience=st.sampled_from([0.25, 1.0, 2.0]),
            prefix_ids=prefix,
        )
    )
    return greedy | beam


@st.composite
def scenarios(draw: st.DrawFn, *, most: int = 4, plain_only: bool = False) -> Scenario:
    count = draw(st.integers(1, most))
    joining, dropped = dict[int, list[NewSegment]](), dict[int, list[int]]()
    for key in range(count):
        options = draw(plain_options() if plain_only else plain_options() | any_options())
        source = (*draw(st.lists(TEXT, min_size=1, max_size=6)), RANDOM_VOCABULARY.eos_id)
        shortest = max(options.min_length + 1, len(options.prefix_ids), 1)
        shortest += sum(map(len, options.required_ids))
        limit = draw(st.integers(shortest, LONGEST + shortest))
        way = draw(st.sampled_from(["whole", "stream", "draft"]))
        new = NewSegment(key, source, options, limit, way == "stream", way == "draft")
        at = draw(st.integers(0, 9))
        joining.setdefault(at, []).append(new)
        if draw(st.integers(0, 3)) == 0:
            dropped.setdefault(at + draw(st.integers(1, 6)), []).append(key)
    return Scenario(joining, dropped)
