"""Variations of a pair say the same on both sides, are drawn by the seed, and leave alone what they must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.placeholders import placeholder_symbols
from training.augmentation import (
    Augmenter,
    behind_symbols,
    in_capitals,
    literal_words,
    other_name,
    other_numbers,
    without_final_stop,
)
from training.corpus import Pair
from training.data_config import AugmentationConfig
from training.made_up_names import made_up_name

SYMBOLS = placeholder_symbols(8)
PAIR = Pair("Tom moved to Boston in 1998.", "Tom zog 1998 nach Boston.")
TEXT = st.text(st.sampled_from("aT1 .ßé,\ue003'"), max_size=30)


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def augmenter(seed: int = 1, **shares: float) -> Augmenter:
    return Augmenter(AugmentationConfig(**shares), SYMBOLS, seed)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (*PAIR, {"Tom", "Boston", "1998"}),
        ("See https://a.org/x?y=1 now", "Siehe https://a.org/x?y=1 jetzt", {"https://a.org/x?y=1"}),
        ("Was it you?", "Was war es?", set()),
        ("in a hotel in Rome", "in einem Hotel in Rom", set()),
        ("Tom likes Tom", "Tom mag Tom", set()),
        ("“Tom”, he said", "Er sagte: „Tom“", {"Tom"}),
    ],
)
def test_words_that_may_be_copied_stand_alike_and_once_on_both_sides(
    source: str, target: str, words: set[str]
) -> None:
    assert set(literal_words(Pair(source, target))) == words


@given(st.integers(0, 2**32))
def test_a_made_up_name_is_one_word_or_two_with_capitals_and_begins_with_a_consonant(seed: int) -> None:
    words = made_up_name(np.random.default_rng(seed)).split(" ")
    assert 1 <= len(words) <= 2
    assert all(word.isalpha() and word.istitle() and len(word) >= 2 for word in words)
    assert words[0][0] not in "AEIOUYÄÖÜH"


@given(st.integers(0, 2**32))
def test_one_name_becomes_another_on_both_sides(seed: int) -> None:
    source, target = other_name(PAIR, np.random.default_rng(seed))
    (left,) = {"Tom", "Boston"} & set(target.split(" ")[:1] + target.rstrip(".").split(" ")[-1:])
    gone = "Boston" if left == "Tom" else "Tom"
    before, after = PAIR.source.split(gone)
    name = source[len(before) : len(source) - len(after)]
    assert name != gone
    assert target == PAIR.target.replace(gone, name)


@pytest.mark.parametrize(
    "pair",
    [
        Pair("The hotel was full.", "Das Hotel war voll."),
        Pair("Tom likes Tom.", "Tom mag Tom."),
        Pair("It was 1998.", "Es war 1998."),
        Pair("Tom and not Tom's.", "Tom und nicht Tom-Tom."),
    ],
)
def test_without_a_name_that_both_sides_have_once_nothing_is_changed(pair: Pair) -> None:
    assert other_name(pair, random()) == pair


def test_names_come_by_their_share_and_are_counted() -> None:
    some = augmenter(names=0.5)
    changed = sum(some.vary(PAIR) != PAIR for _ in range(200))
    assert 60 < changed == some.counts["names"] < 140
    assert "names" in some.describe()
    assert not augmenter(names=0.0).counts


def test_a_symbol_stands_for_the_same_word_on_both_sides() -> None:
    source, target = behind_symbols(PAIR, SYMBOLS[:3], random())
    for word, symbol in _standing_for(source).items():
        assert target.count(symbol) == 1
        target = target.replace(symbol, word)
    assert target == PAIR.target


def _standing_for(source: str) -> dict[str, str]:
    words = dict(zip(PAIR.source.strip(".").split(), source.strip(".").split(), strict=True))
    return {word: symbol for word, symbol in words.items() if symbol in SYMBOLS}


def test_no_more_words_are_replaced_than_there_are_symbols() -> None:
    assert sum(symbol in behind_symbols(PAIR, SYMBOLS[:2], random()).source for symbol in SYMBOLS) == 2


def test_a_number_becomes_the_same_other_number_on_both_sides() -> None:
    source, target = other_numbers(PAIR, random())
    number = source.removesuffix(".").split()[-1]
    assert (number != "1998", len(number), f"zog {number} nach" in target) == (True, 4, True)


@pytest.mark.parametrize("text", ["1,998.50 Euro", "5", "A1998", "v1998b"])
def test_what_is_not_a_whole_number_stays(text: str) -> None:
    assert other_numbers(Pair(text, text), random()) == Pair(text, text)


def test_only_a_stop_of_both_sides_is_taken() -> None:
    assert without_final_stop(Pair("Go!", "Geh!")) == Pair("Go", "Geh")
    assert without_final_stop(Pair("Go!", "Geh")) == Pair("Go!", "Geh")
    assert without_final_stop(Pair("...", "...")) == Pair("...", "...")


def test_capitals_are_of_both_sides() -> None:
    assert in_capitals(Pair("the street", "die Straße")) == Pair("THE STREET", "DIE STRASSE")


def test_nothing_is_varied_by_default() -> None:
    assert list(augmenter().variations([PAIR] * 3)) == [PAIR] * 3
    assert augmenter().describe() == ""


def test_the_seed_decides_and_every_draw_is_its_own() -> None:
    shares = {"placeholders": 0.5, "numbers": 0.5, "lower_case": 0.3, "no_final_stop": 0.5}
    first, second, other = (augmenter(seed, **shares) for seed in (1, 1, 2))
    runs = [[one.vary(PAIR) for _ in range(30)] for one in (first, second, other)]
    assert runs[0] == runs[1] != runs[2]
    assert len(set(runs[0])) > 10
    assert first.counts == second.counts


@pytest.mark.parametrize("kind", sorted(set(AugmentationConfig.model_fields) - {"placeholders", "joined"}))
def test_about_the_share_that_is_asked_for_is_varied(kind: str) -> None:
    one = augmenter(**{kind: 0.25})
    varied = [one.vary(PAIR) for _ in range(2000)]
    assert 0.2 < sum(pair != PAIR for pair in varied) / 2000 < 0.3
    assert one.counts.keys() == {kind}
    assert kind.replace("_", " ") in one.describe()


@given(TEXT, TEXT, st.integers(0, 100))
def test_symbols_are_as_many_on_both_sides_and_no_side_is_emptied(
    source: str, target: str, seed: int
) -> None:
    plain = Pair(*(text.translate({ord(symbol): None for symbol in SYMBOLS}) for text in (source, target)))
    changed = augmenter(seed, placeholders=1.0, no_final_stop=1.0).vary(plain)
    for symbol in SYMBOLS:
        assert changed.source.count(symbol) == changed.target.count(symbol) <= 1
    assert all(bool(text) >= bool(was) for text, was in zip(changed, plain, strict=True))


def test_what_is_joined_is_varied_as_one_text_and_counted() -> None:
    one = augmenter(joined=1.0, numbers=1.0, no_final_stop=1.0)
    first, *others = one.variations([PAIR] * 50)
    assert first.source.count("Tom moved") == 1
    assert all(1 < pair.source.count("Tom moved") == pair.target.count("Tom zog") for pair in others)
    assert not any(text.endswith(".") for pair in others for text in pair)
    assert one.counts["joined"] == 49
    assert "joined 49" in one.describe()


def test_without_joining_the_draws_are_those_of_a_verto_that_knew_none() -> None:
    one, other = (augmenter(numbers=0.5, names=0.5, lower_case=0.3) for _ in range(2))
    assert list(one.variations([PAIR] * 30)) == [other.vary(PAIR) for _ in range(30)]
