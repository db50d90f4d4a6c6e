"""The sentences that are worth reading come first."""

from tests.training.report.evaluations import evaluation, translations
from training.evaluation_scores import Measure
from training.report.examples import choose_examples
from training.report.word_difference import marked
from training.scoring import Scorer
from training.test_set import TestSet

REFERENCES = ["Das ist ein ganz gewöhnlicher Satz.", "Nein.", "Noch ein Satz von einiger Länge."]
SYSTEM = ["Das ist ein ganz gewöhnlicher Satz.", "Ja!", "Kein Wort stimmt hier."]
BASELINE = ["Das war wohl nichts.", "Ja!", "Noch ein Satz von einiger Länge."]


def measured(system: list[str], baseline: list[str] | None, sources: list[str] | None = None):  # type: ignore[no-untyped-def]
    texts = TestSet(("t",), sources or ["a", "b", "c"], REFERENCES, "t")
    other = None if baseline is None else translations(baseline)
    return Measure(Scorer(["chrf"]), (5,), "words", 100).test(texts, translations(system), other)


def test_the_worst_come_first_and_what_is_too_short_to_judge_last() -> None:
    found = choose_examples(measured(SYSTEM, None), 9)
    assert [one.index for one in found.worst] == [2, 0, 1]
    assert (found.lost, found.won) == ([], [])
    assert len(choose_examples(measured(SYSTEM, None), 2).worst) == 2


def test_of_two_systems_the_largest_losses_and_gains_are_shown() -> None:
    found = choose_examples(measured(SYSTEM, BASELINE), 2)
    assert ([one.index for one in found.lost], [one.index for one in found.won]) == ([2], [0])
    assert found.lost[0].baseline_chrf is not None
    assert found.lost[0].chrf < found.lost[0].baseline_chrf


def test_equal_sentences_with_equal_translations_are_shown_once() -> None:
    found = choose_examples(measured(["x", "x", "y"], None, ["same", "same", "same"]), 9)
    assert sorted(one.index for one in found.worst) == [0, 2]


def test_words_out_of_place_are_marked_and_markup_is_text() -> None:
    assert marked("a <b> c", "a x c") == "a <mark>&lt;b&gt;</mark> c"
    assert marked("a c", "a b c") == "a c"
    assert marked("", "a") == ""


def test_examples_of_an_evaluation_know_both_scores() -> None:
    (test,) = evaluation(with_baseline=True).tests
    assert all(one.baseline_chrf is not None for one in choose_examples(test, 3).worst)
