"""Recipe files as plain values, overrides, and the wording of faults."""

import json
from pathlib import Path

import pytest

from training.errors import RecipeError
from training.recipe_text import as_yaml, override, read_recipe


def recipe_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = recipe_file(tmp_path, "a: 1e-3\nb: 7E+2\nc: 1.5e-4\nd: 12\ne: -2e5\nf: 1e-3x\n")
    assert read_recipe(path) == {"a": 0.001, "b": 700.0, "c": 1.5e-4, "d": 12, "e": -200_000.0, "f": "1e-3x"}


def test_halves_of_characters_as_json_writes_them_are_whole_again(tmp_path: Path) -> None:
    """A recipe that a program wrote as JSON is YAML too."""
    settings = {"summary": "\U0001f600 in front", "\U0001d538": "\ufeffmarked"}
    assert read_recipe(recipe_file(tmp_path, json.dumps(settings))) == settings


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('a: "b\\ud83d"\n', "U+D83D is half a character"),
        ("a: 1\nb: 2\na: 3\n", "a stands twice in one section"),
        ("a: {x: 1, x: 2}\n", "x stands twice in one section"),
        ("a: [1, 2\n", "not a YAML file"),
        ("- a\n- b\n", "a recipe is a mapping of settings, got list"),
        ("", "a recipe is a mapping of settings, got NoneType"),
        ("a: !!python/object/apply:os.getcwd []\n", "not a YAML file"),
        (b"a: \xff\n", "not a YAML file"),
        ("a: " + 2000 * "[" + 2000 * "]" + "\n", "stand in each other too deeply"),
        ("a: 2026-02-30\n", "2026-02-30 is taken for a date or a number, and is none (day "),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, fault: str
) -> None:
    path = recipe_file(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_that_stands_twice_is_told_with_the_line_of_the_second(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"a stands twice in one section .*line 3, column 1"):
        read_recipe(recipe_file(tmp_path, "a: 1\nb: 2\na: 3\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.yaml: No such file"):
        read_recipe(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("value", ["2020-13-45", "2026-02-30", "0b_", "0x_", "!!bool x", '!!int ""'])
def test_what_looks_like_a_date_or_a_number_and_is_none_is_refused_by_name(value: str) -> None:
    with pytest.raises(
        RecipeError,
        match=r"^card\.summary: not a YAML value: .* is taken for a date or a number, and is none",
    ):
        override({}, [f"card.summary={value}"])
    assert override({}, [f"card.summary='{value}'"]) == {"card": {"summary": value}}


def test_overrides_reach_into_sections_and_leave_the_original_alone() -> None:
    data = {"max_steps": 10, "optimizer": {"beta1": 0.9, "warmup_steps": 5}}
    changed = override(data, ["max_steps=20", "optimizer.warmup_steps=7", "model.norm=pre", "batch={a: [1]}"])
    assert changed == {
        "max_steps": 20,
        "optimizer": {"beta1": 0.9, "warmup_steps": 7},
        "model": {"norm": "pre"},
        "batch": {"a": [1]},
    }
    assert data == {"max_steps": 10, "optimizer": {"beta1": 0.9, "warmup_steps": 5}}


def test_an_override_reaches_one_entry_of_a_list() -> None:
    data = {"train": [{"tsv": "a"}, {"tsv": "b", "repeat": 2}]}
    changed = override(data, ["train.1.repeat=3", "train.0.tsv=c"])
    assert changed == {"train": [{"tsv": "c"}, {"tsv": "b", "repeat": 3}]}
    assert data == {"train": [{"tsv": "a"}, {"tsv": "b", "repeat": 2}]}


def test_an_override_fills_a_section_that_is_there_but_empty() -> None:
    assert override({"model": None}, ["model.norm=pre"]) == {"model": {"norm": "pre"}}


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("train.1.tsv=c", "train.1.tsv: train is a list of 1, numbered from 0; got '1'"),
        ("train.tsv=c", "train.tsv: train is a list of 1, numbered from 0; got 'tsv'"),
        ("train.-1.tsv=c", "train.-1.tsv: train is a list of 1, numbered from 0; got '-1'"),
        ("train.0.tsv.x=c", "train.0.tsv.x: train.0.tsv is no section, but 'a'"),
        ("steps.x=c", "steps.x: steps is no section, but 700"),
    ],
)
def test_an_override_that_leads_nowhere_replaces_nothing(setting: str, fault: str) -> None:
    with pytest.raises(RecipeError) as caught:
        override({"train": [{"tsv": "a"}], "steps": 700}, [setting])
    assert str(caught.value) == fault


def test_the_later_of_two_overrides_counts() -> None:
    assert override({}, ["seed=1", "seed=2"]) == {"seed": 2}


@pytest.mark.parametrize("setting", ["max_steps", "=3", "", "  =1", "a..b=1", ".=1", "a.=1"])
def test_an_override_without_name_or_value_is_refused(setting: str) -> None:
    with pytest.raises(RecipeError, match="an override is SETTING=VALUE, got"):
        override({}, [setting])


def test_an_override_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"batch: not a YAML value: '\[1'"):
        override({}, ["batch=[1"])


def test_an_override_that_is_too_deep_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"^card\.data: .* stand in each other too deeply"):
        override({}, [f"card.data={2000 * '['}"])


def test_settings_come_back_from_their_yaml(tmp_path: Path) -> None:
    settings = {"name": "x", "rate": 1e-09, "text": "Überschrift: 'a'", "list": [["en", "no"]], "none": None}
    assert read_recipe(recipe_file(tmp_path, as_yaml(settings))) == settings
