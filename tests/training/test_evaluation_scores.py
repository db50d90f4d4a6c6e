"""What is said of a test set: of the whole, of every length, and of two systems."""

import pytest

from tests.training.report.evaluations import BAD, GOOD, REFERENCES, evaluation, texts, translations
from training.evaluation_scores import Measure
from training.scoring import Scorer
from training.significance import paired_bootstrap


def test_scores_are_of_the_whole_and_of_each_length() -> None:
    (test,) = evaluation().tests
    assert test.system.scores == Scorer().corpus(GOOD, REFERENCES)
    assert [(one.bucket.label, one.bucket.indices) for one in test.system.by_length] == [
        ("up to 3", (0,)),
        ("4-5", (2,)),
        ("over 5", (1,)),
    ]
    alone = Scorer().corpus(GOOD[2:], REFERENCES[2:])
    assert test.system.by_length[1].scores == {name: score.value for name, score in alone.items()}
    assert (test.baseline, test.significance) == (None, {})


def test_of_two_systems_both_are_measured_and_compared() -> None:
    (test,) = evaluation(with_baseline=True).tests
    assert test.baseline is not None
    assert test.baseline.scores == Scorer().corpus(BAD, REFERENCES)
    assert test.significance == paired_bootstrap(Scorer(), GOOD, BAD, REFERENCES, 100)


def test_translations_that_are_missing_are_refused() -> None:
    with pytest.raises(ValueError, match="2 hypotheses for 3 references"):
        Measure(Scorer(), (5,), "words", 100).test(texts("news"), translations(GOOD[:2]), None)
