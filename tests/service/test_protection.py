"""What a model cannot spell is masked too; what the request speaks of is left to it."""

from __future__ import annotations

import pytest

from service.protected_spans import protected_spans
from service.protection import MAX_REMEMBERED_LENGTH, Protector, Target
from service.unmasking import restored
from tests.builders import tiny_tokenizer

TOKENIZER = tiny_tokenizer(placeholders=6)


@pytest.fixture(scope="module")
def protector() -> Protector:
    made = Protector.of(TOKENIZER)
    assert made is not None
    return made


def copied(protector: Protector, text: str, target: Target | None = None) -> list[str]:
    made = protector.masked(text, protected_spans(text), target or Target())
    assert made is not None
    assert len(made.ids.wanted) == len(made.mask.copies)
    assert restored(made.mask, made.mask.text) == text
    return [copy.text for copy in made.mask.copies]


def test_a_model_without_placeholders_has_no_protector() -> None:
    assert Protector.of(tiny_tokenizer()) is None


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Ba Привет, мир! de", ["Привет, мир"]),
        ("Ba Łukasz go", ["Łukasz"]),
        ("Ba 東京タワー go नमस्ते", ["東京タワー", "नमस्ते"]),
        ("Ba → de ∑x", ["→", "∑"]),
        ("Sä tö wü: a\u0308, de…", []),  # composed, the tokenizer has them; the last is punctuation
        ("Ba\u200b de\u00a0go", []),
        ("Ba Ätö WÜ", []),
        (
            "Ba \x07 de \x1b[1mgo\x1b[0m, to\x01 wa\x7f \x80te",
            ["\x07", "\x1b[1m", "\x1b[0m", "\x01", "\x7f \x80"],
        ),
        ("Ba\tde\x1fgo\x85to\x0b", []),  # white space
        ("Ba ▁ de▁go", ["▁", "▁"]),  # which marks words in pieces
        ("Ba Привет {x}мир", ["Привет", "{x}мир"]),
        ("Ba Nguyễn Văn An de An go", ["Nguyễn Văn An"]),
        ("Łódź Żabka", ["Łódź Żabka"]),
        ("Ba Łukasz Ba de", ["Łukasz"]),  # one such word may stand before any other
        ("Nguyễn Văn. Ba de Nguyễn Văn  Ba", ["Nguyễn Văn", "Nguyễn Văn"]),
        ("NGUYỄN VĂN BA DE Nguyễn Văn BA", ["NGUYỄN VĂN", "Nguyễn Văn"]),
        ("Ba łódź żabka Ba de Łódź żabka Ba", ["łódź żabka", "Łódź żabka"]),
    ],
)
def test_words_and_marks_that_the_vocabulary_lacks_are_copied(
    protector: Protector, text: str, spans: list[str]
) -> None:
    assert copied(protector, text) == spans


@pytest.mark.parametrize(
    ("language", "spans"),
    [
        ("fr", ["Łukasz"]),
        ("de", ["sœur", "NOËL", "Łukasz", "ŒUF", "e\u0308"]),
        (None, ["sœur", "NOËL", "Łukasz", "ŒUF", "e\u0308"]),
    ],
)
def test_a_word_with_rare_letters_of_its_own_language_is_the_model_s(
    protector: Protector, language: str | None, spans: list[str]
) -> None:
    text = "Ba sœur de NOËL go Łukasz to ŒUF te e\u0308"
    made = protector.masked(text, protected_spans(text), language=language)
    assert made is not None
    assert [copy.text for copy in made.mask.copies] == spans


def test_letters_that_a_vocabulary_without_bytes_cannot_read_are_copied_in_any_language() -> None:
    tokenizer = tiny_tokenizer(placeholders=6, byte_fallback=False)
    protector = Protector.of(tokenizer)
    assert protector is not None
    made = protector.masked("Ba sœur", [], language="fr")
    assert made is not None
    assert [copy.text for copy in made.mask.copies] == ["sœur"]


def test_each_span_has_an_id_of_its_own_among_those_of_all_symbols(protector: Protector) -> None:
    made = protector.masked("Ba {x} de {x}", [(3, 6), (10, 13)])
    assert made is not None
    assert made.ids.wanted == {TOKENIZER.placeholder_id("\ue000"), TOKENIZER.placeholder_id("\ue001")}
    assert made.ids.every == set(map(TOKENIZER.placeholder_id, TOKENIZER.placeholders))


def test_capitals_are_read_as_small_letters_unless_something_is_said_of_the_target(
    protector: Protector,
) -> None:
    made, said = (protector.masked("BA WÜ {X}", [(6, 9)], one) for one in (Target(), Target(prefix="KA")))
    assert made is not None
    assert said is not None
    assert (made.mask.text, said.mask.text) == ("Ba wü \ue000", "BA WÜ \ue000")


@pytest.mark.parametrize(
    ("target", "spans"),
    [
        (Target(), ["{name}", "1,250"]),
        (Target(phrases=("Name",)), ["1,250"]),
        (Target(phrases=("um 1,250 Euro",)), ["{name}"]),
        (Target(phrases=("de {",)), ["1,250"]),
        (Target(phrases=("250 \t Go",)), ["{name}"]),
        (Target(phrases=("ab 1",)), ["{name}"]),
        (Target(phrases=("ab 1,2", "50 go", "de {Na")), ["{name}", "1,250"]),  # no whole words there
        (Target(prefix="Ba 1,2"), ["{name}"]),
        (Target(prefix="Ba 1,250"), ["{name}", "1,250"]),
        (Target(prefix="Ba {name"), ["1,250"]),
        (Target(prefix="Ba x1"), ["{name}", "1,250"]),
    ],
)
def test_what_a_request_speaks_of_in_part_is_left_to_the_model(
    protector: Protector, target: Target, spans: list[str]
) -> None:
    assert copied(protector, "Ba {name} de 1,250 go", target) == spans


def test_a_letter_with_marks_without_end_is_not_remembered() -> None:
    protector = Protector.of(TOKENIZER)
    assert protector is not None
    long = "q" + "\u0301" * MAX_REMEMBERED_LENGTH
    assert copied(protector, f"Ba {long} de q\u0301") == [long, "q\u0301"]
    assert "q\u0301" in protector._is_known
    assert long not in protector._is_known


@pytest.mark.parametrize(("prefix", "texts"), [("", ["20:00"]), ("Ba 20:0", []), ("Ba 8 p", ["20:00"])])
def test_a_prefix_may_end_within_an_hour_as_the_translation_shows_it(
    protector: Protector, prefix: str, texts: list[str]
) -> None:
    text = "Ba 8 pm"
    made = protector.masked(text, protected_spans(text, "en", "de"), Target(prefix=prefix))
    assert made is not None
    assert [copy.text for copy in made.mask.copies] == texts
