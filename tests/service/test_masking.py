"""Spans are masked by one character each, and a translation gets them back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.masking import Mask, has_private, mask, private_runs, without_capitals
from service.protected_spans import protected_spans
from service.unmasking import Unmasking, masked_prefix, restored, shown_pieces, shown_text

SYMBOLS = tuple(map(chr, range(0xE000, 0xE006)))
A, B, C = SYMBOLS[:3]


def masked(text: str) -> Mask:
    made = mask(text, protected_spans(text), SYMBOLS)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call {name}: 1,250 files", f"Call {A}: {B} files"),
        ("(see https://x.org/y).", f"(see {A})."),
        ("<b>Hello</b> world", f"{A} Hello {B} world"),
        ("It is 100km away", f"It is {A} km away"),
        ("%s%s", A),
        ("Plain.", "Plain."),
    ],
)
def test_a_symbol_stands_as_a_word_of_its_own(text: str, expected: str) -> None:
    assert masked(text).text == expected
    assert restored(masked(text), expected) == text


PIECES = st.sampled_from(
    [
        "ab",
        "Cd",
        " ",
        "  ",
        ".",
        "(",
        "-",
        "{x}",
        "<b>",
        "</b>",
        "123",
        "1,5",
        "a@b.de",
        "😀",
        "\ue000",
        "\ue003",
        "é",
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_a_translation_that_changes_nothing_gives_the_source_again(text: str) -> None:
    text = text.strip()
    made = mask(text, protected_spans(text), SYMBOLS)
    if made is not None:
        assert restored(made, made.text) == text
        assert has_private(made.text) == bool(made.copies)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_each_character_of_a_mask_knows_its_place_in_the_source(text: str) -> None:
    made = mask(text, protected_spans(text), SYMBOLS)
    if made is None:
        return
    copies = {copy.symbol: copy.text for copy in made.copies}
    shown = [text[start:end] for start, end in made.places()]
    assert len(shown) == len(made.text)
    assert all(
        one in (copies.get(character, character), "") for one, character in zip(shown, made.text, strict=True)
    )
    assert "".join(shown) == text


SYMBOLS_AND_WORDS = st.sampled_from([*SYMBOLS, " ", "a", "Bc", "7", ".", "\uf000"])


@given(st.lists(SYMBOLS_AND_WORDS, max_size=20), st.integers(0, 3))
def test_whatever_a_model_writes_nothing_is_lost_doubled_or_made_up(written: list[str], count: int) -> None:
    spans = ["{x}", "12,50", "http://y.z/q?w"][:count]
    made = masked("Ab " + " cd ".join(spans))
    text = "".join(written).strip()
    unmasking = Unmasking(made)
    in_pieces = "".join(map(unmasking.push, text)) + unmasking.finish()
    assert in_pieces == restored(made, text)
    assert not has_private(in_pieces)
    assert all(in_pieces.count(span) == 1 for span in spans)
    words = "".join(character for character in text if not has_private(character)).split()
    remaining = in_pieces
    for span in spans:
        remaining = remaining.replace(span, " ")
    assert "".join(remaining.split()) == "".join(words)


def test_a_number_is_not_run_on_by_digits_nor_an_address_by_letters() -> None:
    assert restored(masked("Ab 1,250 cd"), f"x {A}5") == "x 1,250 5"
    assert restored(masked("Ab 1250 cd"), f"7{A}er") == "7 1250er"
    assert restored(masked("Ab http://x.y cd"), f"x{A}z") == "x http://x.y z"
    assert restored(masked("Ab {x} cd"), f"x{A}s") == "x{x}s"


def test_of_a_translation_that_was_cut_short_no_span_is_asked() -> None:
    assert restored(masked("Ab {x} cd {y}"), f"Ab {A} cd", is_complete=False) == "Ab {x} cd"


def test_where_in_the_text_each_pushed_character_is_shown() -> None:
    unmasking = Unmasking(masked("<b>Hello</b> {x}"))
    text = f"{A} Hi {B} {C} {C}, yo"
    shown = "".join(map(unmasking.push, text))
    assert shown == "<b>Hi</b> {x}, yo"
    place = dict(zip(text, unmasking.places, strict=True))
    assert shown[slice(*place[A])] == "<b>"
    assert shown[slice(*place["H"])] == "H"
    assert shown[slice(*place[","])] == ","
    assert shown[slice(*place["o"])] == "o"


def test_a_row_of_numbers_takes_one_symbol_where_there_are_too_few() -> None:
    made = masked("Take 100, 200, 300, 400, 500, 600, 700 and {x}.")
    assert [copy.text for copy in made.copies] == ["100, 200, 300, 400, 500, 600, 700", "{x}"]


def test_what_has_no_symbol_left_stays_the_model_s_but_for_what_is_taken_for_one() -> None:
    made = masked("{a} b {c} d {e} f {g} h {i} j {k} l \ue005 m")
    assert [copy.text for copy in made.copies] == ["{a}", "{c}", "{e}", "{g}", "{i}", "\ue005"]
    assert "{k}" in made.text
    text = " a ".join("\ue000\ue001\ue002\ue003\ue004\ue005\ue006")
    assert mask(text, protected_spans(text), SYMBOLS) is None


@pytest.mark.parametrize("unit", ["dog \ue000 ", "dog {x} "])
def test_far_too_many_spans_are_told_apart_in_little_time(unit: str) -> None:
    text = unit * 12_000
    spans = protected_spans(text)
    before = time.process_time()
    mask(text, spans, SYMBOLS)
    assert time.process_time() - before < 0.5


def test_characters_in_a_row_are_one_place() -> None:
    assert [private_runs(text) for text in ("", "a", "\ue000\uf8ff", "\ue000a\ue000 \ue001")] == [0, 0, 1, 3]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("Ruf {name} an", f"Ruf {A} an"),
        ("In 12000 Jahren 1200", f"In 12000 Jahren {B}"),
        ("<b>Ruf", f"{C} Ruf"),
        ("Ruf", "Ruf"),
    ],
)
def test_a_prefix_is_masked_as_the_source_is(prefix: str, expected: str) -> None:
    made = masked("Call {name} in 1200 <b>years</b>.")
    assert masked_prefix(made, prefix) == expected
    assert restored(made, expected, is_complete=False) == prefix


def test_pieces_are_shown_as_what_they_stand_for() -> None:
    assert shown_pieces(masked("Ab {x}"), ["▁Ab", "▁", A, B]) == ["▁Ab", "▁", "{x}", ""]
    assert shown_pieces(None, ["▁Ab", A]) == ["▁Ab", A]


def test_a_span_that_comes_behind_a_stop_is_set_apart_from_it() -> None:
    made = masked("Ab {x} cd (12,5) e")
    assert restored(made, f"Ab. {B}{A}") == "Ab. 12,5{x}"
    assert restored(made, f"Ab.{A} ({B})") == "Ab. {x} (12,5)"
    assert restored(made, f"Ab-{A}, cd.{B}") == "Ab-{x}, cd.12,5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DO I LIKE {name}? YES", f"Do I like {A}? yes"),
        ("1) DIE STRAßE", "1) Die straße"),
        ("USA", "USA"),
        ("A B C", "A B C"),
        ("İİ İİ", "İİ İİ"),
        ("THE iPhone", f"THE {A}"),
        ("Not ALL of it", "Not ALL of it"),
    ],
)
def test_capitals_are_read_as_small_letters_and_shown_as_capitals(text: str, expected: str) -> None:
    made = without_capitals(masked(text))
    assert made.text == expected
    if made.in_capitals:
        assert restored(made, f"Straße {A} ja") == "STRASSE " + (
            made.copies[0].text + " JA" if made.copies else "JA"
        )
        assert shown_text(made, " ja") == " JA"


@given(st.text(st.sampled_from("ABI İÄß.1"), max_size=12))
def test_small_letters_for_capitals_stand_in_the_same_places(text: str) -> None:
    made = masked(text)
    small = without_capitals(made)
    assert len(small.text) == len(made.text)
    assert small.places() == made.places()
