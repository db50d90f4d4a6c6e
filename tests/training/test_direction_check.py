"""The directions of a recipe: every text says its own, and none of them is left without texts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.training.runs import config
from training.config import TrainingConfig, check_recipe
from training.errors import RecipeError
from training.run_key import run_key
from training.training_pairs import settings_of_pairs

THERE, BACK = ["en", "fr"], ["fr", "en"]


def text(*direction: str, **more: Any) -> dict[str, Any]:
    return {"tsv": "a.tsv", "direction": list(direction), **more}


def both(**sections: Any) -> TrainingConfig:
    texts = {"train": [text(*THERE), text(*BACK)], "dev": [text(*THERE), text(*BACK)]}
    return config(**{"directions": [THERE, BACK], **sections, "data": {**texts, **sections.get("data", {})}})


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        (
            {"data": {"train": [text(*THERE), {"tsv": "b"}]}},
            r"data\.train\.1\.direction must be one of directions \[en, fr\], \[fr, en\], got 'none'",
        ),
        (
            {"data": {"dev": [text(*THERE), text(*BACK), text("fr", "fr")]}},
            r"data\.dev\.2\.direction must be one of directions .*, got \['fr', 'fr'\]",
        ),
        (
            {"test": [text("en", "de", name="t")]},
            r"test\.0\.direction must be one of directions .*, got \['en', 'de'\]",
        ),
        (
            {"data": {"dev": [text(*THERE)]}},
            r"data\.dev must be texts of which one at least is fr-en, got \['en-fr'\]",
        ),
        (
            {"data": {"train": [text(*THERE)]}},
            r"data\.train must be texts of which one at least is from fr, as .* is, got \['en-fr'\]",
        ),
        (
            {"data": {"scripts": ["Latin", "Latin"]}},
            r"data\.scripts must be the script of each language, such as \{en: Latin\}, with several",
        ),
        (
            {"data": {"scripts": {"en": "Latin"}}},
            r"data\.scripts must be given for each language of directions \(en, fr\) .*, got \['en'\]",
        ),
        ({"data": {"scripts": {"en": "Latn", "fr": "Latin"}}}, r"data\.scripts\.en: .*got 'Latn'"),
        (
            {"test": [text(*THERE, name="t")] * 2},
            r"test\.name must be unlike the others, and not dev, got 't'",
        ),
        ({"directions": [THERE, THERE]}, "directions must be at least one pair of languages, none twice"),
    ],
)
def test_a_text_that_fits_no_direction_is_named_with_bound_and_value(
    sections: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        both(**sections)


def test_tests_of_two_directions_may_share_a_name() -> None:
    assert len(both(test=[text(*THERE, name="t"), text(*BACK, name="t")]).test) == 2


def test_a_direction_needs_no_training_text_where_others_teach_its_languages() -> None:
    ways = [["de", "en"], ["en", "fr"], ["de", "fr"]]
    zero_shot = config(
        directions=ways,
        data={"train": [text(*way) for way in ways[:2]], "dev": [text(*way) for way in ways]},
    )
    assert zero_shot.directions[-1] == ("de", "fr")


def test_a_resolved_recipe_of_several_directions_is_the_recipe() -> None:
    settings = both(data={"scripts": {"en": "Latin", "fr": "Latin"}})
    assert check_recipe(settings.to_dict()) == settings


def test_with_one_direction_a_text_may_say_it_but_no_other() -> None:
    said = config(data={"train": [text("en", "de")], "dev": [text("en", "de")]})
    unsaid = config(data={"train": [{"tsv": "a.tsv"}], "dev": [{"tsv": "a.tsv"}]})
    assert run_key(said, {}) == run_key(unsaid, {})
    assert settings_of_pairs(said) == settings_of_pairs(unsaid)
    with pytest.raises(RecipeError, match=r"data\.train\.0\.direction must be one of directions \[en, de\]"):
        config(data={"train": [text("de", "en")]})


def test_another_direction_is_another_run() -> None:
    turned = both(data={"train": [text(*BACK), text(*THERE)]})
    more = [*both().directions, ("fr", "de")]
    data = {"train": [text(*way) for way in more], "dev": [text(*way) for way in more]}
    assert len({run_key(one, {}) for one in (both(), turned, both(directions=more, data=data))}) == 3
    assert settings_of_pairs(turned) != settings_of_pairs(both())
