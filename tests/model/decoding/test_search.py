"""The search over a network: equal to the slow reference, whatever else is in the batch."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import reference
from model.decoding.options import DecodingOptions, OptionError
from model.decoding.search import NewSegment, Search, decode_batch, target_limit
from model.decoding.strategy import Hypothesis
from model.network import EagerNetwork
from model.transformer import Transformer
from tests.builders import TINY_VOCABULARY, tiny_config, tiny_model

# In float64 batch shapes cannot tip a near-tie, so equality of tokens is exact for any model and source.
MODEL = tiny_model(1).double()
GREEDY = DecodingOptions(strategy="greedy")
LIMIT = 16


def sources(count: int, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[*rng.choices(range(4, TINY_VOCABULARY), k=rng.randint(1, 12)), 3] for _ in range(count)]


def assert_same(found: tuple[Hypothesis, ...], expected: list[Hypothesis]) -> None:
    assert [h.token_ids for h in found] == [h.token_ids for h in expected]
    assert [h.finish_reason for h in found] == [h.finish_reason for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected])
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.token_log_probs == pytest.approx(theirs.token_log_probs)


def test_greedy_batch_equals_the_reference_sentence_by_sentence() -> None:
    options = DecodingOptions(strategy="greedy", max_length=LIMIT)
    batch = decode_batch(MODEL, sources(40), options)
    expected = [reference.greedy(MODEL, source, LIMIT) for source in sources(40)]
    assert [list(answer[0].token_ids) for answer in batch] == expected
    assert (
        len({tuple(target) for target in expected}) > 20
    )  # answers differ, so the comparison says something
    assert {answer[0].finish_reason for answer in batch} == {"stop", "length"}


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(max_length=LIMIT),
        DecodingOptions(beam_size=2, num_hypotheses=2, length_penalty=0.0, max_length=LIMIT),
        DecodingOptions(beam_size=5, num_hypotheses=5, length_penalty=0.6, patience=2.0, max_length=LIMIT),
        DecodingOptions(beam_size=3, patience=0.3, min_length=4, max_length=LIMIT),
        DecodingOptions(beam_size=1, min_length=2, max_length=LIMIT),
    ],
)
def test_beam_batch_equals_the_reference_sentence_by_sentence(options: DecodingOptions) -> None:
    some = sources(12, seed=options.beam_size)
    batch = decode_batch(MODEL, some, options)
    for source, answer in zip(some, batch, strict=True):
        assert_same(answer, reference.beam(MODEL, source, options, LIMIT))


def test_float32_answers_are_the_reference_too() -> None:
    model, some = tiny_model(1), sources(16, seed=7)
    options = DecodingOptions(beam_size=3, max_length=LIMIT)
    greedy = DecodingOptions(strategy="greedy", max_length=LIMIT)
    for source, answer in zip(some, decode_batch(model, some, options), strict=True):
        assert answer[0].token_ids == reference.beam(model, source, options, LIMIT)[0].token_ids
    for source, answer in zip(some, decode_batch(model, some, greedy), strict=True):
        assert list(answer[0].token_ids) == reference.greedy(model, source, LIMIT)


def test_min_length_of_greedy_is_that_of_the_reference() -> None:
    options = DecodingOptions(strategy="greedy", min_length=6, max_length=LIMIT)
    for source, answer in zip(sources(12), decode_batch(MODEL, sources(12), options), strict=True):
        assert list(answer[0].token_ids) == reference.greedy(MODEL, source, LIMIT, min_length=6)


def test_the_batch_size_changes_nothing() -> None:
    options = DecodingOptions(beam_size=3, max_length=LIMIT)
    whole = decode_batch(MODEL, sources(20), options)
    assert [h.token_ids for (h,) in decode_batch(MODEL, sources(20), options, max_rows=1)] == [
        h.token_ids for (h,) in whole
    ]
    assert [h.token_ids for (h,) in decode_batch(MODEL, sources(20), options, max_rows=7)] == [
        h.token_ids for (h,) in whole
    ]


def test_tokens_that_tell_a_direction_give_no_more_room() -> None:
    """As a server counts: the limit by `max_length_ratio` is that of the text."""
    options = DecodingOptions(strategy="greedy", max_length_ratio=0.5)
    told = [[5, *source] for source in sources(12)]
    counted, answers = (decode_batch(MODEL, told, options, num_tags=tags) for tags in (0, 1))
    for source, (longer,), (answer,) in zip(told, counted, answers, strict=True):
        limit = target_limit(options, MODEL.config, len(source) - 1)
        assert answer.token_ids == longer.token_ids[:limit]
    assert any(len(a.token_ids) < len(b.token_ids) for (a,), (b,) in zip(answers, counted, strict=True))


def test_a_model_that_starts_with_its_end_token_decodes() -> None:
    model = tiny_model(1, decoder_start_id=3, eos_id=3).double()
    options = DecodingOptions(beam_size=3, max_length=LIMIT)
    for source, answer in zip(sources(6), decode_batch(model, sources(6), options), strict=True):
        assert_same(answer, reference.beam(model, source, options, LIMIT))


def test_a_training_model_is_decoded_without_dropout_and_left_training() -> None:
    model = tiny_model(1, dropout=0.5).double()
    expected = decode_batch(model, sources(5), DecodingOptions(max_length=LIMIT))
    model.train()
    assert decode_batch(model, sources(5), DecodingOptions(max_length=LIMIT)) == expected
    assert model.training


def test_no_sources_have_no_answers() -> None:
    assert decode_batch(MODEL, [], DecodingOptions()) == []


@pytest.mark.parametrize("source", [[], [5] * 65])
def test_a_source_of_impossible_length_is_refused(source: list[int]) -> None:
    with pytest.raises(ValueError, match=r"source 1 must have 1\.\.64 tokens"):
        decode_batch(MODEL, [[5, 3], source], GREEDY)


def test_a_model_of_nans_is_an_error_not_an_answer() -> None:
    model = tiny_model(1)
    with torch.no_grad():
        model.output.weight.fill_(float("nan"))
    for options in (GREEDY, DecodingOptions()):
        with pytest.raises(ValueError, match="not numbers"):
            decode_batch(model, sources(3), options)


@pytest.mark.parametrize(
    ("options", "num_source", "limit"),
    [
        (DecodingOptions(), 10, 64),
        (DecodingOptions(max_length=7), 10, 7),
        (DecodingOptions(max_length=70), 10, 64),
        (DecodingOptions(max_length_ratio=1.5), 10, 15),
        (DecodingOptions(max_length_ratio=1.5), 3, 5),
        (DecodingOptions(max_length_ratio=0.1), 1, 1),
        (DecodingOptions(max_length_ratio=1.1), 50, 55),  # the product of these floats is a little more
        (DecodingOptions(max_length_ratio=2), 10, 20),
        (DecodingOptions(max_length_ratio=2.0, max_length=9), 10, 9),
        (DecodingOptions(max_length_ratio=0.5, max_length=9), 10, 5),
    ],
)
def test_the_smallest_length_limit_wins(options: DecodingOptions, num_source: int, limit: int) -> None:
    assert target_limit(options, tiny_config(), num_source) == limit


def test_a_length_limit_wins_over_min_length() -> None:
    options = DecodingOptions(min_length=9, max_length_ratio=1.0)
    ((best,),) = decode_batch(MODEL, [[5, 6, 3]], options)
    assert (len(best.token_ids), best.finish_reason) == (3, "length")


KINDS = st.sampled_from(
    [
        GREEDY,
        DecodingOptions(beam_size=1),
        DecodingOptions(beam_size=2, num_hypotheses=2, length_penalty=0.3),
        DecodingOptions(beam_size=4, patience=2.0),
        DecodingOptions(beam_size=3, min_length=3),
    ]
)


@torch.inference_mode()
def run_mixed(
    model: Transformer, segments: list[NewSegment], moves: random.Random
) -> dict[int, list[object]]:
    """Segments join in random groups, some are dropped, the rest ends; answers and streams by key."""
    search, waiting, answers = Search(EagerNetwork(model)), list(segments), dict[int, list[object]]()
    streams: dict[int, tuple[int, ...]] = {}
    while waiting or search.keys:
        size = moves.randint(0 if search.keys else 1, 3)
        if group := waiting[:size]:
            search.join(group)
            waiting = waiting[size:]
        if search.keys and moves.random() < 0.15:
            search.drop([moves.choice(list(search.keys)), -1])
        if search.keys:
            selection = search.step()
            for key, tokens in selection.stable.items():
                streams[key] = streams.get(key, ()) + tokens
            for key, hypotheses in selection.finished.items():
                answers[key] = [hypotheses, streams.get(key, ())]
    return answers


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.lists(KINDS, min_size=2, max_size=7))
def test_mixed_batches_with_random_joins_and_drops_answer_as_each_segment_alone(
    seed: int, kinds: list[DecodingOptions]
) -> None:
    some = sources(len(kinds), seed)
    segments = [
        NewSegment(key, source, options, LIMIT, stream=True)
        for key, (source, options) in enumerate(zip(some, kinds, strict=True))
    ]
    together = run_mixed(MODEL, segments, random.Random(seed))
    for key, (found, streamed) in together.items():
        options = DecodingOptions.with_defaults({"max_length": LIMIT}, kinds[key])
        (alone,) = decode_batch(MODEL, [some[key]], options)
        assert isinstance(found, tuple)
        assert_same(found, list(alone))
        assert streamed == found[0].token_ids


ANY = st.sampled_from(
    [
        DecodingOptions(beam_size=3, num_hypotheses=3, coverage_penalty=0.7),
        DecodingOptions(beam_size=4, coverage_penalty=2.0, diversity_groups=2, diversity_penalty=0.5),
        DecodingOptions(beam_size=4, num_hypotheses=4, diversity_groups=4, diversity_penalty=3.0),
        DecodingOptions(beam_size=3, required_ids=((7, 8), (9,)), coverage_penalty=0.1),
        DecodingOptions(beam_size=2, prefix_ids=(7, 8, 9), repetition_penalty=1.5),
        DecodingOptions(beam_size=2, banned_ids=((5,), (6, 7), (12,)), no_repeat_ngram_size=2),
        DecodingOptions(strategy="greedy", no_repeat_ngram_size=1, min_length=5),
        DecodingOptions(strategy="greedy", prefix_ids=(11,), repetition_penalty=1.3),
        DecodingOptions(strategy="sample", seed=5, temperature=1.4),
        DecodingOptions(strategy="sample", seed=6, top_k=4, top_p=0.9, repetition_penalty=2.0),
        DecodingOptions(strategy="sample", seed=7, min_p=0.1, epsilon=0.02, banned_ids=((5,), (8,))),
        DecodingOptions(beam_size=4),
    ]
)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(0, 5), st.lists(ANY, min_size=2, max_size=6, unique=True))
def test_every_option_in_one_batch_with_random_joins_and_drops_equals_the_reference(
    seed: int, model_seed: int, kinds: list[DecodingOptions]
) -> None:
    model, some = tiny_model(model_seed, num_decoder_layers=2).double(), sources(len(kinds), seed)
    segments = [
        NewSegment(key, source, options, LIMIT, stream=True)
        for key, (source, options) in enumerate(zip(some, kinds, strict=True))
    ]
    for key, (found, streamed) in run_mixed(model, segments, random.Random(seed)).items():
        assert isinstance(found, tuple)
        assert_same(found, reference.translate(model, some[key], kinds[key], LIMIT))
        assert streamed == found[0].token_ids


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_coverage_reads_the_layer_that_the_model_names(layer: int) -> None:
    model = tiny_model(3, num_decoder_layers=2, alignment_layer=layer).double()
    options = DecodingOptions(beam_size=3, num_hypotheses=3, coverage_penalty=1.0, max_length=LIMIT)
    for source, answer in zip(sources(6), decode_batch(model, sources(6), options), strict=True):
        assert_same(answer, reference.translate(model, source, options, LIMIT))
        assert all(h.score < 0 for h in answer)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (DecodingOptions(prefix_ids=(5, TINY_VOCABULARY)), "prefix_ids"),
        (DecodingOptions(banned_ids=((3,),)), "banned_ids"),
        (DecodingOptions(prefix_ids=(5,) * 7, max_length_ratio=2.0), "prefix_ids"),
        (DecodingOptions(required_ids=((5,) * 4, (6,) * 3), max_length_ratio=2.0), "required_ids"),
    ],
)
def test_what_the_model_cannot_do_is_refused_before_it_begins(options: DecodingOptions, field: str) -> None:
    with pytest.raises(OptionError) as caught:
        target_limit(options, tiny_config(), 3)
    assert caught.value.field == field


@torch.inference_mode()
def test_a_segment_without_room_for_its_prefix_leaves_the_others_as_they_were() -> None:
    search = Search(EagerNetwork(MODEL))
    search.join([NewSegment(0, [5, 3], GREEDY, 9)])
    with pytest.raises(OptionError, match="prefix_ids"):
        search.join([NewSegment(1, [5, 3], DecodingOptions(prefix_ids=(5, 6, 7)), 2)])
    assert list(search.keys) == [0]


@torch.inference_mode()
def test_a_search_whose_segments_have_all_left_holds_nothing() -> None:
    search = Search(EagerNetwork(MODEL))
    search.join([NewSegment(0, [5, 3], GREEDY, 9), NewSegment(1, [6, 7, 3], DecodingOptions(), 9)])
    assert search.num_rows == 5
    search.drop([1])
    assert (list(search.keys), search.num_rows) == ([0], 1)
    search.drop([0])
    assert (list(search.keys), search.num_rows) == ([], 0)
    with pytest.raises(ValueError, match="no segment is live"):
        search.step()


@torch.inference_mode()
def test_a_group_that_cannot_be_encoded_leaves_the_others_as_they_were() -> None:
    search = Search(EagerNetwork(MODEL))
    search.join([NewSegment(0, sources(1)[0], GREEDY, LIMIT)])
    search.step()
    with pytest.raises(IndexError):
        search.join([NewSegment(1, [TINY_VOCABULARY, 3], GREEDY, LIMIT)])
    assert list(search.keys) == [0]
    while search.keys:
        selection = search.step()
    (alone,) = decode_batch(MODEL, sources(1), DecodingOptions(strategy="greedy", max_length=LIMIT))
    assert selection.finished[0] == alone
