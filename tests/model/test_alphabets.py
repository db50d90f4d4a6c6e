"""Letters of languages are small, single, and beside A to Z."""

from __future__ import annotations

import pytest

from model.alphabets import _LETTERS, in_both_cases, letters_of, small
from service.language_codes import NAMES, primary
from service.rarer_languages import RARER_NAMES


@pytest.mark.parametrize("language", _LETTERS)
def test_letters_are_small_single_and_none_of_ascii(language: str) -> None:
    letters = _LETTERS[language]
    assert len(set(letters)) == len(letters)
    assert all(letter.isalpha() and not letter.isascii() and letter == small(letter) for letter in letters)


@pytest.mark.parametrize("language", _LETTERS)
def test_languages_are_named_as_everywhere(language: str) -> None:
    assert primary(language) == language
    assert language in NAMES or language in RARER_NAMES


def test_a_language_without_such_letters_or_of_no_name_has_none() -> None:
    assert letters_of("en") == letters_of("xx") == letters_of(None) == frozenset()


def test_a_capital_and_a_letter_of_two_characters_are_the_small_letter() -> None:
    assert [small(one) for one in ("Œ", "e\u0308", "E\u0308", "ß")] == ["œ", "ë", "ë", "ß"]
    assert {small("Ï"), small("œ")} <= letters_of("fr")


def test_a_code_may_name_a_region() -> None:
    assert letters_of("fr-CA") == letters_of("fr") == letters_of("FR_ca")


def test_capitals_of_one_character_come_along() -> None:
    assert in_both_cases("œß") == {"œ", "Œ", "ß"}
