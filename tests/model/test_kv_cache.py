"""Every step and every edge of the cache, one by one, against a recomputation from the start."""

from __future__ import annotations

import pytest
import torch

from model.kv_cache import CacheOverflow, DecoderCache
from model.masks import pad_batch
from tests.builders import tiny_model
from tests.model.cached_segments import (
    EXACT_MODEL,
    LONG_MODEL,
    START,
    Segment,
    advance,
    check_step,
    recomputed,
    segments,
    sentences,
    start,
)
from tests.model.closeness import distance


class TestSteps:
    @pytest.mark.parametrize("rows", [(1, 1, 1), (3, 3, 3), (1, 4, 2)], ids=str)
    def test_rows_of_ragged_sources_get_the_logits_of_a_recomputation(
        self, rows: tuple[int, int, int]
    ) -> None:
        live = segments(1, (7, rows[0], 8), (1, rows[1], 8), (4, rows[2], 8))
        cache = start(EXACT_MODEL, live)
        for position in range(8):
            check_step(cache, live, position)

    @pytest.mark.parametrize("seed", range(3))
    def test_greedy_tokens_in_float32_are_those_of_a_recomputation(self, seed: int) -> None:
        model = tiny_model(seed).requires_grad_(False)
        live = segments(seed, (9, 2, 30), (3, 1, 30))
        cache, cached = start(model, live), torch.full((3,), START)
        rows = [row for segment in live for row in segment.rows]
        for _ in range(30):
            for row, token_id in zip(rows, cached.tolist(), strict=True):
                row.append(token_id)
            cached = model.decode_step(cached, cache).argmax(-1)
            assert cached.tolist() == recomputed(model, live).argmax(-1).tolist()

    def test_the_source_is_projected_once_when_the_cache_starts(self) -> None:
        live = segments(2, (5, 2, 4))
        ids, mask = pad_batch([live[0].source_ids], 0)
        memory = EXACT_MODEL.encode(ids, mask)
        cache = EXACT_MODEL.start_cache(memory, mask, [2], 4)
        memory.fill_(float("nan"))
        check_step(cache, live)

    def test_beams_of_a_segment_share_one_copy_of_its_source(self) -> None:
        one, many = (start(EXACT_MODEL, segments(3, (6, rows, 4))) for rows in (1, 5))
        assert one.sources.keys.shape == many.sources.keys.shape == (2, 1, 4, 16, 4)

    def test_a_broken_segment_harms_no_other(self) -> None:
        live = segments(4, (5, 2, 6), (3, 1, 6), (4, 3, 6))
        cache = start(EXACT_MODEL, live)
        check_step(cache, live)
        cache.targets.keys[:, 2], cache.sources.values[:, 1] = float("nan"), float("nan")
        for position in (1, 2):
            logits, expected = advance(cache, live, seed=position), recomputed(EXACT_MODEL, live)
            assert logits[2].isnan().all()
            assert distance(logits[[0, 1, 3, 4, 5]], expected[[0, 1, 3, 4, 5]]) < 1e-10
        cache.keep(torch.tensor([True, False, True]))
        check_step(cache, [live[0], live[2]])

    @pytest.mark.parametrize("count", [1, 2, 4])
    def test_another_number_of_tokens_than_rows_is_refused(self, count: int) -> None:
        cache = start(EXACT_MODEL, segments(5, (5, 3, 6)))
        with pytest.raises(ValueError, match=f"{count} tokens for 3 rows"):
            EXACT_MODEL.decode_step(torch.full((count,), START), cache)
        assert cache.lengths.tolist() == [0, 0, 0]

    def test_bytes_are_those_of_the_four_tensors(self) -> None:
        cache = start(EXACT_MODEL, segments(6, (5, 3, 6), (2, 1, 4)))
        position = 2 * 2 * 16 * 8  # layers, keys and values, width, bytes of a number
        assert cache.num_bytes == position * 2 * 16  # nothing is filled yet
        EXACT_MODEL.decode_step(torch.full((4,), START), cache)
        assert cache.num_bytes == position * (4 * 6 + 2 * 16)


class TestCapacity:
    def test_the_whole_capacity_can_be_used_and_not_one_position_more(self) -> None:
        live = segments(7, (5, 2, 3))
        cache = start(EXACT_MODEL, live)
        for position in range(3):
            check_step(cache, live, position)
        with pytest.raises(CacheOverflow, match="segment 0 holds 3 positions, its capacity is 3"):
            EXACT_MODEL.decode_step(torch.tensor([5, 5]), cache)

    def test_an_overflow_changes_nothing_and_the_others_can_go_on(self) -> None:
        live = segments(8, (5, 2, 5), (4, 1, 2))
        cache = start(EXACT_MODEL, live)
        for position in range(2):
            check_step(cache, live, position)
        with pytest.raises(CacheOverflow, match="segment 1 holds 2"):
            EXACT_MODEL.decode_step(torch.tensor([5, 6, 7]), cache)
        assert cache.lengths.tolist() == [2, 2, 2]

        cache.keep(torch.tensor([True, False]))
        for position in range(3):
            check_step(cache, live[:1], position)

    def test_each_segment_has_its_own_capacity(self) -> None:
        cache = start(EXACT_MODEL, segments(9, (5, 1, 2), (5, 1, 7), (5, 1, 4)))
        assert cache.capacities == [2, 7, 4]

    def test_memory_grows_by_blocks_with_what_is_filled_up_to_the_longest_capacity(self) -> None:
        live = segments(30, (5, 2, 33), (3, 1, 33))
        cache, held = start(LONG_MODEL, live), []
        for position in range(33):
            logits = advance(cache, live, LONG_MODEL, position)
            held.append(cache.targets.keys.shape[3])
        assert distance(logits, recomputed(LONG_MODEL, live)) < 1e-10
        assert held == [16] * 16 + [32] * 16 + [33]

    def test_a_new_segment_joins_one_whose_memory_has_grown(self) -> None:
        live, new = segments(31, (5, 1, 40)), segments(32, (3, 2, 20))
        cache = start(LONG_MODEL, live)
        for position in range(18):
            advance(cache, live, LONG_MODEL, position)
        cache.join(start(LONG_MODEL, new))
        live += new
        cache.keep(torch.tensor([True, True]))  # the longest decides how much is left
        for position in range(18):
            logits = advance(cache, live, LONG_MODEL, position)
        assert distance(logits, recomputed(LONG_MODEL, live)) < 1e-10
        cache.keep(torch.tensor([False, True]))
        assert cache.targets.keys.shape[3] == 20  # a second block, cut at the capacity
        logits = advance(cache, new, LONG_MODEL)
        assert distance(logits, recomputed(LONG_MODEL, new)) < 1e-10

    def test_one_number_is_every_segments_capacity(self) -> None:
        ids, mask = pad_batch(sentences(10, [4, 2]), 0)
        assert EXACT_MODEL.start_cache(EXACT_MODEL.encode(ids, mask), mask, [1, 2], 6).capacities == [6, 6]

    @pytest.mark.parametrize(
        ("rows", "capacity"),
        [
            ([1], 4),
            ([1, 1, 1], 4),
            ([1, 1], [4]),
            ([1, 1], [4, 4, 4]),
            ([1, 0], 4),
            ([1, 1], [4, 0]),
            ([1, 1], 0),
        ],
        ids=str,
    )
    def test_counts_that_do_not_fit_the_segments_are_refused(
        self, rows: list[int], capacity: list[int] | int
    ) -> None:
        ids, mask = pad_batch(sentences(11, [4, 2]), 0)
        with pytest.raises(ValueError, match="2 segments need a row count and a capacity of at least 1 each"):
            EXACT_MODEL.start_cache(EXACT_MODEL.encode(ids, mask), mask, rows, capacity)


class TestReorder:
    def started(self) -> tuple[DecoderCache, list[Segment]]:
        live = segments(12, (5, 3, 6), (4, 1, 6), (3, 2, 6))
        cache = start(EXACT_MODEL, live)
        for position in range(2):
            check_step(cache, live, position)
        return cache, live

    def test_a_row_continues_what_its_parent_held(self) -> None:
        cache, live = self.started()
        cache.reorder(torch.tensor([2, 0, 0, 3, 5, 4]))
        for segment, parents in zip(live, [(2, 0, 0), (0,), (1, 0)], strict=True):
            segment.rows = [list(segment.rows[parent]) for parent in parents]
        check_step(cache, live, 2)

    def test_parents_that_are_the_rows_themselves_change_nothing(self) -> None:
        cache, _ = self.started()
        before = cache.targets.keys.clone(), cache.targets.values.clone()
        cache.reorder(torch.arange(6))
        assert torch.equal(cache.targets.keys, before[0])
        assert torch.equal(cache.targets.values, before[1])
        assert cache.targets.place_of.tolist() == list(range(6))

    def test_before_the_first_step_there_is_nothing_to_reorder(self) -> None:
        live = segments(13, (5, 3, 6))
        cache = start(EXACT_MODEL, live)
        cache.reorder(torch.tensor([1, 1, 0]))
        check_step(cache, live)

    @pytest.mark.parametrize(
        "parents", [[3, 1, 2, 3, 4, 5], [0, 1, 2, 2, 4, 5], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 5]], ids=str
    )
    def test_parents_in_another_segment_or_of_another_number_are_refused(self, parents: list[int]) -> None:
        cache, live = self.started()
        with pytest.raises(ValueError, match="parents must be rows of the same segment"):
            cache.reorder(torch.tensor(parents))
        check_step(cache, live, 2)


class TestKeep:
    def started(self) -> tuple[DecoderCache, list[Segment]]:
        live = segments(14, (20, 3, 8), (2, 1, 4), (5, 2, 6))
        cache = start(EXACT_MODEL, live)
        check_step(cache, live)
        return cache, live

    @pytest.mark.parametrize("kept", [[0], [1], [2], [0, 2], [1, 2], [0, 1, 2]], ids=str)
    def test_what_is_kept_goes_on_as_if_alone(self, kept: list[int]) -> None:
        cache, live = self.started()
        cache.keep(torch.tensor([index in kept for index in range(3)]))
        check_step(cache, [live[index] for index in kept], 1)

    def test_memory_shrinks_to_the_longest_that_is_left_where_more_would_be_held_than_is_reserved(
        self,
    ) -> None:
        cache, _ = self.started()
        cache.keep(torch.tensor([False, True, True]))
        assert cache.sources.keys.shape == (2, 2, 4, 16, 4)  # a block
        assert cache.targets.keys.shape == (2, 3, 4, 6, 4)

    def test_keeping_nothing_leaves_an_empty_cache_that_can_be_joined(self) -> None:
        cache, _ = self.started()
        cache.keep(torch.zeros(3, dtype=torch.bool))
        assert (cache.num_rows, cache.num_segments, cache.num_bytes) == (0, 0, 0)

        live = segments(15, (4, 2, 5))
        cache.join(start(EXACT_MODEL, live))
        check_step(cache, live)

    def test_an_empty_cache_takes_no_step(self) -> None:
        cache, _ = self.started()
        cache.keep(torch.zeros(3, dtype=torch.bool))
        cache.reorder(torch.zeros(0, dtype=torch.long))
        with pytest.raises(ValueError, match="0 tokens for 0 rows"):
            EXACT_MODEL.decode_step(torch.zeros(0, dtype=torch.long), cache)

    @pytest.mark.parametrize("choice", [[True, False], [True] * 4, [0, 1, 1], [1]], ids=str)
    def test_anything_but_one_boolean_for_each_segment_is_refused(self, choice: list[int]) -> None:
        cache, live = self.started()
        with pytest.raises(ValueError, match="keep needs one boolean for each of 3 segments"):
            cache.keep(torch.tensor(choice))
        check_step(cache, live, 1)


class TestJoin:
    def test_segments_join_at_different_times_with_other_lengths_and_capacities(self) -> None:
        live = segments(16, (3, 2, 6))
        cache = start(EXACT_MODEL, live)
        check_step(cache, live)
        for time, shape in enumerate([(8, 1, 3), (1, 3, 12), (5, 2, 4)]):
            new = segments(17 + time, shape)
            cache.join(start(EXACT_MODEL, new))
            live += new
            check_step(cache, live, time)
            if time == 1:
                live.pop(1)
                cache.keep(torch.tensor([True, False, True]))
        assert cache.lengths.tolist() == [4, 4, 2, 2, 2, 1, 1]
        assert cache.capacities == [6, 12, 4]

    def test_joined_rows_follow_those_that_were_there(self) -> None:
        cache = start(EXACT_MODEL, segments(20, (3, 2, 6), (4, 1, 6)))
        cache.join(start(EXACT_MODEL, segments(21, (5, 2, 6))))
        assert cache.segment_of_row.tolist() == [0, 0, 1, 2, 2]

    def test_an_empty_cache_joins_without_a_trace(self) -> None:
        live = segments(22, (3, 2, 6))
        cache, empty = start(EXACT_MODEL, live), start(EXACT_MODEL, segments(23, (4, 1, 6)))
        check_step(cache, live)
        empty.keep(torch.tensor([False]))
        cache.join(empty)
        assert (cache.num_rows, cache.num_segments) == (2, 1)
        check_step(cache, live, 1)

    def test_two_caches_that_have_both_begun_go_on_together(self) -> None:
        first, second = segments(24, (6, 1, 8)), segments(25, (2, 3, 5))
        caches = start(EXACT_MODEL, first), start(EXACT_MODEL, second)
        for position in range(3):
            check_step(caches[0], first, position)
        check_step(caches[1], second)
        caches[0].join(caches[1])
        check_step(caches[0], [*first, *second], 4)
