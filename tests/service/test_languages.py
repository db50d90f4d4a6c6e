"""The language of a text is found offline."""

from functools import cache

import pytest

from service.languages import MAX_CHARACTERS, DetectedLanguage, LanguageDetector, best_of, is_served


@cache
def detector() -> LanguageDetector:
    return LanguageDetector.load(["en", "de", "gsw"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the nearest train station?", "en"),
        ("Wo ist der nächste Bahnhof?", "de"),
        ("Où est la gare la plus proche ?", "fr"),
        ("WHERE IS THE NEAREST TRAIN STATION?", "en"),
        ("これは日本語です。", "ja"),
        ("Где находится ближайший вокзал?", "ru"),
    ],
)
def test_everyday_sentences_are_recognised(text: str, language: str) -> None:
    assert detector().detect(text)[0].language == language


@pytest.mark.parametrize("text", ["", "   ", "42", "😀 !?"])
def test_a_text_without_letters_has_no_language(text: str) -> None:
    assert detector().detect(text) == []


def test_a_text_that_begins_with_a_long_table_has_the_language_of_its_words() -> None:
    table = "1\t2\n" * (MAX_CHARACTERS // 4)
    assert detector().detect(table + "Où est la gare la plus proche ?")[0].language == "fr"


def test_confidences_are_shares_best_first() -> None:
    shares = [one.confidence for one in detector().detect("Wo ist der nächste Bahnhof?")]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=0.01)


def test_the_best_served_language_is_chosen_and_the_first_of_equals() -> None:
    detected = [DetectedLanguage("fr", 0.5), DetectedLanguage("de", 0.2), DetectedLanguage("en", 0.2)]
    assert best_of(detected, ["en", "de"]) == ("en", 0.2)
    assert best_of(detected, ["en", "fr"]) == ("fr", 0.5)
    assert best_of(detected, ["ja"]) is None


def test_regional_and_norwegian_codes_are_those_of_their_language() -> None:
    detected = [DetectedLanguage("no", 0.6), DetectedLanguage("pt", 0.4)]
    assert best_of(detected, ["nb", "pt-BR"]) == ("nb", 0.6)
    assert is_served("pt", ["pt-BR"])
    assert not is_served("es", ["pt-BR"])
