"""A text is split into what is translated and layout that comes back as it was."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.segmentation import SplitMode, has_letter, sentence_spans, to_segments

# Much layout, little text: what real documents and nobody's documents consist of.
LAYOUT = st.sampled_from(
    [
        " ",
        "  ",
        "   ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\u2028",
        "\x85",
        "\x0b",
        "\u00a0",
        "\ufeff",
        "\u200b",
        "- ",
        "1. ",
    ]
)
WORDS = st.sampled_from(
    [
        "Hello.",
        "Dr. No",
        "e.g.",
        "Why?!",
        "«Oui»",
        "été",
        "3.14",
        "😀",
        "👩‍👩‍👧",
        "…",
        "「はい。」",
        "a",
        "¿Qué?",
        "U.S.",
        '"Go!"',
    ]
)
TEXTS = st.one_of(
    st.text(), st.lists(st.one_of(LAYOUT, WORDS, st.text(max_size=3)), max_size=40).map("".join)
)
MODES = st.sampled_from(["sentences", "lines", "none"])


def sentences(text: str, mode: SplitMode = "sentences", language: str = "en") -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, mode, language)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One.", ["One."]),
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid $3.50, e.g. in cash. He left.", ["Dr. Smith paid $3.50, e.g. in cash.", "He left."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ("A.\r\n\r\n\tB.\n", ["A.", "B."]),
        ("- one\n  * two\n3. three\n> four", ["one", "two", "three", "four"]),
        ("# Title\n\nText.", ["Title", "Text."]),
        ("a) one\n  B) two\n(c) three\niv) four\n(XII) five", ["one", "two", "three", "four", "five"]),
        (
            "A. Smith came.\nII. Start\nI. Go\nab) no\na)no\n(so) no",
            ["A. Smith came.", "Start", "Go", "ab) no", "a)no", "(so) no"],
        ),
        ("a) ", ["a)"]),
        ('What??? No!! Why?! So?!?!! "Ah!!" Hm...', ["What?", "No!", "Why?!", "So?!?!", '"Ah!!"', "Hm..."]),
        ("Name\tPrice\tSize", ["Name", "Price", "Size"]),
        ("left    right", ["left", "right"]),
        ("two  blanks inside", ["two  blanks inside"]),
        ("well-known - but not a list", ["well-known - but not a list"]),
        ("\ufeffHello.", ["Hello."]),
        ("12:30 …\n42\n😀\n---", []),
        ("这是第一句。这是第二句！", ["这是第一句。", "这是第二句！"]),
    ],
)
def test_sentences_are_found_and_layout_is_left_alone(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_german_abbreviation_ends_no_german_sentence() -> None:
    assert sentences("Das gilt z. B. am 3. Oktober. Und dann?", language="de") == [
        "Das gilt z. B. am 3. Oktober.",
        "Und dann?",
    ]


def test_lines_are_one_piece_each() -> None:
    assert sentences("One. Two.\n  Three.\n", "lines") == ["One. Two.", "Three."]


def test_without_splitting_the_text_is_one_piece_between_its_edges() -> None:
    assert sentences("  One.\nTwo. \n", "none") == ["One.\nTwo."]


def test_an_unknown_language_is_split_by_common_rules() -> None:
    assert sentences("Unu. Du.", language="qq-Zzzz") == ["Unu.", "Du."]


def test_layout_belongs_to_the_segment_before_it_and_at_the_start_to_the_first() -> None:
    text = "\n\n One. \tTwo.\n"
    first, second = to_segments(text, sentence_spans(text, "sentences", "en"))
    assert (first.before, first.source, first.after) == ("\n\n ", "One.", " \t")
    assert (second.before, second.source, second.after) == ("", "Two.", "\n")
    assert text[second.start : second.end] == "Two."


def test_a_text_without_anything_to_translate_is_one_segment_of_layout() -> None:
    (only,) = to_segments(" 42 \n", [])
    assert (only.before, only.source, only.after) == (" 42 \n", "", "")


def test_an_empty_text_has_no_segment() -> None:
    assert to_segments("", []) == []


@given(TEXTS, MODES)
def test_no_character_is_lost_doubled_or_moved(text: str, mode: SplitMode) -> None:
    segments = to_segments(text, sentence_spans(text, mode, "en"))
    assert "".join(one.before + one.source + one.after for one in segments) == text


@given(TEXTS, MODES)
def test_every_sentence_has_a_letter_and_bare_edges(text: str, mode: SplitMode) -> None:
    for sentence in sentences(text, mode):
        assert has_letter(sentence)
        assert sentence == sentence.strip()


@given(TEXTS)
def test_every_letter_is_translated_where_no_list_mark_has_one(text: str) -> None:
    assume(re.search(r"(?:[A-Za-z]\)|[IVX]\.)\s", text) is None)
    translated = "".join(sentences(text))
    assert [one for one in translated if one.isalpha()] == [one for one in text if one.isalpha()]


@pytest.mark.parametrize("unit", ["a.", "「あ。」", "a! ", '"A." ', "(a. b) ", "a\t", "Dr. ", "1. a\n"])
def test_a_huge_line_is_split_in_little_time_and_completely(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    segments = to_segments(text, sentence_spans(text, "sentences", "en"))
    assert "".join(one.before + one.source + one.after for one in segments) == text


def test_a_sentence_longer_than_the_window_stays_whole() -> None:
    long = "word " * 3_000 + "end."
    assert sentences(f"Short one. {long} Another.") == ["Short one.", long, "Another."]
