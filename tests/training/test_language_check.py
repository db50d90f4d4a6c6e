"""Language checks with an identifier that says what a test wants, and once with the real one."""

import pytest

from training.errors import RecipeError
from training.language_check import MIN_LETTERS, LanguageCheck, load_identifier

LONG_ENOUGH = "a" * MIN_LETTERS


class FakeIdentifier:
    """English with a set probability, German with the rest."""

    labels = ("en", "de", "no")

    def __init__(self, english: float) -> None:
        self.english = english
        self.texts: list[str] = []

    def rank(self, text: str) -> list[tuple[str, float]]:
        self.texts.append(text)
        return [("de", 1 - self.english), ("en", self.english), ("no", 0.0)]


@pytest.mark.parametrize(("english", "foreign"), [(0.04, True), (0.06, False)])
def test_a_text_is_foreign_below_the_bound(english: float, foreign: bool) -> None:
    assert LanguageCheck(FakeIdentifier(english), "en", 0.05).is_foreign(LONG_ENOUGH) == foreign


def test_few_letters_are_never_foreign() -> None:
    identifier = FakeIdentifier(0.0)
    assert not LanguageCheck(identifier, "en", 0.05).is_foreign("12 345 678 910 111 213: ab")
    assert identifier.texts == []


def test_capitals_are_read_as_small_letters_and_long_texts_in_part() -> None:
    identifier = FakeIdentifier(0.5)
    LanguageCheck(identifier, "en", 0.05).is_foreign("THIS IS A TITLE IN CAPITALS")
    LanguageCheck(identifier, "en", 0.05).is_foreign("word " * 1000)
    assert identifier.texts[0] == "this is a title in capitals"
    assert len(identifier.texts[1]) == 500


@pytest.mark.parametrize("code", ["en", "en-US", "en_GB", "EN"])
def test_regions_do_not_matter(code: str) -> None:
    assert LanguageCheck(FakeIdentifier(0.0), code, 0.05).is_foreign(LONG_ENOUGH)


@pytest.mark.parametrize("code", ["nb", "nn", "no"])
def test_norwegian_has_one_name(code: str) -> None:
    assert LanguageCheck(FakeIdentifier(1.0), code, 0.05).is_foreign(LONG_ENOUGH)


def test_an_unknown_language_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match=r"cannot be identified .*got 'xx'"):
        LanguageCheck(FakeIdentifier(1.0), "xx", 0.05)


@pytest.mark.parametrize(
    ("language", "own", "other"),
    [
        ("en", "Could you tell me the way to the station?", "Können Sie mir den Weg zum Bahnhof sagen?"),
        ("de", "Können Sie mir den Weg zum Bahnhof sagen?", "Pouvez-vous m'indiquer le chemin de la gare ?"),
        ("fr", "Pouvez-vous m'indiquer le chemin de la gare ?", "Could you tell me the way to the station?"),
    ],
)
def test_the_real_identifier_knows_plain_sentences(language: str, own: str, other: str) -> None:
    check = LanguageCheck(load_identifier(), language, 0.05)
    assert not check.is_foreign(own)
    assert check.is_foreign(other)
