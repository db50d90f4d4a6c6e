"""Without padding a step computes what it computes with it: the same logits, gradients and updates."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model.config import ModelConfig
from model.masks import pad_batch
from model.transformer import Transformer
from tests.training.runs import trainer
from tests.training.test_update import gradients, share_of
from training.baselines.reduced import ReducedTransformerNetwork
from training.loss import smoothed_cross_entropy
from training.packed_pass import PackedPass, packs
from training.real_positions import RealPositions
from training.trainer import Trainer

SIZES: dict[str, Any] = {
    "d_model": 24, "num_encoder_layers": 2, "num_decoder_layers": 2, "num_encoder_heads": 3,
    "num_decoder_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 40, "source_vocab_size": 19,
    "target_vocab_size": 19, "pad_id": 0, "eos_id": 2, "decoder_start_id": 1,
    "max_source_length": 12, "max_target_length": 12,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "pre-norm": {"norm": "pre", "final_norm": True},
    "post-norm": {"norm": "post"},
    "learned positions": {"positions": "learned"},
    "normed embeddings": {"embedding_norm": True},
    "own tables": {"share_embeddings": False, "tie_output": False, "output_bias": True},
}
IDS = st.lists(st.integers(4, 18), min_size=1, max_size=9)
PAIRS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=6)
LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=5)


@cache
def network_of(shape: str) -> Transformer:
    torch.manual_seed(3)
    config = ModelConfig(**{**SIZES, "dropout": 0.0, **SHAPES[shape]})
    return Transformer(config).double().train()


def padded_logits(network: nn.Module, pairs: list[tuple[list[int], list[int]]]) -> tuple[Tensor, ...]:
    """Logits at every position [B, T, V]; then what both ways are asked with."""
    source, source_mask = pad_batch([one for one, _ in pairs], 0)
    target, target_mask = pad_batch([one for _, one in pairs], 0)
    asked = source, source_mask, target, target_mask
    return network(*asked[:3]), *asked


@pytest.mark.parametrize("shape", SHAPES)
@given(pairs=PAIRS)
def test_logits_of_real_positions_are_those_of_the_padded_pass(
    shape: str, pairs: list[tuple[list[int], list[int]]]
) -> None:
    network = network_of(shape)
    wanted, *asked, real = padded_logits(network, pairs)
    torch.testing.assert_close(PackedPass(network)(*asked, real), wanted[real], rtol=1e-9, atol=1e-9)


def test_a_network_less_a_part_stays_less_that_part() -> None:
    sizes = ModelConfig(**{**SIZES, "dropout": 0.0})
    reduced = ReducedTransformerNetwork(sizes, ("positions", "attention-scale")).double().train()
    wanted, *asked, real = padded_logits(reduced, [([4, 5, 6], [7]), ([8], [9, 10])])
    torch.testing.assert_close(PackedPass(reduced)(*asked, real), wanted[real], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_padded_pass(shape: str) -> None:
    network = network_of(shape)
    pairs = [([4, 5, 6, 7], [8, 9]), ([10], [11, 12, 13]), ([14, 15], [16])]
    logits, *asked, real = padded_logits(network, pairs)
    chosen = torch.randn(int(real.sum()), 19, dtype=torch.float64)
    both = []
    for out in (logits[real], PackedPass(network)(*asked, real)):
        network.zero_grad()
        (out * chosen).sum().backward()
        both.append({name: one.grad.clone() for name, one in network.named_parameters()})  # type: ignore[union-attr]
    for name, gradient in both[0].items():
        torch.testing.assert_close(both[1][name], gradient, rtol=1e-9, atol=1e-9, msg=name)


def test_padding_is_not_looked_at() -> None:
    """Not even an id that no table has: it would raise."""
    network = network_of("pre-norm")
    _, source, source_mask, target, target_mask = padded_logits(network, [([4, 5], [6]), ([7], [8, 9])])
    wanted = PackedPass(network)(source, source_mask, target, target_mask)
    nonsense = source.masked_fill(~source_mask, 9999), target.masked_fill(~target_mask, -9999)
    got = PackedPass(network)(nonsense[0], source_mask, nonsense[1], target_mask)
    assert torch.equal(got, wanted)


@given(lengths=LENGTHS, num_heads=st.integers(1, 3))
def test_vectors_go_to_heads_and_back_unchanged(lengths: list[int], num_heads: int) -> None:
    _, mask = pad_batch([[1] * length for length in lengths], 0)
    real = RealPositions.of(mask)
    places = real.in_heads(num_heads)
    padded = torch.randn(*mask.shape, num_heads * 2)
    heads = places.spread(padded[mask])
    zeroed = padded.masked_fill(~mask[..., None], 0)
    assert torch.equal(heads, zeroed.unflatten(-1, (num_heads, 2)).transpose(1, 2))
    assert torch.equal(places.collect(heads), padded[mask])
    assert torch.equal(real.take(mask.cumsum(1) - 1), real.columns)


@given(lengths=LENGTHS)
def test_gradients_go_the_same_ways(lengths: list[int]) -> None:
    _, mask = pad_batch([[1] * length for length in lengths], 0)
    places = RealPositions.of(mask).in_heads(2)
    vectors = torch.randn(sum(lengths), 4, dtype=torch.float64, requires_grad=True)
    heads = torch.randn(*places.shape, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(places.spread, vectors)
    assert torch.autograd.gradcheck(places.collect, heads)


def padded_losses(run: Trainer) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of the first three pairs, with their padding."""
    ((_, batch),) = share_of(run, [[0, 1, 2]]).batches
    run.model.zero_grad()
    logits = run.model(batch.source_ids, batch.source_mask, batch.target_input)
    loss = smoothed_cross_entropy(logits, batch.target_output, run.data.network.pad_id, 0.1)
    loss.backward()
    return float(loss.detach()), gradients(run)


@pytest.mark.parametrize("r_drop", [0.0, 5.0])
def test_a_step_learns_what_it_learns_with_padding(tmp_path: Path, r_drop: float) -> None:
    """With R-Drop too: passes that drop nothing agree, and the loss is the cross-entropy."""
    optimizer = {"clip_norm": 1e9, "r_drop": r_drop}
    run = trainer(tmp_path, model={"dropout": 1e-6}, optimizer=optimizer)  # rounded to none, see `drop`
    loss, wanted = padded_losses(run)
    assert isinstance(run.learner._computed, PackedPass)
    update = run.learner.update(1, share_of(run, [[0, 1, 2]]))
    assert update.loss == pytest.approx(loss, rel=1e-6)
    for name, gradient in gradients(run).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def test_who_goes_without_padding() -> None:
    transformer = network_of("pre-norm")
    assert packs(transformer, torch.device("cpu"))
    assert not packs(transformer, torch.device("cuda"))
    assert not packs(nn.Linear(2, 2), torch.device("cpu"))
