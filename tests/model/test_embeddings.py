"""Positions by the paper's formula and its relatives, and how tokens and positions are added."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from model.config import SinusoidLayout
from model.embeddings import Embedding, PositionTable, sinusoidal_positions
from tests.builders import tiny_config
from tests.model.closeness import distance
from tests.model.equations import positional_encoding

LAYOUTS: list[SinusoidLayout] = ["interleaved", "halves", "fairseq"]
FLOAT32 = 1.2e-7  # one unit in the last place of a number of size 1


def frequency(i: int, width: int, layout: SinusoidLayout) -> float:
    """The i-th angle per position. fairseq spreads the wavelengths over one step fewer than the paper."""
    if layout == "fairseq":
        return math.exp(-i * math.log(10_000) / (width // 2 - 1))
    return float(10_000 ** (-2 * i / width))


def columns(i: int, width: int, layout: SinusoidLayout) -> tuple[int, int]:
    """Where the sine and the cosine of the i-th frequency stand."""
    return (2 * i, 2 * i + 1) if layout == "interleaved" else (i, width // 2 + i)


@pytest.mark.parametrize("width", [2, 32, 512])
def test_positions_are_the_papers_formula(width: int) -> None:
    expected = positional_encoding(600, width)

    assert distance(sinusoidal_positions(0, 600, width), expected) < FLOAT32


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_holds_its_sines_and_cosines_in_its_columns(layout: SinusoidLayout) -> None:
    width, table = 10, sinusoidal_positions(0, 300, 10, layout).double()
    for i in range(width // 2):
        sine, cosine = columns(i, width, layout)
        angles = torch.arange(300, dtype=torch.float64) * frequency(i, width, layout)
        assert distance(table[:, sine], angles.sin()) < FLOAT32
        assert distance(table[:, cosine], angles.cos()) < FLOAT32


def test_late_positions_are_as_exact_as_early_ones() -> None:
    late = sinusoidal_positions(99_990, 10, 64).double()
    expected = positional_encoding(100_000, 2)[99_990:]

    assert distance(late[:, :2], expected) < FLOAT32


def shift(k: int, width: int, layout: SinusoidLayout) -> Tensor:
    """M_k: one rotation by k times the frequency for each pair of a sine and a cosine. No position in it."""
    matrix = torch.zeros(width, width, dtype=torch.float64)
    for i in range(width // 2):
        angle = k * frequency(i, width, layout)
        sine, cosine = columns(i, width, layout)
        matrix[sine, sine], matrix[sine, cosine] = math.cos(angle), math.sin(angle)
        matrix[cosine, sine], matrix[cosine, cosine] = -math.sin(angle), math.cos(angle)
    return matrix


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("k", [1, 2, 7, 100])
def test_a_position_k_later_is_one_linear_function_of_the_position(k: int, layout: SinusoidLayout) -> None:
    table, matrix = sinusoidal_positions(0, 300, 64, layout).double(), shift(k, 64, layout)

    assert distance(table[k:], table[: 300 - k] @ matrix.T) < 4 * FLOAT32
    assert distance(matrix @ matrix.T, torch.eye(64)) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
def test_positions_may_start_anywhere(layout: SinusoidLayout) -> None:
    assert torch.equal(sinusoidal_positions(5, 10, 16, layout), sinusoidal_positions(0, 15, 16, layout)[5:])


def test_fairseq_models_count_their_first_token_from_the_offset() -> None:
    table = PositionTable(tiny_config(sinusoid_layout="fairseq", position_offset=2), 10)

    assert torch.equal(table(torch.arange(10)), sinusoidal_positions(2, 10, 32, "fairseq"))


def test_sinusoids_are_not_weights_and_not_stored() -> None:
    table = PositionTable(tiny_config(), 10)

    assert not list(table.parameters())
    assert not table.state_dict()


@pytest.mark.parametrize("offset", [0, 2])
def test_learned_positions_are_a_trained_row_for_each_position(offset: int) -> None:
    table = PositionTable(tiny_config(positions="learned", position_offset=offset), 10)
    weight = table.get_parameter("table")

    assert weight.shape == (10 + offset, 32)
    assert torch.equal(table(torch.tensor([0, 3, 9])), weight[[offset, offset + 3, offset + 9]])
    table(torch.tensor([3])).sum().backward()
    assert weight.grad is not None
    assert weight.grad.any(dim=1).nonzero().flatten().tolist() == [offset + 3]


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_the_last_position_exists_and_the_next_one_does_not(positions: str) -> None:
    table = PositionTable(tiny_config(positions=positions, position_offset=2), 10)

    assert table(torch.tensor([9])).shape == (1, 32)
    with pytest.raises(IndexError):
        table(torch.tensor([10]))


def embedding(**overrides: object) -> Embedding:
    config = tiny_config(**overrides)
    torch.manual_seed(0)
    return Embedding(config, nn.Embedding(config.source_vocab_size, config.d_model), 16).eval()


@pytest.mark.parametrize(("scaled", "factor"), [(True, math.sqrt(32)), (False, 1.0)])
def test_token_vectors_are_scaled_before_the_position_is_added(scaled: bool, factor: float) -> None:
    block, token_ids = embedding(scale_embeddings=scaled), torch.tensor([[4, 5, 4], [7, 4, 9]])

    expected = block.tokens.weight[token_ids] * factor + sinusoidal_positions(0, 3, 32)
    assert distance(block(token_ids, torch.arange(3)), expected) < 1e-5


def test_each_row_may_stand_at_its_own_position() -> None:
    block, token_ids, positions = embedding(), torch.tensor([[4], [5], [6]]), torch.tensor([[0], [9], [3]])

    whole = block(token_ids.expand(3, 10), torch.arange(10))
    assert torch.equal(block(token_ids, positions)[:, 0], whole[torch.arange(3), positions[:, 0]])


def test_the_embedding_norm_comes_after_the_position() -> None:
    block, plain = embedding(embedding_norm=True), embedding()
    vectors = plain(torch.tensor([[4, 5]]), torch.arange(2))

    expected = nn.functional.layer_norm(vectors, (32,))
    assert distance(block(torch.tensor([[4, 5]]), torch.arange(2)), expected) < 1e-5


def test_dropout_acts_on_the_sum_and_only_in_training() -> None:
    block, token_ids = embedding(dropout=0.5), torch.tensor([[4, 5, 6]])
    whole = block(token_ids, torch.arange(3))
    dropped = block.train()(token_ids, torch.arange(3))

    kept = dropped != 0
    assert 0 < kept.sum() < kept.numel()
    assert distance(dropped[kept], 2 * whole[kept]) < 1e-5
