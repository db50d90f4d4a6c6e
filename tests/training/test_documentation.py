"""docs/training.md: its recipe holds, its tables are those of the classes.

That its commands work is tested in end_to_end/test_training_page.py.
"""

import re
from dataclasses import fields

import pytest
import yaml

from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from tests.contracts.project import ROOT
from tests.training.settings_page import (
    DECODING_MEANINGS,
    MODEL_MEANINGS,
    settings_tables,
    with_tables,
)
from training.config import FROM_TOKENIZER, TrainingConfig, check_recipe, sections

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_tables_are_those_of_the_classes() -> None:
    assert with_tables(PAGE) == PAGE, "run: python -m tests.training.settings_page docs/training.md"


def test_every_setting_stands_in_a_table() -> None:
    classes = [TrainingConfig, *(section for _, section in sections())]
    fields_of = [field for one in classes for field in one.model_fields.items()]
    names = {name for name, field in fields_of if field.description}  # the others are sections
    names |= {field.name for field in fields(ModelConfig)} - set(FROM_TOKENIZER)
    names |= {field.name for field in fields(DecodingOptions)}
    assert [
        name for name in sorted(names - {"model", "decoding"}) if f"| `{name}` |" not in settings_tables()
    ] == []


def test_no_meaning_is_left_of_a_setting_that_is_gone() -> None:
    assert set(MODEL_MEANINGS) == {field.name for field in fields(ModelConfig)} - set(FROM_TOKENIZER)
    assert set(DECODING_MEANINGS) == {field.name for field in fields(DecodingOptions)}


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page must hold"):
        with_tables("# Training\n")


def test_the_recipes_of_the_page_hold() -> None:
    one, several = (check_recipe(yaml.safe_load(recipe)) for recipe in blocks("yaml"))
    assert f"runs/{one.name}/bundle" in PAGE
    assert [one.data.train[0].paths(), several.data.train[0].paths()] == [["train.tsv"]] * 2
    assert several.directions == (("en", "fr"), ("fr", "en"))
