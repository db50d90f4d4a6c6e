"""The device's side: groups of similar length, limits of the model, what a segment really occupies."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.alignment import cross_attention
from model.decoding import DecodingOptions, Hypothesis
from model.network import EagerNetwork
from service.engine.errors import SegmentTooLarge
from service.engine.runner import MAX_GROUP_PADDING, Runner, encoder_padding, length_groups
from service.engine.running_batch import RunningBatch
from tests.builders import TINY_VOCABULARY, tiny_model
from tests.service.engine.segments import GREEDY, request, segment


@given(st.lists(st.integers(1, 300), max_size=40))
def test_groups_hold_every_segment_once_and_no_more_padding_than_a_pass_costs(lengths: list[int]) -> None:
    segments = [segment(key, num_tokens=length) for key, length in enumerate(lengths)]
    groups = length_groups(segments)
    assert sorted(one.key for group in groups for one in group) == list(range(len(lengths)))
    assert all(encoder_padding(group) <= MAX_GROUP_PADDING for group in groups)
    for group, following in pairwise(groups):
        assert encoder_padding([*group, following[0]]) > MAX_GROUP_PADDING


def test_a_long_source_does_not_pad_many_short_ones() -> None:
    groups = length_groups([segment(0, num_tokens=5), segment(1, num_tokens=200), segment(2, num_tokens=7)])
    assert [[one.key for one in group] for group in groups] == [[1], [2, 0]]


def test_the_target_limit_is_the_smallest_of_model_and_options() -> None:
    runner = Runner(EagerNetwork(tiny_model()))
    assert runner.max_length(request()) == 64
    assert runner.max_length(request((5, 6, 3), DecodingOptions(max_length_ratio=2.0))) == 6


def test_a_source_longer_than_the_model_reads_is_refused() -> None:
    runner = Runner(EagerNetwork(tiny_model()))
    assert runner.max_length(request((5,) * 64)) == 64
    with pytest.raises(SegmentTooLarge) as caught:
        runner.max_length(request((5,) * 65))
    assert (caught.value.field, caught.value.bound, caught.value.value) == ("source_tokens", 64, 65)


@pytest.mark.parametrize("token_id", [-1, TINY_VOCABULARY])
def test_ids_that_the_model_does_not_know_are_refused(token_id: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.23"):
        Runner(EagerNetwork(tiny_model())).max_length(request((5, token_id, 3)))


@torch.inference_mode()
def test_the_reservation_covers_what_is_held_and_no_more_at_the_start() -> None:
    runner = Runner(EagerNetwork(tiny_model()))
    batch = RunningBatch(max_rows=64, bytes_limit=1 << 30, bytes_per_position=runner.bytes_per_position)
    for key, (num_tokens, rows, max_length) in enumerate(((9, 4, 12), (3, 1, 40), (20, 2, 7))):
        joining = segment(key, num_tokens=num_tokens, rows=rows, max_length=max_length)
        batch.join(joining)
        runner.join([joining])
        assert 0 < runner.bytes_held <= batch.bytes_used
    batch.leave(1)
    runner.drop([1])
    assert 0 < runner.bytes_held <= batch.bytes_used


@torch.inference_mode()
def test_a_step_that_raises_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    runner = Runner(EagerNetwork(model))
    runner.join([segment(0), segment(1)])

    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError("device lost")

    monkeypatch.setattr(model, "decode_step", fail)
    with pytest.raises(RuntimeError, match="device lost"):
        runner.step()
    assert list(runner.keys) == []
    assert runner.num_rows == 0
    monkeypatch.undo()
    runner.join([segment(2)])
    assert list(runner.keys) == [2]


def test_rows_of_a_request_are_those_of_its_strategy() -> None:
    assert segment(0, rows=3).rows == 3
    assert request(options=GREEDY).options.rows == 1


@torch.inference_mode()
def test_the_attention_of_an_answer_counts_the_end_mark_where_there_is_one() -> None:
    runner, model = Runner(EagerNetwork(tiny_model())), tiny_model()
    one = segment(0)
    for reason, ended in (("stop", (3,)), ("length", ())):
        attention = runner.attention(one, Hypothesis((5, 6), (-1.0, -1.0), -1.0, reason))  # type: ignore[arg-type]
        assert torch.equal(attention, cross_attention(model, one.request.source_ids, (5, 6, *ended)))
