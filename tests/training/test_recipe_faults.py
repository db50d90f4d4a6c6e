"""What was meant by a name that no section knows."""

import pytest

from training.recipe_faults import suggestion, unknown

KNOWN = {
    "": ["max_steps", "model", "num_threads"],
    "model": ["num_encoder_heads", "num_decoder_heads", "d_model"],
    "data": ["train", "max_tokens", "max_length_ratio"],
    "data.train": ["tsv"],
    "batch": ["max_tokens"],
}


@pytest.mark.parametrize(
    ("section", "name", "meant"),
    [
        ("", "max_step", "max_steps"),
        ("", "Max-Steps", "max_steps"),
        ("", "steps", "max_steps"),
        ("data", "ratio", "max_length_ratio"),
        ("model", "heads", "num_decoder_heads or num_encoder_heads"),
        ("", "heads", "model.num_decoder_heads or model.num_encoder_heads"),
        ("", "d_model", "model.d_model"),
        ("data.train", "tvs", "tsv"),
        ("model", "max_tokens", "data.max_tokens or batch.max_tokens"),
        ("data.train", "maxx_steps", "max_steps"),
        ("", "modes", "model"),
    ],
)
def test_the_nearest_name_is_told(section: str, name: str, meant: str) -> None:
    assert suggestion(section, name, KNOWN) == f" (did you mean {meant}?)"


@pytest.mark.parametrize("section", ["", "model", "nowhere"])
def test_where_nothing_is_near_nothing_is_told(section: str) -> None:
    assert suggestion(section, "zebra", KNOWN) == ""


def test_an_unknown_setting_is_told_with_its_place() -> None:
    assert unknown("", "zebra", KNOWN) == "zebra is not a known setting"
    assert unknown("data", "tokens", KNOWN) == "data.tokens is not a known setting (did you mean max_tokens?)"
