"""Leaving frees places of a cache and joining fills them: nobody else is moved, nothing of anybody leaks."""

from __future__ import annotations

import pytest
import torch

from model.places import PlacedStore
from tests.builders import tiny_model
from tests.model.cached_segments import (
    EXACT_MODEL,
    LONG_MODEL,
    START,
    advance,
    check_step,
    recomputed,
    segments,
    start,
)
from tests.model.closeness import distance


def test_nothing_of_a_broken_segment_reaches_who_takes_its_places() -> None:
    live = segments(4, (5, 2, 60), (16, 4, 60), (4, 3, 60))
    cache = start(EXACT_MODEL, live)
    check_step(cache, live)
    for store, broken in ((cache.targets, slice(2, 6)), (cache.sources, slice(1, 2))):
        store.keys[:, broken], store.values[:, broken] = float("nan"), float("nan")
    cache.keep(torch.tensor([True, False, True]))
    new = segments(5, (3, 4, 60))
    cache.join(start(EXACT_MODEL, new))
    assert cache.targets.place_of.tolist() == [0, 1, 6, 7, 8, 2, 3, 4, 5]
    assert cache.sources.place_of.tolist() == [0, 2, 1]
    for position in range(1, 4):
        check_step(cache, [live[0], live[2], *new], position)


def test_rows_that_change_places_are_not_copied_and_a_second_child_goes_where_a_row_has_none() -> None:
    live = segments(12, (5, 3, 6), (4, 1, 6), (3, 2, 6))
    cache = start(EXACT_MODEL, live)
    for position in range(2):
        check_step(cache, live, position)
    before = cache.targets.keys.clone()
    cache.reorder(torch.tensor([1, 2, 0, 3, 5, 4]))
    assert torch.equal(cache.targets.keys, before)
    assert cache.targets.place_of.tolist() == [1, 2, 0, 3, 5, 4]
    cache.reorder(torch.tensor([2, 2, 1, 3, 4, 5]))
    assert cache.targets.place_of.tolist() == [0, 1, 2, 3, 5, 4]
    moved = (cache.targets.keys != before).flatten(2).any(-1).any(0)
    assert moved.tolist() == [False, True, False, False, False, False]


def test_who_leaves_moves_nobody_while_the_reservation_covers_what_is_held() -> None:
    live = segments(14, (5, 1, 60), (7, 1, 60), (5, 1, 60), (3, 1, 60), (9, 1, 60))
    cache = start(LONG_MODEL, live)
    advance(cache, live, LONG_MODEL)
    keys, source_keys = cache.targets.keys, cache.sources.keys
    cache.keep(torch.tensor([True, False, True, True, True]))
    del live[1]
    logits = advance(cache, live, LONG_MODEL, 1)
    assert distance(logits, recomputed(LONG_MODEL, live)) < 1e-10
    assert cache.targets.keys is keys
    assert cache.sources.keys is source_keys
    assert cache.targets.place_of.tolist() == cache.sources.place_of.tolist() == [0, 2, 3, 4]


def test_with_too_many_holes_the_next_step_closes_them() -> None:
    live = segments(14, (5, 1, 60), (7, 1, 60), (5, 1, 60), (3, 1, 60), (9, 1, 60))
    cache = start(LONG_MODEL, live)
    advance(cache, live, LONG_MODEL)
    cache.keep(torch.tensor([False, False, True, True, True]))
    assert cache.targets.place_of.tolist() == [2, 3, 4]
    logits = advance(cache, live[2:], LONG_MODEL, 1)
    assert distance(logits, recomputed(LONG_MODEL, live[2:])) < 1e-10
    assert cache.targets.place_of.tolist() == cache.sources.place_of.tolist() == [0, 1, 2]
    assert (cache.targets.num_places, cache.sources.num_places) == (3, 3)


def test_holes_change_no_bit_of_those_who_stay() -> None:
    model = tiny_model(3).requires_grad_(False)
    shapes = [(5, 1, 60), (7, 3, 60), (5, 2, 60), (20, 4, 60)]
    among, alone = segments(16, *shapes), segments(16, *shapes)
    cache, expected = start(model, among), start(model, alone[2:])
    with torch.no_grad():
        for position in range(20):
            logits = advance(cache, among, model, position)
            for row, other in zip(
                (row for one in alone[2:] for row in one.rows),
                (row for one in among[-2:] for row in one.rows),
                strict=True,
            ):
                row[:] = other
            last = torch.tensor([row[-1] for one in alone[2:] for row in one.rows])
            assert torch.equal(logits[-6:], model.decode_step(last, expected))
            if position == 2:
                cache.keep(torch.tensor([False, True, True, True]))
                del among[0]
                assert cache.targets.num_holes == cache.sources.num_holes == 1


def test_who_joins_takes_the_places_of_those_who_left_and_moves_nobody() -> None:
    live = segments(19, (5, 2, 60), (7, 3, 60), (5, 1, 60), (3, 2, 60))
    cache = start(LONG_MODEL, live)
    advance(cache, live, LONG_MODEL)
    keys, source_keys = cache.targets.keys, cache.sources.keys
    cache.keep(torch.tensor([True, False, True, True]))
    new = segments(18, (4, 1, 60), (9, 2, 60))
    cache.join(start(LONG_MODEL, new[:1]))
    live = [live[0], *live[2:], new[0]]
    assert cache.targets.place_of.tolist() == [0, 1, 5, 6, 7, 2]
    assert cache.sources.place_of.tolist() == [0, 2, 3, 1]
    assert cache.targets.keys is keys
    assert cache.sources.keys is source_keys
    for position in range(1, 20):
        logits = advance(cache, live, LONG_MODEL, position)
        assert distance(logits, recomputed(LONG_MODEL, live)) < 1e-10


def test_where_one_after_the_other_joins_there_are_far_fewer_copies_than_joins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moves, move = [], PlacedStore.move
    monkeypatch.setattr(PlacedStore, "move", lambda *args: (moves.append(args), move(*args)))
    cache = start(LONG_MODEL, segments(26, (5, 1, 60)))
    LONG_MODEL.decode_step(torch.tensor([START]), cache)
    for seed in range(63):
        cache.join(start(LONG_MODEL, segments(seed, (5, 1, 60))))
    assert cache.num_rows == 64
    assert len(moves) < 2 * 20
