"""Which batches a step takes: all of them once an epoch, in one order, however many processes share it."""

from itertools import islice
from typing import Any

import pytest
import torch

from tests.training.runs import config, prepared
from training.batching import Batch
from training.distributed import World
from training.stream import BatchStream, Place, Share, Upcoming

START, ALONE = Place(0, 0), World()


def shares(count: int, start: Place = START, world: World = ALONE, **batch: Any) -> list[Share]:
    settings = config(batch={"max_tokens": 100, **batch})
    return list(islice(BatchStream(settings, prepared(settings), world).shares(start), count))


def places(taken: list[Share]) -> list[Place]:
    return [place for share in taken for place, _ in share.batches]


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.source_ids, other.source_ids) and torch.equal(
        one.target_output, other.target_output
    )


def test_steps_follow_each_other_over_the_end_of_an_epoch() -> None:
    one_by_one = places(shares(60))
    size = max(place.number for place in one_by_one if place.epoch == 0) + 1
    assert 4 <= size <= 20
    assert one_by_one == [Place(i // size, i % size) for i in range(60)]
    assert places(shares(20, batches_per_update=3)) == one_by_one


@pytest.mark.parametrize("done", [1, 5, 19])
def test_the_place_after_a_step_is_where_the_next_one_begins(done: int) -> None:
    all_steps = shares(30, batches_per_update=3)
    again = shares(30 - done, start=all_steps[done - 1].then, batches_per_update=3)
    assert places(again) == places(all_steps[done:])
    first, second = all_steps[done].batches[0][1], again[0].batches[0][1]
    assert same(first, second)


def test_an_epoch_that_is_done_is_counted_at_once() -> None:
    ends = [share.then for share in shares(60)]
    starts = [place for share in shares(61)[1:] for place, _ in share.batches]
    assert ends == starts
    assert Place(1, 0) in ends


def test_processes_share_a_step_so_that_together_they_do_all_of_it() -> None:
    whole = shares(10, batches_per_update=4)
    parts = [shares(10, world=World(rank, 2, rank), batches_per_update=4) for rank in range(2)]
    for step, first, second in zip(whole, *parts, strict=True):
        assert len(first.batches) == len(second.batches) == 2
        mixed = [first.batches[0], second.batches[0], first.batches[1], second.batches[1]]
        assert [place for place, _ in mixed] == [place for place, _ in step.batches]
        assert all(same(one, other) for (_, one), (_, other) in zip(mixed, step.batches, strict=True))
        assert first.then == second.then == step.then
        assert first.num_target_tokens + second.num_target_tokens == step.num_target_tokens


def test_every_batch_of_every_run_has_its_own_seed() -> None:
    seeds = [Place(epoch, number).seed(run) for epoch in range(5) for number in range(5) for run in range(5)]
    assert len(set(seeds)) == 125
    assert Place(3, 4).seed(5) == Place(3, 4).seed(5)


def test_what_is_made_beforehand_is_taken_once_and_in_its_turn() -> None:
    wanted = shares(5)
    coming = Upcoming(iter(wanted))
    taken = [coming.take()]
    for _ in range(3):
        coming.make()
        coming.make()
        taken.append(coming.take())
    taken.append(coming.take())
    assert all(one is other for one, other in zip(taken, wanted, strict=True))
