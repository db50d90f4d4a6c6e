"""Looks at the dev text: which was better, which snapshots are worth keeping, when waiting ends."""

from typing import Any

import pytest

from training.evaluation import Scores
from training.run_config import CheckpointConfig, ValidationConfig
from training.state import Progress
from training.validation import Look, compare_by, remember, waited_enough

BEST = CheckpointConfig(choose="best", keep=3, average=2)
NEWEST = CheckpointConfig(keep=3, average=2)


def after(values: list[float], keeps: CheckpointConfig = BEST) -> Progress:
    """What is remembered of looks after steps 10, 20, ..."""
    progress = Progress()
    for value in values:
        progress.step += 10
        remember(progress, value, keeps)
    return progress


def test_a_look_at_several_directions_is_worth_their_mean() -> None:
    looks = {
        "en-fr": Look(4.0, Scores(20.0, 30.0, "b", "c")),
        "fr-en": Look(3.0, Scores(10.0, 20.0, "b", "c")),
    }
    seen = Look.over(looks)
    assert (seen.loss, seen.scores) == (3.5, Scores(15.0, 25.0, "b", "c"))
    assert seen.value(ValidationConfig(metric="chrf")) == 25.0
    assert seen.numbers() == {
        **{"dev_loss": 3.5, "dev_bleu": 15.0, "dev_chrf": 25.0},
        **{"dev_loss_en-fr": 4.0, "dev_bleu_en-fr": 20.0, "dev_chrf_en-fr": 30.0},
        **{"dev_loss_fr-en": 3.0, "dev_bleu_fr-en": 10.0, "dev_chrf_fr-en": 20.0},
    }
    assert seen.line() == (
        "dev loss 3.500, BLEU 15.0, chrF 25.0; en-fr dev loss 4.000, BLEU 20.0, chrF 30.0; "
        "fr-en dev loss 3.000, BLEU 10.0, chrF 20.0"
    )


def test_a_look_at_one_direction_is_that_look() -> None:
    look = Look(4.0, Scores(20.0, 30.0, "b", "c"))
    assert Look.over({"en-fr": look}) == look
    assert set(look.numbers()) == {"dev_loss", "dev_bleu", "dev_chrf"}


@pytest.mark.parametrize(("metric", "value"), [("chrf", 30.0), ("bleu", 20.0), ("loss", -4.0)])
def test_a_look_is_worth_what_the_recipe_measures(metric: Any, value: float) -> None:
    look = Look(4.0, Scores(20.0, 30.0, "", ""))
    assert look.value(ValidationConfig(metric=metric)) == value


def test_the_best_steps_are_kept_best_first() -> None:
    assert after([1.0, 5.0, 3.0, 2.0, 4.0]).best_steps == [(5.0, 20), (4.0, 50), (3.0, 30)]


def test_of_equal_looks_the_later_is_the_better_snapshot_but_no_progress() -> None:
    progress = after([2.0, 2.0])
    assert progress.best_steps == [(2.0, 20), (2.0, 10)]
    assert progress.looks_since_best == 1


def test_only_weights_among_the_best_are_worth_keeping() -> None:
    progress = after([5.0, 4.0, 3.0])
    progress.step = 40
    assert not remember(progress, 2.0, BEST)
    progress.step = 50
    assert remember(progress, 4.5, BEST)


def test_where_the_newest_are_kept_no_look_decides() -> None:
    progress = after([1.0, 2.0, 1.5], NEWEST)
    assert progress.best_steps == []
    assert (progress.best_value, progress.looks_since_best) == (2.0, 1)


def test_waiting_ends_after_as_many_looks_without_a_better_one() -> None:
    patient = ValidationConfig(patience=2)
    assert not waited_enough(after([1.0, 3.0, 2.0]), patient)
    assert waited_enough(after([1.0, 3.0, 2.0, 3.0]), patient)
    assert not waited_enough(after([1.0, 3.0, 2.0, 3.1]), patient)
    assert not waited_enough(after([3.0] + [1.0] * 50), ValidationConfig())


BY_CHRF = ValidationConfig(metric="chrf", num_sentences=10)


@pytest.mark.parametrize(
    "changed",
    [
        ValidationConfig(metric="bleu", num_sentences=10),
        ValidationConfig(metric="chrf", num_sentences=11),
        ValidationConfig(metric="chrf", num_sentences=10, strategy="beam"),
        ValidationConfig(metric="loss", num_sentences=10),
    ],
    ids=["metric", "sentences", "search", "loss"],
)
def test_what_gives_looks_another_value_lets_them_begin_anew(changed: ValidationConfig) -> None:
    progress = after([5.0, 4.0])
    assert compare_by(progress, BY_CHRF) is None  # of an older state: it is not known to differ
    assert compare_by(progress, BY_CHRF) is None
    assert progress.best_steps == [(5.0, 10), (4.0, 20)]
    assert "were by metric chrf, num_sentences 10, strategy greedy" in (compare_by(progress, changed) or "")
    assert (progress.best_value, progress.looks_since_best, progress.best_steps) == (None, 0, [])
    assert compare_by(progress, BY_CHRF) is None  # there is nothing to forget


def test_of_the_loss_no_setting_of_translations_counts() -> None:
    progress = after([-5.0])
    compare_by(progress, ValidationConfig(metric="loss"))
    assert compare_by(progress, ValidationConfig(metric="loss", num_sentences=7, strategy="beam")) is None
    assert progress.best_value == -5.0
