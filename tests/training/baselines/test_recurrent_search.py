"""The GRU baseline in searches: rows of a segment read one source, leave and join as the protocol says."""

import pytest
import torch
from torch import Tensor

from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.kv_cache import CacheOverflow
from tests.training.baselines.test_recurrent import SOURCE, network
from training.baselines.recurrent_search import RecurrentCache, RecurrentSearchNetwork


def searched() -> RecurrentSearchNetwork:
    return RecurrentSearchNetwork(network(max_target_length=12).eval())


def step(one: RecurrentSearchNetwork, cache: RecurrentCache, *tokens: int) -> Tensor:
    return one.step(torch.tensor(tokens), cache).dense


def greedy_by_hand(one: RecurrentSearchNetwork, source: list[int], limit: int) -> list[int]:
    """The likeliest token again and again, the whole target decoded anew; never padding or start."""
    ids, target = torch.tensor([source]), [one.config.decoder_start_id]
    while len(target) <= limit and target[-1] != one.config.eos_id:
        logits = one.network(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([target]))[0, -1]
        logits[[one.config.pad_id, one.config.decoder_start_id]] = float("-inf")
        target.append(int(logits.argmax()))
    return target[1:]


@torch.no_grad()
def test_greedy_search_is_the_likeliest_token_again_and_again() -> None:
    one = searched()
    found = decode_batch(one, SOURCE, DecodingOptions(strategy="greedy"))
    for hypotheses, source in zip(found, SOURCE, strict=True):
        expected = greedy_by_hand(one, source, one.config.max_target_length)
        assert [*hypotheses[0].token_ids] == [token for token in expected if token != one.config.eos_id]


@torch.no_grad()
def test_a_beam_in_a_batch_finds_what_it_finds_alone() -> None:
    one, options = searched(), DecodingOptions(strategy="beam", beam_size=3)
    together = decode_batch(one, SOURCE, options)
    alone = [decode_batch(one, [source], options)[0] for source in SOURCE]
    assert [found[0].token_ids for found in together] == [found[0].token_ids for found in alone]


@torch.no_grad()
def test_rows_that_are_reordered_go_on_from_their_parents() -> None:
    one = searched()
    cache, other = (one.open(SOURCE[:1], [2], [5]) for _ in range(2))
    step(one, cache, 5, 6)
    step(one, other, 6, 6)
    cache.reorder(torch.tensor([1, 1]))
    torch.testing.assert_close(step(one, cache, 7, 8), step(one, other, 7, 8))


@torch.no_grad()
def test_who_stays_answers_as_if_the_others_had_never_been_there() -> None:
    one = searched()
    cache, alone = one.open(SOURCE, [1, 2], [5, 5]), one.open(SOURCE[1:], [2], [5])
    step(one, cache, 5, 6, 7)
    step(one, alone, 6, 7)
    cache.keep(torch.tensor([False, True]))
    assert (cache.num_segments, cache.num_rows) == (1, 2)
    torch.testing.assert_close(step(one, cache, 8, 9), step(one, alone, 8, 9))


@torch.no_grad()
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_who_joins_answers_as_alone(order: tuple[int, int]) -> None:
    one = searched()
    caches = [one.open([SOURCE[i]], [1], [5]) for i in order]
    expected = [step(one, one.open([SOURCE[i]], [1], [5]), 7) for i in order]
    caches[0].join(caches[1])
    torch.testing.assert_close(step(one, caches[0], 7, 7), torch.cat(expected))


@torch.no_grad()
def test_a_capacity_that_is_used_up_is_said() -> None:
    one = searched()
    cache = one.open(SOURCE, [1, 1], [1, 5])
    step(one, cache, 5, 5)
    with pytest.raises(CacheOverflow, match="capacity is used up"):
        step(one, cache, 5, 5)


@torch.no_grad()
def test_faults_of_the_caller_are_refused() -> None:
    one = searched()
    cache = one.open(SOURCE, [1, 1], [5, 5])
    with pytest.raises(ValueError, match="1 tokens for 2 rows"):
        step(one, cache, 5)
    with pytest.raises(ValueError, match="a row of its own segment"):
        cache.reorder(torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="2 segments need as many"):
        one.open(SOURCE, [1], [5, 5])


@torch.no_grad()
def test_attention_over_the_source_is_that_of_the_steps() -> None:
    one, target = searched(), [5, 6, 3]
    weights = one.cross_attention(SOURCE[0], target)
    assert weights.shape == (1, 1, 3, len(SOURCE[0]))
    cache = one.open(SOURCE[:1], [1], [5])
    for position, token in enumerate([one.config.decoder_start_id, *target[:-1]]):
        watched = one.step(torch.tensor([token]), cache, watch=True).attention
        assert watched is not None
        torch.testing.assert_close(watched[0], weights[0, 0, position])
