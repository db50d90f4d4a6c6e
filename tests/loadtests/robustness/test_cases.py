"""Cases are the same for the same seed, and notice what they are there to notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.robustness.behaviours import Behaviour, behaviours
from loadtests.robustness.copies import LANGUAGES, copy_cases
from loadtests.robustness.fillers import FILLERS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_comes_as_often_and_each_piece_stands_in_its_text(language: str) -> None:
    cases = copy_cases(language, 5 * len(FILLERS))
    assert cases == copy_cases(language, 5 * len(FILLERS))
    assert cases != copy_cases(language, 5 * len(FILLERS), seed=1)
    assert [case.kind for case in cases] == list(FILLERS) * 5
    assert all(piece in case.text for case in cases for piece in case.pieces)
    assert all(case.pieces and not case.fault(case.text) for case in cases)


def test_a_piece_that_is_lost_doubled_or_changed_is_a_fault() -> None:
    case = copy_cases("en", 1)[0]
    (piece,) = set(case.pieces)
    for wrong in (piece[:-1], piece * (1 + len(case.pieces)), ""):
        assert piece in case.fault(wrong)


def test_words_are_expected_in_any_case_and_in_one_of_several_ways() -> None:
    wanted = Behaviour("plain", "x", ("cat", "sofa/couch"))
    assert wanted.fault("THE CATS ON COUCHES") == ""
    assert wanted.fault("The cat there") == "no sofa/couch"


def test_each_kind_has_its_own_demand() -> None:
    assert Behaviour("no final stop", "x").fault("Yes.") == "a stop was added"
    assert Behaviour("capitals", "X").fault("Yes") == "not in capitals"
    assert Behaviour("capitals", "X").fault("YES, 5") == ""
    assert Behaviour("name", "Tom!", keeps=("Tom",)).fault("Thomas") != ""


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("de", "en"), ("en", "fr"), ("fr", "en")])
def test_what_is_expected_of_a_direction_is_true_of_its_own_sentences(source: str, target: str) -> None:
    there, back = behaviours(source, target), behaviours(target, source)
    assert len(there) == len(back) > 60
    for wanted, said in zip(there, back, strict=True):
        assert wanted.kind == said.kind
        if wanted.words:
            assert wanted.fault(said.text) == ""


def test_languages_without_sentences_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="target must be one of en, de, fr, got 'pl'"):
        behaviours("en", "pl")
    with pytest.raises(ValueError, match="language must be one of en, de, fr, got 'pl'"):
        copy_cases("pl", 3)


def test_no_sentence_is_one_that_bundles_were_trained_on() -> None:
    written = {
        side.casefold().rstrip(".!? ")
        for path in (ROOT / "training" / "recipes").glob("everyday*.tsv")
        for line in path.read_text(encoding="utf-8").splitlines()
        for side in line.split("\t")
    }
    asked = {
        one.text.casefold().rstrip(".!? ")
        for source, target in (("en", "de"), ("de", "en"), ("fr", "en"))
        for one in behaviours(source, target)
    }
    assert asked.isdisjoint(written)
