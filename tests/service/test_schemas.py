"""The schema's bounds are those of the decoding options and of the engine."""

import pytest

from model.decoding import options
from model.decoding.options import DecodingOptions, OptionError
from service import schemas
from service.engine import request
from service.schemas import OPTION_FIELDS, TEXT_OPTION_FIELDS, TranslateRequest


@pytest.mark.parametrize(
    "name",
    [
        "MAX_BEAM_SIZE",
        "MAX_LENGTH_PENALTY",
        "MAX_PATIENCE",
        "MAX_COVERAGE_PENALTY",
        "MAX_DIVERSITY_PENALTY",
        "MIN_TEMPERATURE",
        "MAX_TEMPERATURE",
        "MAX_TOP_K",
        "MAX_SEED",
        "MIN_REPETITION_PENALTY",
        "MAX_REPETITION_PENALTY",
        "MAX_NGRAM_SIZE",
        "MAX_REQUIRED_PHRASES",
        "MAX_TOKENS",
        "MIN_LENGTH_RATIO",
        "MAX_LENGTH_RATIO",
    ],
)
def test_bounds_of_options_are_equal(name: str) -> None:
    assert getattr(schemas, name) == getattr(options, name)


def test_bounds_of_priority_are_equal() -> None:
    assert (schemas.MIN_PRIORITY, schemas.MAX_PRIORITY) == (request.MIN_PRIORITY, request.MAX_PRIORITY)


def test_every_decoding_option_is_a_field_and_every_option_field_a_decoding_option() -> None:
    assert {*OPTION_FIELDS, *TEXT_OPTION_FIELDS.values()} == set(DecodingOptions.__dataclass_fields__)
    assert {*OPTION_FIELDS, *TEXT_OPTION_FIELDS} <= set(TranslateRequest.model_fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("beam_size", 1),
        ("beam_size", 32),
        ("length_penalty", 0),
        ("length_penalty", 5.0),
        ("patience", 4.0),
        ("min_length", 0),
        ("max_length", 1),
        ("max_length", 65_536),
        ("max_length_ratio", 0.1),
        ("max_length_ratio", 100.0),
        ("coverage_penalty", 0),
        ("coverage_penalty", 5.0),
        ("diversity_groups", 1),
        ("diversity_groups", 4),
        ("diversity_penalty", 0),
        ("repetition_penalty", 0.1),
        ("repetition_penalty", 10.0),
        ("no_repeat_ngram_size", 0),
        ("no_repeat_ngram_size", 16),
    ],
)
def test_a_value_on_the_bound_passes_both(field: str, value: float) -> None:
    TranslateRequest.model_validate({"text": "a", field: value})
    DecodingOptions.from_dict({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("beam_size", 0),
        ("beam_size", 33),
        ("length_penalty", -0.1),
        ("length_penalty", 5.1),
        ("patience", 0.0),
        ("patience", 4.1),
        ("min_length", -1),
        ("max_length", 0),
        ("max_length", 65_537),
        ("max_length_ratio", 0.05),
        ("max_length_ratio", 101.0),
        ("coverage_penalty", -0.1),
        ("coverage_penalty", 5.1),
        ("diversity_groups", 0),
        ("diversity_groups", 33),
        ("diversity_penalty", -0.1),
        ("diversity_penalty", 20.1),
        ("repetition_penalty", 0.09),
        ("repetition_penalty", 10.1),
        ("no_repeat_ngram_size", -1),
        ("no_repeat_ngram_size", 17),
    ],
)
def test_a_value_beyond_the_bound_passes_neither(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        TranslateRequest.model_validate({"text": "a", field: value})
    with pytest.raises(OptionError, match=field):
        DecodingOptions.from_dict({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0.01),
        ("temperature", 10.0),
        ("top_k", 0),
        ("top_k", 65_536),
        ("top_p", 0.001),
        ("top_p", 1.0),
        ("min_p", 0),
        ("min_p", 1.0),
        ("epsilon", 0),
        ("epsilon", 0.999),
        ("seed", 0),
        ("seed", 2**63 - 1),
    ],
)
def test_a_value_of_sampling_on_the_bound_passes_both(field: str, value: float) -> None:
    TranslateRequest.model_validate({"text": "a", "strategy": "sample", field: value})
    DecodingOptions.from_dict({"strategy": "sample", field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0.009),
        ("temperature", 10.1),
        ("top_k", -1),
        ("top_k", 65_537),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("epsilon", -0.1),
        ("epsilon", 1.0),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_value_of_sampling_beyond_the_bound_passes_neither(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        TranslateRequest.model_validate({"text": "a", "strategy": "sample", field: value})
    with pytest.raises(OptionError, match=field):
        DecodingOptions.from_dict({"strategy": "sample", field: value})


def test_strategies_are_those_that_there_are() -> None:
    for strategy in options.STRATEGIES:
        assert TranslateRequest.model_validate({"text": "a", "strategy": strategy}).strategy == strategy
