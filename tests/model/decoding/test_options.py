"""Options: bounds, relations between them, and how a request's options meet a bundle's."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from model.decoding.options import DecodingOptions, OptionError


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"strategy": "sampling"}, "strategy"),
        ({"strategy": ["beam"]}, "strategy"),
        ({"beam_size": 0}, "beam_size"),
        ({"beam_size": -1}, "beam_size"),
        ({"beam_size": 33}, "beam_size"),
        ({"beam_size": True}, "beam_size"),
        ({"beam_size": 2.0}, "beam_size"),
        ({"num_hypotheses": 0}, "num_hypotheses"),
        ({"num_hypotheses": 5}, "num_hypotheses"),
        ({"length_penalty": -0.1}, "length_penalty"),
        ({"length_penalty": 5.1}, "length_penalty"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"length_penalty": "1"}, "length_penalty"),
        ({"patience": 0}, "patience"),
        ({"patience": 4.1}, "patience"),
        ({"patience": float("inf")}, "patience"),
        ({"min_length": -1}, "min_length"),
        ({"min_length": 65_537}, "min_length"),
        ({"max_length": 0}, "max_length"),
        ({"max_length": 65_537}, "max_length"),
        ({"min_length": 5, "max_length": 5}, "min_length"),
        ({"max_length_ratio": 0.05}, "max_length_ratio"),
        ({"max_length_ratio": 101}, "max_length_ratio"),
        ({"max_length_ratio": False}, "max_length_ratio"),
        ({"coverage_penalty": -0.1}, "coverage_penalty"),
        ({"coverage_penalty": 5.1}, "coverage_penalty"),
        ({"diversity_groups": 0}, "diversity_groups"),
        ({"diversity_groups": 3}, "diversity_groups"),  # of 4 beams
        ({"diversity_groups": 5}, "diversity_groups"),
        ({"diversity_groups": 2, "diversity_penalty": -1}, "diversity_penalty"),
        ({"diversity_groups": 2, "diversity_penalty": 21}, "diversity_penalty"),
        ({"diversity_penalty": 1.0}, "diversity_penalty"),
        ({"strategy": "sample", "temperature": 0.0}, "temperature"),
        ({"strategy": "sample", "temperature": 10.1}, "temperature"),
        ({"strategy": "sample", "top_k": -1}, "top_k"),
        ({"strategy": "sample", "top_k": 65_537}, "top_k"),
        ({"strategy": "sample", "top_p": 0.0}, "top_p"),
        ({"strategy": "sample", "top_p": 1.1}, "top_p"),
        ({"strategy": "sample", "min_p": -0.1}, "min_p"),
        ({"strategy": "sample", "min_p": 1.1}, "min_p"),
        ({"strategy": "sample", "epsilon": -0.1}, "epsilon"),
        ({"strategy": "sample", "epsilon": 1.0}, "epsilon"),
        ({"strategy": "sample", "seed": -1}, "seed"),
        ({"strategy": "sample", "seed": 2**63}, "seed"),
        ({"strategy": "sample", "seed": 1.0}, "seed"),
        ({"repetition_penalty": 0.09}, "repetition_penalty"),
        ({"repetition_penalty": 10.1}, "repetition_penalty"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
        ({"no_repeat_ngram_size": 17}, "no_repeat_ngram_size"),
        ({"prefix_ids": "text"}, "prefix_ids"),
        ({"banned_ids": 5}, "banned_ids"),
        ({"beams": 4}, "beams"),
    ],
)
def test_a_bad_option_is_refused_with_its_name_bound_and_value(data: dict[str, Any], field: str) -> None:
    with pytest.raises(OptionError) as caught:
        DecodingOptions.from_dict(data)
    assert caught.value.field == field
    assert caught.value.value is data[field]
    assert caught.value.bound
    assert str(caught.value) == f"{field} must be {caught.value.bound}, got {data[field]!r}"


def test_bounds_themselves_are_accepted() -> None:
    low = DecodingOptions(
        beam_size=1, num_hypotheses=1, length_penalty=0, patience=0.01, min_length=0, max_length=1
    )
    high = DecodingOptions(
        beam_size=32, num_hypotheses=32, length_penalty=5, patience=4, max_length=65_536, max_length_ratio=100
    )
    assert (low.rows, high.rows) == (1, 32)


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(),
        DecodingOptions(strategy="greedy"),
        DecodingOptions(strategy="greedy", beam_size=1, min_length=2),
        DecodingOptions(beam_size=7, num_hypotheses=3, length_penalty=0.6, patience=2.0, max_length=9),
        DecodingOptions(max_length_ratio=1.5, min_length=3),
    ],
)
def test_options_survive_json(options: DecodingOptions) -> None:
    assert DecodingOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_greedy_says_nothing_of_beams() -> None:
    written = DecodingOptions(strategy="greedy").to_dict()
    assert written == {
        "strategy": "greedy",
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "min_length": 0,
        "max_length": None,
        "max_length_ratio": None,
    }
    assert DecodingOptions(strategy="greedy").rows == 1


@pytest.mark.parametrize(
    "data",
    [
        {"beam_size": 4},
        {"beam_size": True},
        {"num_hypotheses": 2},
        {"length_penalty": 1.0},
        {"patience": 2.0},
    ],
)
def test_a_beam_option_beside_greedy_is_refused_not_ignored(data: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="greedy"):
        DecodingOptions.from_dict({"strategy": "greedy", **data})


def test_a_beam_of_one_is_true_of_greedy() -> None:
    options = DecodingOptions.from_dict({"strategy": "greedy", "beam_size": 1, "num_hypotheses": 1})
    assert options.rows == 1


def test_defaults_fill_what_a_request_leaves_open() -> None:
    defaults = DecodingOptions(beam_size=8, num_hypotheses=2, length_penalty=0.5, max_length_ratio=2.0)
    asked = DecodingOptions.with_defaults({"num_hypotheses": 3}, defaults)
    assert asked == DecodingOptions(beam_size=8, num_hypotheses=3, length_penalty=0.5, max_length_ratio=2.0)


def test_defaults_that_the_asked_for_strategy_lacks_are_dropped() -> None:
    defaults = DecodingOptions(beam_size=8, num_hypotheses=2, max_length_ratio=2.0)
    asked = DecodingOptions.with_defaults({"strategy": "greedy"}, defaults)
    assert asked == DecodingOptions(strategy="greedy", max_length_ratio=2.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"beam_size": 3},
            "diversity_groups must be a divisor of beam_size 3, which its default is not",
        ),
        ({"max_length": 5}, "min_length must be below max_length 5, which its default is not"),
        ({"min_length": 9, "max_length": 5}, "min_length must be below max_length 5"),
    ],
)
def test_a_default_that_does_not_fit_is_said_to_be_one(data: dict[str, Any], message: str) -> None:
    defaults = DecodingOptions(beam_size=4, diversity_groups=2, min_length=8)
    with pytest.raises(OptionError) as fault:
        DecodingOptions.with_defaults(data, defaults)
    assert str(fault.value) == f"{message}, got {fault.value.value}"


def test_a_request_may_lift_a_default_limit() -> None:
    defaults = DecodingOptions(max_length=10)
    assert DecodingOptions.with_defaults({"max_length": None}, defaults).max_length is None


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (DecodingOptions(beam_size=4), 4),
        (DecodingOptions(beam_size=4, patience=2.0), 8),
        (DecodingOptions(beam_size=4, patience=0.5), 2),
        (DecodingOptions(beam_size=4, patience=0.01), 1),
        (DecodingOptions(beam_size=4, patience=0.01, num_hypotheses=3), 3),
    ],
)
def test_finished_wanted_is_the_patient_beam_and_enough_to_answer(
    options: DecodingOptions, wanted: int
) -> None:
    assert options.finished_wanted == wanted


@pytest.mark.parametrize(
    ("data", "field", "value"),
    [
        ({"prefix_ids": [4, -1]}, "prefix_ids", -1),
        ({"prefix_ids": [4, True]}, "prefix_ids", True),
        ({"prefix_ids": [4, 5, 6], "max_length": 2}, "prefix_ids", 3),
        ({"banned_ids": [[4], []]}, "banned_ids", 0),
        ({"banned_ids": [[4] * 65]}, "banned_ids", 65),
        ({"banned_ids": [[4]] * 1025}, "banned_ids", 1025),
        ({"banned_ids": [[4, "a"]]}, "banned_ids", "a"),
        ({"required_ids": [[4]] * 9}, "required_ids", 9),
        ({"required_ids": [4]}, "required_ids", 4),
        ({"required_ids": [[4, 6]], "banned_ids": [[5], [5, 4]]}, "banned_ids", (5, 4)),
        ({"required_ids": [[4]], "no_repeat_ngram_size": 2}, "no_repeat_ngram_size", 2),
        ({"required_ids": [[4]], "diversity_groups": 2, "diversity_penalty": 1.0}, "diversity_penalty", 1.0),
    ],
)
def test_bad_token_ids_are_refused_with_what_is_bad_of_them(
    data: dict[str, Any], field: str, value: object
) -> None:
    with pytest.raises(OptionError) as caught:
        DecodingOptions.from_dict(data)
    assert (caught.value.field, caught.value.value) == (field, value)


def test_required_phrases_go_with_coverage_groups_and_repetition() -> None:
    DecodingOptions(
        required_ids=((4,),), coverage_penalty=0.2, diversity_groups=2, repetition_penalty=1.2, min_length=3
    )


def test_a_seed_or_filter_beside_beam_search_is_refused_not_ignored() -> None:
    for name, value in {"seed": 1, "temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.1}.items():
        with pytest.raises(OptionError, match="beam"):
            DecodingOptions.from_dict({name: value})


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(prefix_ids=(4, 5), banned_ids=((6,), (7, 8)), beam_size=6, diversity_groups=3),
        DecodingOptions(required_ids=((4, 5),), coverage_penalty=0.2),
        DecodingOptions(strategy="sample", temperature=0.7, top_k=5, seed=2**63 - 1, prefix_ids=(9,)),
    ],
)
def test_token_ids_survive_json_and_stay_hashable(options: DecodingOptions) -> None:
    again = DecodingOptions.from_dict(json.loads(json.dumps(options.to_dict())))
    assert again == options
    assert hash(again) == hash(options)


def test_a_group_has_enough_with_its_share_of_what_is_wanted() -> None:
    groups = {"beam_size": 6, "diversity_groups": 3}
    assert DecodingOptions(**groups).finished_wanted == 2
    assert DecodingOptions(**groups, patience=2.0).finished_wanted == 4
    assert DecodingOptions(**groups, patience=0.1, num_hypotheses=4).finished_wanted == 2


def test_an_option_error_is_itself_again_in_another_process() -> None:
    error = pickle.loads(pickle.dumps(OptionError("top_k", "in 0..5", 6)))
    assert (error.field, error.bound, error.value) == ("top_k", "in 0..5", 6)
    assert str(error) == "top_k must be in 0..5, got 6"
