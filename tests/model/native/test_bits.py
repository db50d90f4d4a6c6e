"""The same bits for a row whatever is beside it: any number of rows, threads, and other segments' lengths."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from model.native.binding import NUMBERS, Library
from model.native.network import NativeNetwork
from tests.builders import TINY_VOCABULARY, tiny_model
from tests.model.native.kernels import native, random_sources, random_tokens

STEPS = 18  # more than a block of positions


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def answers(network: NativeNetwork, sources: list[list[int]], seeds: list[int]) -> Tensor:
    """Log-probabilities [steps, R, V] of one row per source; each row's tokens follow from its own seed."""
    cache = network.open(sources, [1] * len(sources), [STEPS] * len(sources))
    columns = [random_tokens(seed, STEPS, TINY_VOCABULARY) for seed in seeds]
    steps = torch.stack(columns, dim=1)
    return torch.stack([network.step(token_ids, cache).log_probs().clone() for token_ids in steps])


@pytest.mark.parametrize("precision", NUMBERS)
def test_a_row_has_the_same_bits_among_any_number_of_rows(library: Library, precision: str) -> None:
    """A width of 72 and 70 tokens, so that neither vectors nor panels come out even."""
    model = tiny_model(d_model=72, num_decoder_heads=2, num_encoder_heads=3, encoder_ffn_dim=90)
    network = native(model, library, precision)
    lengths = [1 + 7 * i % 19 for i in range(70)]
    sources = random_sources(0, lengths, TINY_VOCABULARY)
    alone = [answers(network, [sources[i]], [i]) for i in (0, 3)]
    for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 17, 23, 32, 47, 64, 70):
        together = answers(
            network, [sources[3], *sources[1:count]] if count > 1 else [sources[3]], [3, *range(1, count)]
        )
        assert torch.equal(together[:, :1], alone[1])
        together = answers(network, [*sources[1:count], sources[0]], [*range(1, count), 0])
        assert torch.equal(together[:, -1:], alone[0])


@pytest.mark.parametrize("precision", NUMBERS)
def test_a_row_has_the_same_bits_where_its_sums_come_in_parts(library: Library, precision: str) -> None:
    """Many rows with many inputs are more than a cache holds: their sums may be added up in turns."""
    network = native(tiny_model(d_model=64, encoder_ffn_dim=3000, decoder_ffn_dim=3000), library, precision)
    sources = random_sources(3, [3, *[7] * 69], TINY_VOCABULARY)
    alone = answers(network, sources[:1], [0])
    together = answers(network, sources, list(range(70)))
    assert torch.equal(together[:, :1], alone)


@pytest.mark.parametrize("precision", NUMBERS)
def test_threads_change_no_bit(library: Library, precision: str) -> None:
    model = tiny_model(d_model=64, decoder_ffn_dim=200, target_vocab_size=24)
    sources = random_sources(1, [5, 9, 2, 17, 30, 4, 11], TINY_VOCABULARY)
    one, two, three = (native(model, library, precision, threads) for threads in (1, 2, 3))
    expected = answers(one, sources, list(range(7)))
    assert torch.equal(answers(two, sources, list(range(7))), expected)
    assert torch.equal(answers(three, sources, list(range(7))), expected)


@pytest.mark.parametrize("precision", NUMBERS)
def test_rows_that_begin_alike_are_what_one_row_is(library: Library, precision: str) -> None:
    """Equal rows of a new segment are computed once, among others that are not, and go on apart."""
    network = native(tiny_model(), library, precision)
    sources = random_sources(2, [6, 3, 8], TINY_VOCABULARY)
    begin, then = [5, 5, 5, 5, 7, 7, 9, 5, 5], [4, 8, 6, 10, 11, 11, 12, 4, 5]
    rows = [4, 2, 3]
    together, found = network.open(sources, rows, [STEPS] * 3), []
    for tokens in (begin, then, begin):
        found.append(network.step(torch.tensor(tokens), together).log_probs().clone())
    owners = [segment for segment, count in enumerate(rows) for _ in range(count)]
    for row, owner in enumerate(owners):
        alone = network.open([sources[owner]], [1], [STEPS])
        for step, tokens in enumerate((begin, then, begin)):
            expected = network.step(torch.tensor(tokens[row : row + 1]), alone).log_probs()
            assert torch.equal(found[step][row : row + 1], expected)
