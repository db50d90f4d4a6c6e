"""Text that is forced is spelled exactly or refused; text that is banned is found however it is spelled."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.phrases import BannedPhrases, UnwritableError, exact_ids
from tests.builders import tiny_tokenizer
from tests.service.test_detokenizer import TOKENIZERS

TOKENIZER = tiny_tokenizer("unigram")
WORD = st.text("abdefghiklmnopstuwäöüß", min_size=1, max_size=6)


def banned(*phrases: str) -> BannedPhrases:
    return BannedPhrases(TOKENIZER, phrases)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
@settings(max_examples=80, deadline=None)
def test_what_is_forced_is_spelled_to_the_character_or_refused(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    written = tokenizer.decode_target(tokenizer.encode_target(text))
    if written == text:
        assert tokenizer.decode_target(exact_ids(tokenizer, text)) == text
    else:
        with pytest.raises(UnwritableError) as caught:
            exact_ids(tokenizer, text)
        assert (caught.value.text, caught.value.written) == (text, written)


@given(prefix=WORD, more=st.lists(st.integers(0, TOKENIZER.target_vocab_size - 1), max_size=8))
def test_whatever_follows_the_ids_of_a_prefix_the_text_begins_with_it(prefix: str, more: list[int]) -> None:
    token_ids = exact_ids(TOKENIZER, prefix)
    assert TOKENIZER.decode_target([*token_ids, *more]).startswith(prefix)


@pytest.mark.parametrize("text", [" ba", "ba ", "ba  de", "ba\nde", "e\u0301", "a\u00adb"])
def test_what_the_model_would_write_otherwise_is_refused(text: str) -> None:
    with pytest.raises(UnwritableError):
        exact_ids(TOKENIZER, text)


@pytest.mark.parametrize(
    ("phrase", "text", "stands_there"),
    [
        ("Haus", "Das Haus.", True),
        ("haus", "„HAUS“", True),
        ("Haus", "Hausmeister", False),
        ("Haus", "Rathaus", False),
        ("Haus", "Rat-Haus", True),
        ("das Haus", "Das \n haus?", True),
        ("das Haus", "das alte Haus", False),
        (".", "Nein.", True),
        ("z.B.", "so z.B. hier", True),
        (" Haus ", "Haus", True),
        ("C++", "in C++ geschrieben", True),
        ("a+", "aa", False),
    ],
)
def test_a_phrase_is_found_as_whole_words_in_any_case(phrase: str, text: str, stands_there: bool) -> None:
    assert banned("none", phrase).phrase_in(text) == (phrase if stands_there else None)


def test_a_phrase_is_found_as_the_tokenizer_writes_it_too() -> None:
    assert banned("Kafe\u0301").phrase_in("ein Kaf\u00e9") == "Kafe\u0301"


@given(words=st.lists(WORD, min_size=1, max_size=6), data=st.data())
@settings(deadline=None)
def test_the_tokens_found_spell_the_phrase_however_it_is_cut_into_pieces(
    words: list[str], data: st.DataObject
) -> None:
    """Each word spelled piece by piece, cut at random places, as no tokenizer would."""
    phrase = data.draw(st.sampled_from(words))
    token_ids: list[int] = []
    for word in words:
        cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(word) - 1)), max_size=2)))
        parts = [word[a:b] for a, b in zip([0, *cuts], [*cuts, len(word)], strict=True) if a < b]
        for index, part in enumerate(parts):
            ids = TOKENIZER.encode_target("x" + part if index else part)[:-1]
            spelled = TOKENIZER.encode_target("x")[:-1]
            token_ids += ids if not index else ids[len(spelled) :] if ids[: len(spelled)] == spelled else ids
    text = TOKENIZER.decode_target(token_ids)
    found = banned(phrase).found_in(token_ids)
    pattern = re.compile(rf"(?<!\w){phrase}(?!\w)", re.IGNORECASE)
    assert bool(found.there) == bool(pattern.search(text))
    for sequence in found.there:
        starts = range(len(token_ids) - len(sequence) + 1)
        assert any(tuple(token_ids[start : start + len(sequence)]) == sequence for start in starts)
        assert phrase.casefold() in TOKENIZER.decode_target(sequence).casefold()


def test_the_usual_spellings_of_what_was_found_come_along() -> None:
    found = banned("ba de", "fi").found_in(exact_ids(TOKENIZER, "go BA DE"))
    spelled = {TOKENIZER.decode_target(sequence) for sequence in found.usual}
    assert spelled == {"ba de", "BA DE", "Ba De", "Ba de"}
    assert banned("fi").found_in(exact_ids(TOKENIZER, "go BA DE")) == ({}, {})
