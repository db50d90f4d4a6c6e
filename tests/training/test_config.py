"""Recipes: every unknown setting and bad value is refused in one line that names it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from model.config import ModelConfig
from tests.training.runs import config, recipe
from training.config import (
    FROM_TOKENIZER,
    TrainingConfig,
    check_recipe,
    known_settings,
    load_recipe,
    sections,
)
from training.errors import RecipeError
from training.recipe_faults import suggestion
from training.recipe_text import override

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


def fault_of(**changes: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        check_recipe(recipe(**changes), "my.yaml")
    text = str(caught.value)
    assert text.startswith("my.yaml: ")
    assert "\n" not in text
    return text.removeprefix("my.yaml: ")


@pytest.mark.parametrize(
    "path",
    sorted({*RECIPES.rglob("*.yaml")} - {*RECIPES.glob("sources/*")}),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_shipped_recipe_holds(path: Path) -> None:
    assert path.stem.startswith(load_recipe(path).name)  # a second stage makes the same model better


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"max_step": 3}, "max_step is not a known setting (did you mean max_steps?)"),
        (
            {"optimizer": {"warmup": 3}},
            "optimizer.warmup is not a known setting (did you mean warmup_steps?)",
        ),
        ({"data": {"ratio": 3}}, "data.ratio is not a known setting (did you mean max_length_ratio?)"),
        ({"vocab_size": 3}, "vocab_size is not a known setting (did you mean tokenizer.vocab_size?)"),
        ({"model": {"vocab": 3}}, "model.vocab is not a known setting (did you mean tokenizer.vocab_size?)"),
        ({"d_model": 8}, "d_model is not a known setting (did you mean model.d_model?)"),
        (
            {"model": {"dmodel": 8, "layers": 2}},
            "model.dmodel is not a known setting (did you mean d_model?); model.layers is not a known "
            "setting (did you mean num_decoder_layers or num_encoder_layers?)",
        ),
        ({"data": {"augmentation": {"lower": 1}}}, "data.augmentation.lower is not a known setting (did you"),
        ({"test": [{"tvs": "a", "name": "t"}]}, "test.0.tvs is not a known setting (did you mean tsv?)"),
        (
            {"data": {"train": [{"tvs": "a"}]}},
            "data.train.0.tvs is not a known setting (did you mean tsv?)",
        ),
        ({"model": {"dmodel": 8}}, "model.dmodel is not a known setting (did you mean d_model?)"),
        ({"decoding": {"beam": 2}}, "decoding.beam is not a known setting (did you mean beam_size?)"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest_known_one(changes: dict[str, Any], fault: str) -> None:
    assert fault in fault_of(**changes)


@pytest.mark.parametrize(
    ("changes", "place", "bound", "value"),
    [
        ({"max_steps": 0}, "max_steps", "greater than or equal to 1", "0"),
        ({"seed": 2**63}, "seed", "equal to 9223372036854775807", "9223372036854775808"),
        ({"num_threads": 1025}, "num_threads", "equal to 1024", "1025"),
        ({"max_steps": "many"}, "max_steps", "valid integer", "'many'"),
        ({"max_steps": True}, "max_steps", "a number", "true"),
        ({"num_threads": False}, "num_threads", "a number", "false"),
        ({"batch": {"max_tokens": True}}, "batch: max_tokens", "a number", "true"),
        ({"optimizer": {"epsilon": float("inf")}}, "optimizer.epsilon", "finite number", "inf"),
        ({"optimizer": {"beta1": float("nan")}}, "optimizer.beta1", "finite number", "nan"),
        ({"name": "En De"}, "name", "match pattern", "'En De'"),
        ({"version": 2}, "version", "valid string", "2 (put it in quotes)"),
        ({"version": "2 b"}, "version", "letters, digits", "'2 b'"),
        ({"directions": [["en", False]]}, "directions.0.1", "valid string", "False (put it in quotes)"),
        ({"directions": []}, "directions", "at least 1 item", "[]"),
        ({"directions": [["en", "de"]] * 2}, "directions", "none twice", ""),
        ({"directions": [["en", "d e"]]}, "directions", "language codes", "'d e'"),
        ({"device": "gpu"}, "device", "match pattern", "'gpu'"),
        ({"precision": "float8"}, "precision", "'float32' or 'bfloat16'", "'float8'"),
        ({"optimizer": {"label_smoothing": 1}}, "optimizer.label_smoothing", "less than 1", "1"),
        ({"optimizer": {"peak_learning_rate": 0}}, "optimizer.peak_learning_rate", "greater than 0", "0"),
        (
            {"optimizer": {"final_decay_steps": 13}},
            "optimizer.final_decay_steps",
            "at most max_steps 12",
            "13",
        ),
        ({"optimizer": 5}, "optimizer", "must be a section of settings", "5"),
        ({"model": [1]}, "model", "must be a section of settings", "[1]"),
        ({"card": {"data": "my texts"}}, "card.data", "must be a list", "'my texts'"),
        ({"card": {"summary": {"a": 1}}}, "card.summary", "valid string", "{'a': 1}"),
        ({"tokenizer": {"vocab_size": 299}}, "tokenizer.vocab_size", "equal to 300", "299"),
        ({"tokenizer": {"kind": "word"}}, "tokenizer.kind", "'unigram' or 'bpe'", "'word'"),
        ({"optimizer": {"r_drop": 5}, "model": {"dropout": 0}}, "optimizer.r_drop", "0 without any", "5"),
        ({"optimizer": {"r_drop": -1}}, "optimizer.r_drop", "equal to 0", "-1"),
        ({"batch": {"batches_per_update": 0}}, "batch.batches_per_update", "equal to 1", "0"),
        ({"checkpoint": {"ema_decay": 1}}, "checkpoint.ema_decay", "less than 1", "1"),
        ({"checkpoint": {"choose": "first"}}, "checkpoint.choose", "'last' or 'best'", "'first'"),
        ({"validation": {"metric": "ter"}}, "validation.metric", "'chrf', 'bleu' or 'loss'", "'ter'"),
        ({"validation": {"patience": 0}}, "validation.patience", "equal to 1", "0"),
        ({"data": {"max_tokens": 65}}, "data.max_tokens", "at most model.max_source_length", "65"),
        ({"data": {"dev": []}}, "data.dev", "at least 1 item", "[]"),
        (
            {"data": {"train": [{"tsv": "a", "columns": [0, -1]}]}},
            "data.train.0.columns.1",
            "equal to 0",
            "-1",
        ),
        ({"data": {"dev": [{"tsv": "a", "repeat": 2}]}}, "data: dev.0.repeat", "must be 1", "2"),
        ({"checkpoint": {"keep": 2, "average": 3}}, "checkpoint: average", "at most keep 2", "3"),
        ({"model": {"d_model": 15}}, "model.num_encoder_heads", "a divisor of d_model 15", "2"),
        ({"model": {"dropout": "x"}}, "model.dropout", "a number", "'x'"),
        ({"model": {"pad_id": 0}}, "model.pad_id", "left out (the tokenizer decides it)", "0"),
        ({"decoding": {"beam_size": 99, "strategy": "beam"}}, "decoding.beam_size", "in 1..32", "99"),
        ({"test": [{"tsv": "a", "name": "dev"}]}, "test.name", "unlike the others, and not dev", "'dev'"),
        ({"generate": {"kind": "words"}}, "generate.kind", "'digit-reversal'", "'words'"),
        (
            {"generate": {"kind": "digit-reversal", "min_words": 4, "max_words": 3}},
            "generate: max_words",
            "at least min_words 4",
            "3",
        ),
        (
            {"generate": {"kind": "digit-reversal", "train_pairs": 600, "max_words": 3}},
            "generate: max_words",
            "larger for 1,600 distinct sequences",
            "3",
        ),
    ],
)
def test_a_bad_value_is_named_with_its_bound(
    changes: dict[str, Any], place: str, bound: str, value: str
) -> None:
    fault = fault_of(**changes)
    assert fault.startswith(place)
    assert bound in fault
    assert f"got {value}" in fault


@pytest.mark.parametrize(
    "corpus",
    [
        {},
        {"tsv": "a", "source": "b", "target": "c"},
        {"source": "b"},
        {"tsv": "a", "target": "c"},
    ],
)
def test_a_corpus_is_either_a_tsv_or_two_files(corpus: dict[str, str]) -> None:
    assert "data.train.0: name either `tsv`, or both" in fault_of(data={"train": [corpus]})


def test_columns_of_two_files_are_refused_rather_than_ignored() -> None:
    corpus = {"source": "a", "target": "b", "columns": [1, 0]}
    assert "`columns` belongs to `tsv`" in fault_of(data={"train": [corpus]})


def test_a_setting_that_must_be_given_is_asked_for() -> None:
    values = recipe()
    del values["name"], values["data"]["train"]
    with pytest.raises(RecipeError, match=r"name must be given; data\.train must be given"):
        check_recipe(values)


def test_separate_vocabularies_share_no_embeddings() -> None:
    assert config().model_config_for(400, 400).share_embeddings
    separate = config(tokenizer={"joint": False})
    assert not separate.model_config_for(400, 400).share_embeddings
    fault = fault_of(tokenizer={"joint": False}, model={"share_embeddings": True})
    assert fault == "model.share_embeddings must be false with tokenizer.joint false, got True"


def test_overrides_are_checked_like_the_recipe() -> None:
    toy = RECIPES / "toy.yaml"
    assert load_recipe(toy, ["max_steps=900", "optimizer.beta2=0.9"]).optimizer.beta2 == 0.9
    with pytest.raises(
        RecipeError, match=r"toy\.yaml: optimizer\.beta3 is not a known setting \(did you mean"
    ):
        load_recipe(toy, ["optimizer.beta3=0.9"])


def test_a_configuration_comes_back_from_its_values() -> None:
    settings = config(test=[{"tsv": "t.tsv", "name": "test"}])
    assert check_recipe(settings.model_dump(mode="json")) == settings


def test_every_setting_says_what_it_means() -> None:
    of_all = [("", TrainingConfig), *sections()]
    bare = [
        f"{place}.{name}"
        for place, section in of_all
        for name, field in section.model_fields.items()
        if not field.description and f"{place}.{name}".lstrip(".") not in dict(sections())
    ]
    assert bare == [".model", ".decoding"]  # described field by field in docs/training.md


def test_what_the_tokenizer_decides_are_fields_of_the_network() -> None:
    assert set(FROM_TOKENIZER) <= {field.name for field in fields(ModelConfig)}


def test_of_a_value_of_any_size_the_beginning_is_told() -> None:
    value: list[Any] = ["x"]
    for _ in range(40):  # as aliases of YAML make them: a few lines, a million million values
        value = [value, value]
    fault = fault_of(seed=value)
    assert fault.startswith("seed: Input should be a valid integer, got [[[[[...], [...]]")
    assert len(fault) < 200


def test_a_fault_in_the_only_entry_of_a_list_is_told_once() -> None:
    values = recipe()
    values["data"]["train"] = [{"tvs": "a"}]
    with pytest.raises(RecipeError) as caught:
        check_recipe(values)
    assert str(caught.value) == "recipe: data.train.0.tvs is not a known setting (did you mean tsv?)"


@pytest.mark.parametrize(
    ("baseline", "fault"),
    [
        ({"hidden_sise": 3}, "baseline.kind must be given"),
        (
            {"kind": "gru", "hidden_sise": 3},
            "baseline.hidden_sise is not a known setting (did you mean hidden_size?)",
        ),
        ({"kind": "gru", "without": []}, "baseline.without is not a known setting"),
        ({"kind": "gru", "hidden_size": "x"}, "baseline.hidden_size: Input should be a valid integer"),
    ],
)
def test_a_section_of_several_kinds_is_named_as_the_recipe_has_it(
    baseline: dict[str, Any], fault: str
) -> None:
    assert fault_of(baseline=baseline).startswith(fault)


def test_a_slip_of_the_hand_in_any_setting_of_any_section_is_understood() -> None:
    known = known_settings()
    assert set(known) == {"", "model", "decoding", *(place for place, _ in sections())}
    missed = [
        f"{place}.{name}"
        for place, names in known.items()
        for name in names
        if suggestion(place, f"{name}z", known) != f" (did you mean {name}?)"
    ]
    assert missed == []


@pytest.mark.parametrize("place", sorted(known_settings()))
def test_every_section_refuses_what_it_does_not_know(place: str) -> None:
    values = recipe(generate={"kind": "digit-reversal"}, test=[{"tsv": "t", "name": "t"}])
    for name in ("train", "dev"):
        values["data"][name] = [{"tsv": "t"}]
    if place == "baseline":
        values["baseline"] = {"kind": "gru"}
    if place.startswith("sources"):
        part = {"format": "tsv", "text": "raw"}
        corpus = {"languages": ["en", "de"], "licence": "CC0", "attribution": "me", "train": [part]}
        corpora = {"name": {**corpus, "held_out": {"name": {"parts": [part]}}}}
        values["sources"] = {"files": {"name": {"path": "x"}, "raw": {"path": "y"}}, "corpora": corpora}
    is_list = place.endswith((".train", ".dev", "test", ".parts"))
    inside = f"{place}.0." if is_list else f"{place}.".lstrip(".")
    inside = inside.replace("*", "name")
    with pytest.raises(RecipeError, match=rf": {inside}zebra is not a known setting"):
        check_recipe(override(values, [f"{inside}zebra=1"]))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"dev": [{"tsv": "dev.tsv", "tag": "<BT>"}]}, "data: dev.0.tag must be left out, got <BT>"),
        ({"train": [{"tsv": "t.tsv", "tag": "two words"}]}, r"data.train.0.tag: .* got 'two words'"),
    ],
)
def test_a_tag_is_one_word_in_angle_brackets_and_only_for_training_text(
    data: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        check_recipe(recipe(data=data))


@pytest.mark.parametrize(
    "place",
    [
        "max_steps", "batch.max_tokens", "batch.pool_batches", "batch.batches_per_update",
        "optimizer.warmup_steps", "validation.interval_steps", "validation.num_sentences",
        "validation.patience", "checkpoint.interval_steps", "checkpoint.keep",
    ],
)  # fmt: skip
def test_a_count_that_no_run_reaches_is_refused(place: str) -> None:
    section, _, name = place.rpartition(".")
    changes: dict[str, Any] = {name: 10**20}
    assert f"{place}: Input should be less than or equal to 1000000000, got 1{'0' * 20}" in fault_of(
        **({section: changes} if section else changes)
    )
