"""Cleaning sentence pairs: each rule, every pair counted by its reason."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import tiny_tokenizer
from training.cleaning import Cleaner, pair_keys
from training.cleaning_report import CleaningReport
from training.corpus import Pair
from training.data_config import DataConfig


def cleaner(languages: tuple[str, str] = ("en", "de"), **settings: Any) -> Cleaner:
    """Few keys stay in memory: none is written to the folder."""
    config = DataConfig(train=({"tsv": "a"},), dev=({"tsv": "b"},), **settings)
    return Cleaner(config, languages, Path(tempfile.gettempdir()))


def cleaned(*pairs: tuple[str, str], **settings: Any) -> tuple[list[Pair], CleaningReport]:
    made = cleaner(**settings)
    return list(made.clean(Pair(*pair) for pair in pairs)), made.report


def test_pairs_are_tidied() -> None:
    assert cleaned((" a  b ", "c\u3000d"))[0] == [("a b", "c d")]


@pytest.mark.parametrize("pair", [("", "ja"), ("yes", ""), ("  \t", "ja"), ("", "")])
def test_a_pair_with_an_empty_side_is_dropped(pair: tuple[str, str]) -> None:
    kept, report = cleaned(pair)
    assert (kept, dict(report.dropped)) == ([], {"empty": 1})


@pytest.mark.parametrize("blank", ["\u200b", "\ufeff \u00ad", "\x01\x7f", "\x9c \u200b"])
def test_a_side_of_which_a_vocabulary_leaves_nothing_is_empty(blank: str) -> None:
    """It would be learned from as a pair that has `</s>` alone there."""
    assert tiny_tokenizer().encode_sources([blank]) == [[tiny_tokenizer().eos_id]]
    kept, report = cleaned((blank, "ja"), ("yes", blank), (f"{blank}yes", "ja"))
    assert (len(kept), dict(report.dropped)) == (1, {"empty": 2})


@pytest.mark.parametrize("pair", [("x" * 11, "y" * 10), ("x" * 10, "y" * 11)])
def test_a_pair_longer_than_the_limit_is_dropped(pair: tuple[str, str]) -> None:
    assert cleaned(("x" * 10, "y" * 10), max_characters=10)[1].kept == 1
    assert dict(cleaned(pair, max_characters=10)[1].dropped) == {"too long": 1}


@pytest.mark.parametrize(
    ("short", "long", "kept"), [(10, 20, True), (9, 20, False), (1, 19, True), (50, 100, True)]
)
def test_a_pair_of_very_different_lengths_is_dropped_unless_both_are_short(
    short: int, long: int, kept: bool
) -> None:
    for pair in (("x" * short, "y" * long), ("y" * long, "x" * short)):
        report = cleaned(pair, max_length_ratio=2.0)[1]
        assert report.kept == kept
        assert report.dropped["length ratio"] == (not kept)


def test_identical_sides_are_dropped_when_they_are_more_than_a_name() -> None:
    copy, name = ("one two three four",) * 2, ("New York City",) * 2
    kept, report = cleaned(copy, name)
    assert (kept, dict(report.dropped)) == ([name], {"identical sides": 1})
    assert cleaned(copy, drop_identical=False)[1].kept == 1


def test_repetitions_are_dropped_across_texts_but_not_other_translations() -> None:
    made = cleaner()
    first = list(made.clean([Pair("yes", "ja"), Pair("yes", "jawohl"), Pair(" yes", "ja ")]))
    second = list(made.clean([Pair("yes", "ja"), Pair("no", "nein")]))
    assert first == [("yes", "ja"), ("yes", "jawohl")]
    assert second == [("no", "nein")]
    assert made.report.dropped["duplicate"] == 2
    assert cleaned(("yes", "ja"), ("yes", "ja"), drop_duplicates=False)[1].kept == 2


def test_where_source_ends_and_target_begins_matters() -> None:
    assert cleaned(("a b", "c"), ("a", "b c"))[1].kept == 2


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=30))
def test_every_pair_is_counted_once(pairs: list[tuple[str, str]]) -> None:
    usable = [pair for pair in pairs if all(side.isascii() or side.isprintable() for side in pair)]
    kept, report = cleaned(*usable)
    assert report.read == len(usable)
    assert report.kept == len(kept)
    assert report.read == report.kept + report.dropped.total()


def test_the_counts_are_told_in_words() -> None:
    _, report = cleaned(("", "a"), ("b", "c"), ("b", "c"), ("", "d"))
    assert report.describe() == "4 pairs read, 1 kept (dropped: duplicate 1, empty 2)"
    assert cleaned(("b", "c"))[1].describe() == "1 pairs read, 1 kept"


def test_pairs_are_remembered_the_same_in_every_process() -> None:
    """As Python's `hash` of text is not: a resumed run could keep other pairs than the run it resumes."""
    assert [hex(key) for key in pair_keys([Pair("yes", "ja")])] == ["0x323dcff34704fc2b"]


@pytest.mark.parametrize(
    ("pair", "scripts", "kept"),
    [
        (("Hello there", "Hallo"), ["Latin", "Latin"], True),
        (("Привет всем", "Hallo alle"), ["Latin", "Latin"], False),
        (("Hallo alle", "Привет всем"), ["Latin", "Cyrillic"], True),
        (("Hello there", "Hello there, you"), ["Latin", "Cyrillic"], False),
        (("12:30", "12.30 Uhr"), ["Latin", "Latin"], True),
    ],
)
def test_a_pair_in_another_script_is_dropped(pair: tuple[str, str], scripts: list[str], kept: bool) -> None:
    found, report = cleaned(pair, scripts=scripts)
    assert bool(found) == kept
    assert dict(report.dropped) == ({} if kept else {"script": 1})


def test_the_share_of_the_script_is_a_setting() -> None:
    pair = ("Das Wort мир heißt Frieden", "The word мир means peace")
    assert cleaned(pair, scripts=["Latin", "Latin"])[1].kept == 1
    assert cleaned(pair, scripts=["Latin", "Latin"], min_script_share=0.95)[1].kept == 0


ENGLISH, GERMAN = "This is a sentence about the weather.", "Das ist ein Satz über das Wetter von heute."


def test_a_side_in_another_language_drops_the_pair() -> None:
    found, report = cleaned(
        (ENGLISH, GERMAN),
        (GERMAN, GERMAN[:-1]),  # not translated
        (GERMAN, ENGLISH),  # the wrong way round
        ("OK", "OK"),  # too short to tell
        min_language_probability=0.05,
    )
    assert found == [(ENGLISH, GERMAN), ("OK", "OK")]
    assert dict(report.dropped) == {"language": 2}


def test_languages_are_not_identified_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.cleaning.load_identifier", lambda: pytest.fail("loaded"))
    assert cleaned((GERMAN, ENGLISH))[1].kept == 1


def test_what_is_dropped_for_its_looks_is_not_a_repetition() -> None:
    """A rule drops it each time; only what passes the rules before is remembered."""
    long = ("a " * 300, "b")
    assert dict(cleaned(long, long)[1].dropped) == {"too long": 2}


def test_repetitions_are_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pair_text.CHUNK_PAIRS", 2)
    numbers = [1, 2, 1, 3, 3, 4, 2, 5]
    found, report = cleaned(*((str(number), str(number)) for number in numbers))
    assert [pair.source for pair in found] == ["1", "2", "3", "4", "5"]
    assert dict(report.dropped) == {"duplicate": 3}
