"""The native network answers what the module answers: every variant, precision, level and thread count."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import reference
from model.alignment import cross_attention
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch, target_limit
from model.int8 import int8_copy
from model.native.binding import Library
from model.network import EagerNetwork, Network
from model.transformer import Transformer
from tests.builders import TINY_VOCABULARY, tiny_model
from tests.model.closeness import distance
from tests.model.native.kernels import (
    LEVELS,
    any_model,
    any_shape,
    library_of,
    native,
    random_sources,
    random_tokens,
)

CAPACITY = 40
LENGTHS, ROWS = [7, 1, 16, 23], [1, 4, 2, 3]


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


def largest_difference(truth: Transformer, network: Network, seed: int, steps: int = 18) -> float:
    """Between log-probabilities after random tokens and reorders; attention is compared as well."""
    config, eager = truth.config, EagerNetwork(truth)
    sources = random_sources(seed, LENGTHS, config.source_vocab_size)
    capacity = [CAPACITY] * len(sources)
    expected, found = eager.open(sources, ROWS, capacity), network.open(sources, ROWS, capacity)
    worst = 0.0
    for step in range(steps):
        token_ids = random_tokens(seed + step, sum(ROWS), config.target_vocab_size)
        theirs, ours = (
            each.step(token_ids, cache, watch=True) for each, cache in ((eager, expected), (network, found))
        )
        assert theirs.attention is not None
        assert ours.attention is not None
        seen = distance(theirs.attention[:, : max(LENGTHS)], ours.attention[:, : max(LENGTHS)])
        worst = max(worst, seen, distance(ours.log_probs(), theirs.log_probs()))
        parents = torch.tensor([0, *random_tokens(step, 4, 4) + 1, 5, 5, *random_tokens(step, 3, 3) + 7])
        expected.reorder(parents)
        found.reorder(parents)
    return worst


def moved_by_last_bits(exact: Transformer, seed: int) -> float:
    """How far answers move, of two draws, when each weight moves by a unit of float32's last place."""

    def moved(draw: int) -> float:
        generator, other = torch.Generator().manual_seed(draw), copy.deepcopy(exact)
        for weight in other.parameters():
            signs = torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1
            weight.mul_(1 + signs * 2.0**-23)
        return largest_difference(exact, EagerNetwork(other), seed)

    return max(moved(0), moved(1))


@settings(max_examples=40)
@given(st.integers(0, 10**6), any_shape(), st.integers(1, 2))
@pytest.mark.parametrize("level", LEVELS)
def test_every_variant_answers_what_the_module_answers(
    level: str, seed: int, shape: dict[str, Any], num_threads: int
) -> None:
    model = any_model(seed, shape)
    network = native(model, library_of(level), num_threads=num_threads)
    # Narrow norms magnify the last bits: how far, the module's own distance from double precision says.
    exact = copy.deepcopy(model).double()
    module_is_off = largest_difference(exact, EagerNetwork(model), seed)
    we_are_off = largest_difference(exact, network, seed)
    # One row of many may be magnified where the module was lucky: then the last bits of its weights tell.
    assert we_are_off < 4 * module_is_off + 5e-5 or we_are_off < 4 * moved_by_last_bits(exact, seed)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_int8_products_are_those_of_the_int8_copy(library: Library, norm: str) -> None:
    """A value that one of them rounds up and the other down changes little, and seldom happens."""
    model = tiny_model(5, d_model=48, num_decoder_heads=3, num_encoder_heads=3, norm=norm)
    network = native(model, library, "int8")
    assert largest_difference(int8_copy(model), network, 1, steps=1) < 0.05
    assert largest_difference(model, network, 1) > 0.05


def test_bfloat16_rounds_weights_alone(library: Library) -> None:
    model = tiny_model(5)
    rounded = tiny_model(5)
    for parameter in rounded.parameters():
        if parameter.dim() == 2:
            parameter.copy_(parameter.bfloat16())
    # Embeddings are kept as they are.
    for side in ("source_embedding", "target_embedding"):
        getattr(rounded, side).tokens.weight.copy_(getattr(model, side).tokens.weight)
    assert largest_difference(rounded, native(model, library, "bfloat16"), 1) < 1e-4


@pytest.mark.parametrize("options", [DecodingOptions(strategy="greedy"), DecodingOptions(beam_size=4)])
@pytest.mark.parametrize("seed", range(4))
def test_searches_find_what_the_slow_definition_finds(
    library: Library, seed: int, options: DecodingOptions
) -> None:
    model = tiny_model(seed)
    sources = random_sources(seed, [3, 9, 1, 14, 6, 20], TINY_VOCABULARY)
    answers = decode_batch(native(model, library), sources, options)
    for source, found in zip(sources, answers, strict=True):
        limit = target_limit(options, model.config, len(source))
        expected = reference.translate(model, source, options, limit)
        assert [each.token_ids for each in found] == [each.token_ids for each in expected]


def test_what_a_target_looks_at_is_what_the_module_looks_at(library: Library) -> None:
    model = tiny_model(2)
    source, target = random_sources(2, [9, 12], TINY_VOCABULARY)
    found = native(model, library).cross_attention(source, target)
    assert distance(found, cross_attention(model, source, target)) < 1e-5


@pytest.mark.parametrize("shift", [-500.0, -75.0, 0.0, 75.0, 500.0])
def test_log_probs_are_right_however_far_logits_are_from_zero(library: Library, shift: float) -> None:
    model = tiny_model(3, output_bias=True).requires_grad_(False)
    assert model.output.bias is not None
    model.output.bias.add_(shift)
    ours, theirs = (
        network.step(torch.tensor([4, 5]), network.open([[5, 6, 3]], [2], [4])).log_probs()
        for network in (native(model, library), EagerNetwork(model))
    )
    assert distance(ours, theirs) < 3e-4


def test_no_log_probability_is_above_0_not_that_of_a_token_that_is_certain(library: Library) -> None:
    """The search stops, and a stream tells, by sums that never rise."""
    model = tiny_model(output_bias=True).requires_grad_(False)
    assert model.output.bias is not None
    model.output.bias.fill_(-50.0)
    model.output.bias[9] = 3.0
    model.output.weight.zero_()
    model.output.weight[9] = torch.randn(32, generator=torch.Generator().manual_seed(0)) * 2.0
    network = native(model, library)
    cache, certain = network.open([[5, 3]], [24], [40]), []
    for step in range(40):
        scores = network.step(random_tokens(step, 24, TINY_VOCABULARY), cache)
        certain.append(scores.log_probs()[:, 9].clone())
    assert torch.stack(certain).max() == 0.0


def test_top_is_the_best_of_log_probs(best: Library) -> None:
    network = native(tiny_model(), best)
    tops = []
    for dense in (False, True):
        scores = network.step(random_tokens(1, 3, TINY_VOCABULARY), network.open([[5, 3]], [3], [9]))
        tops.append(torch.topk(scores.log_probs(), 4) if dense else scores.top(4))
    assert torch.equal(tops[0][0], tops[1][0])
    assert torch.equal(tops[0][1], tops[1][1])


@pytest.mark.parametrize("count", [1, 3, 4, 8])
def test_tokens_that_a_bias_makes_impossible_are_never_likely(library: Library, count: int) -> None:
    """So many that whole blocks of 64 hold none that is possible."""
    model = tiny_model(3, output_bias=True, share_embeddings=False, target_vocab_size=256)
    model.requires_grad_(False)
    assert model.output.bias is not None
    model.output.bias[3:] = float("-inf")
    tops = []
    for network in (native(model, library), EagerNetwork(model)):
        scores = network.step(torch.tensor([4, 5]), network.open([[5, 6, 3]], [2], [4]))
        tops.append(scores.top(count))
    (values, token_ids), (expected, expected_ids) = tops
    possible = expected.isfinite()
    assert torch.equal(values.isfinite(), possible)
    assert distance(values[possible], expected[possible]) < 1e-4
    assert torch.equal(token_ids[possible], expected_ids[possible])


@pytest.mark.parametrize("size", [1e-20, 1e-30, 1e-34, 1e-37, 1e-39, 1e-43])
def test_weights_that_decay_has_left_next_to_nothing_count_for_nothing(library: Library, size: float) -> None:
    model = tiny_model(3, tie_output=False).requires_grad_(False)
    model.output.weight[::2].mul_(size)
    model.output.weight[:, 1::3].mul_(size)
    ours, theirs = (
        network.step(torch.tensor([4, 5]), network.open([[5, 6, 3]], [2], [4])).log_probs()
        for network in (native(model, library), EagerNetwork(model))
    )
    assert distance(ours, theirs) < 1e-4
