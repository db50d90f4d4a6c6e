"""The schema's bounds are those of the decoding options and of the engine."""

import pytest

from model.decoding import options
from model.decoding.options import DecodingOptions, OptionError
from service import schemas
from service.engine import request
from service.schemas import OPTION_FIELDS, TranslateRequest


@pytest.mark.parametrize(
    "name",
    [
        "MAX_BEAM_SIZE",
        "MAX_LENGTH_PENALTY",
        "MAX_PATIENCE",
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
    assert set(OPTION_FIELDS) == set(DecodingOptions.__dataclass_fields__)
    assert set(OPTION_FIELDS) <= set(TranslateRequest.model_fields)


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
    ],
)
def test_a_value_beyond_the_bound_passes_neither(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        TranslateRequest.model_validate({"text": "a", field: value})
    with pytest.raises(OptionError, match=field):
        DecodingOptions.from_dict({field: value})
