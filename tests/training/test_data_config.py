"""Settings of the data: bounds, what belongs together, and that a resolved recipe is a recipe."""

from typing import Any

import pytest

from tests.training.runs import config, recipe
from training.config import check_recipe
from training.errors import RecipeError


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"temperature": 0.5}, r"data\.temperature: .*greater than or equal to 1, got 0\.5"),
        ({"scripts": ["Latin", "latin"]}, r"data\.scripts\.1: .*'Latin'.*, got 'latin'"),
        ({"scripts": ["Latin"]}, r"data\.scripts\.1 must be given"),
        (
            {"scripts": ["Latin"] * 2, "min_script_share": 0},
            r"data\.min_script_share: .*greater than 0, got 0",
        ),
        ({"min_script_share": 0.9}, r"data: min_script_share belongs to `scripts`, got 0\.9 without them"),
        ({"min_language_probability": 1}, r"data\.min_language_probability: .*less than 1, got 1"),
        ({"subword_sampling": {"alpha": 0}}, r"data\.subword_sampling\.alpha: .*greater than 0, got 0"),
        ({"subword_sampling": {"alpha": 1.5}}, r"data\.subword_sampling\.alpha: .*equal to 1, got 1\.5"),
        (
            {"subword_sampling": {"sides": "both"}},
            r"data: subword_sampling\.sides belongs to its `alpha`, got both",
        ),
        ({"subword_sampling": {"alpa": 0.1}}, r"alpa is not a known setting \(did you mean alpha\?\)"),
    ],
)
def test_a_bad_setting_of_the_data_is_named_with_its_bound(data: dict[str, Any], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        config(data=data)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"scripts": ["Latin", "Cyrillic"], "min_script_share": 0.9, "min_language_probability": 0.05},
        {"temperature": 5, "subword_sampling": {"alpha": 0.1, "sides": "both"}},
    ],
)
def test_a_resolved_recipe_is_the_recipe(data: dict[str, Any]) -> None:
    """It has every setting, those that belong to others at their defaults too."""
    settings = check_recipe(recipe(data=data))
    assert check_recipe(settings.to_dict()) == settings
