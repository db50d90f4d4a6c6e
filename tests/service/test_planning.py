"""A job becomes a plan, or is refused with the field, the bound and the value."""

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.options import DecodingOptions
from model.tokenizer import Tokenizer
from service.errors import (
    InvalidRequest,
    LanguageNotAvailable,
    ModelNotFound,
    RequestTooLarge,
    SegmentTooLong,
    ServiceError,
)
from service.jobs import TranslationJob
from service.masking import has_private
from service.planning import Limits, PlannedSegment, PlannedText, Planner
from service.registry import ModelRegistry, ServedModel
from tests.builders import tiny_tokenizer
from tests.fakes import CharacterTokenizer, FakeDetector, FakeEngine, served_model


def model(name: str, *pairs: tuple[str, str], max_source_length: int = 120) -> ServedModel:
    return served_model(FakeEngine(), name, pairs, max_source_length=max_source_length)


def plan(job: TranslationJob, *models: ServedModel) -> list[PlannedText]:
    registry = ModelRegistry(models or [model("en-de", ("en", "de"))])
    return Planner(registry, FakeDetector(), Limits(500, 5)).plan(job)


def job(*texts: str, **fields: object) -> TranslationJob:
    values = {"options": {}, **fields}
    return TranslationJob(texts=texts, **values)  # type: ignore[arg-type]


def refusal(kind: type[ServiceError], asked: TranslationJob, *models: ServedModel) -> tuple[str, str, object]:
    with pytest.raises(kind) as caught:
        plan(asked, *models)
    fault = caught.value.faults[0]
    return fault.field, fault.bound, fault.value


def sources(text: PlannedText) -> list[str]:
    return [one.segment.source for one in text.segments]


def test_each_text_has_its_segments_with_their_ids() -> None:
    first, second = plan(job("One. Two.", "42", source="en"))
    assert sources(first) == ["One.", "Two."]
    assert [len(one.source_ids) for one in first.segments] == [5, 5]
    assert [one.source_ids for one in second.segments] == [()]


def test_the_first_model_by_name_that_serves_the_pair_is_chosen_unless_one_is_named() -> None:
    models = [model("b", ("en", "de")), model("a", ("en", "de")), model("0", ("en", "fr"))]
    assert plan(job("Hi", source="en", target="de"), *models)[0].route.model.name == "a"
    assert plan(job("Hi", source="en", target="de", model="b"), *models)[0].route.model.name == "b"


def test_codes_are_matched_without_case_and_region_and_answered_as_the_bundle_writes_them() -> None:
    route = plan(job("Hi", source="EN_us", target="DE-at"))[0].route
    assert route.pair == "en-de"


def test_the_source_is_detected_for_each_text() -> None:
    both = model("both", ("en", "de"), ("de", "en"))
    texts = plan(job("en: good day", "de: guten Tag", "42"), both)
    assert [text.detected_source for text in texts] == ["en", "de", None]
    assert [text.route.pair for text in texts] == ["en-de", "de-en", "en-de"]


def test_a_sure_and_long_text_in_a_language_that_nobody_serves_is_refused() -> None:
    field, bound, value = refusal(LanguageNotAvailable, job("fr: bonjour tout le monde, comment ça va ?"))
    assert (field, value) == ("source", "fr")
    assert bound == "given, or the text in one of en"


def test_a_short_text_that_seems_to_be_in_another_language_is_taken_for_a_served_one() -> None:
    assert plan(job("fr: taxi"))[0].detected_source == "en"


def test_unknown_languages_and_pairs_and_models_are_refused_with_what_there_is() -> None:
    models = [model("a", ("en", "de")), model("b", ("de", "fr"))]
    assert refusal(LanguageNotAvailable, job("x", source="xx"), *models) == ("source", "one of en, de", "xx")
    assert refusal(LanguageNotAvailable, job("x", target="ja"), *models) == ("target", "one of de, fr", "ja")
    pair = refusal(LanguageNotAvailable, job("x", source="en", target="fr"), *models)
    assert pair == ("target", "of a served pair: en-de, de-fr", "en-fr")
    assert refusal(ModelNotFound, job("x", model="c"), *models) == ("model", "one of a, b", "c")


def test_the_target_is_needed_where_there_are_several() -> None:
    many = model("many", ("en", "de"), ("en", "fr"), ("de", "fr"))
    assert refusal(InvalidRequest, job("x", source="en"), many) == ("target", "given: one of de, fr", None)
    assert plan(job("x", source="de"), many)[0].route.target == "fr"


def test_options_are_filled_from_the_model_and_checked_as_a_whole() -> None:
    greedy = served_model(FakeEngine(), defaults=DecodingOptions(strategy="greedy", min_length=2))
    options = plan(job("x", options={"max_length": 9}), greedy)[0].options
    assert (options.strategy, options.min_length, options.max_length) == ("greedy", 2, 9)
    field, bound, value = refusal(InvalidRequest, job("x", options={"num_hypotheses": 5}))
    assert (field, bound, value) == ("num_hypotheses", "in 1..4", 5)


def test_too_many_texts_or_characters_are_refused() -> None:
    assert refusal(RequestTooLarge, job(*["x"] * 6)) == ("text", "at most 5 texts", 6)
    field, bound, value = refusal(RequestTooLarge, job("x" * 300, "y" * 201))
    assert (field, bound, value) == ("text", "at most 500 characters in all texts together", 501)


@pytest.mark.parametrize("split", ["sentences", "lines"])
def test_a_long_sentence_is_divided_until_every_piece_fits(split: str) -> None:
    text = "one two three four five six seven eight nine ten, " * 4
    short = model("short", ("en", "de"), max_source_length=30)
    (planned,) = plan(job(text, split=split), short)
    assert all(2 <= len(one.source_ids) <= 30 for one in planned.segments)
    assert (
        "".join(one.segment.before + one.segment.source + one.segment.after for one in planned.segments)
        == text
    )


def test_the_limit_counts_the_end_mark() -> None:
    exact = model("exact", ("en", "de"), max_source_length=6)
    assert sources(plan(job("abcde"), exact)[0]) == ["abcde"]
    assert sources(plan(job("abcdef"), exact)[0]) == ["abc", "def"]


def test_without_splitting_a_long_text_is_refused_naming_bound_and_value() -> None:
    field, bound, value = refusal(SegmentTooLong, job("fine", "x" * 130, split="none"))
    assert (field, value) == ("text[1]", 131)
    assert bound.startswith("at most 120 tokens in one piece")
    assert refusal(SegmentTooLong, job("x" * 130, split="none", is_array=False))[0] == "text"


def test_a_sentence_of_which_the_tokenizer_leaves_nothing_passes_through() -> None:
    class Dropping(CharacterTokenizer):
        def encode_source(self, text: str) -> list[int]:
            return super().encode_source(text.replace("\u3164", ""))

    dropping = replace(model("dropping", ("en", "de")), tokenizer=cast(Tokenizer, Dropping()))
    (planned,) = plan(job("One.\n\u3164\nTwo."), dropping)
    assert sources(planned) == ["One.", "Two."]


@pytest.mark.parametrize(
    "text", ["00000000， 0A", "aaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
)
def test_divided_pieces_have_bare_edges(text: str) -> None:
    (planned,) = plan(job(text), model("short", ("en", "de"), max_source_length=12))
    assert all(source == source.strip() for source in sources(planned))
    assert (
        "".join(one.segment.before + one.segment.source + one.segment.after for one in planned.segments)
        == text
    )


@given(st.text(st.sampled_from("aé0 ，.\t"), max_size=60), st.integers(3, 15))
def test_pieces_have_bare_edges_and_fit_whatever_the_text(text: str, limit: int) -> None:
    (planned,) = plan(job(text), model("short", ("en", "de"), max_source_length=limit))
    assert all(source == source.strip() for source in sources(planned))
    assert all(len(one.source_ids) <= limit for one in planned.segments)
    assert (
        "".join(one.segment.before + one.segment.source + one.segment.after for one in planned.segments)
        == text
    )


def test_pieces_without_a_letter_that_come_of_dividing_pass_through() -> None:
    short = model("short", ("en", "de"), max_source_length=6)
    (planned,) = plan(job("abcd 1234 5678 efgh"), short)
    assert sources(planned) == ["abcd", "efgh"]
    assert planned.segments[0].segment.after == " 1234 5678 "


def copying(max_source_length: int = 60) -> ServedModel:
    """A model with three symbols for what it copies."""
    return replace(
        model("en-de", ("en", "de"), max_source_length=max_source_length),
        tokenizer=tiny_tokenizer(placeholders=3),
    )


def private(count: int) -> str:
    return " ".join(f"ba {chr(0xE000 + number % 5)} go" for number in range(count)) + "."


def test_a_sentence_with_more_private_characters_than_there_are_symbols_is_divided() -> None:
    (planned,) = plan(job(private(20)), copying(500))
    assert len(planned.segments) > 1
    assert all(one.source_ids for one in planned.segments)
    assert sum(len(one.mask.copies) for one in planned.segments if one.mask) == 20
    assert all(one.mask is not None and not has_private(restoring(one)) for one in planned.segments)


def restoring(planned: PlannedSegment) -> str:
    """What the model reads but for its own symbols."""
    assert planned.mask is not None
    symbols = {copy.symbol for copy in planned.mask.copies}
    return "".join(one for one in planned.mask.text if one not in symbols)


def test_without_splitting_too_many_private_characters_are_refused_naming_bound_and_value() -> None:
    field, bound, value = refusal(SegmentTooLong, job(private(4), split="none"), copying(500))
    assert (field, value) == ("text[0]", 4)
    assert "in at most 3 places of one piece" in bound
    assert plan(job(private(3), split="none"), copying(500))[0].segments[0].source_ids


PRIVATE_PIECES = st.sampled_from(["ba ", "go ", "\ue000", "\ue004", " ", ", ", "{1} "])


@given(st.lists(PRIVATE_PIECES, max_size=40).map("".join))
def test_whatever_private_characters_a_text_has_all_its_words_are_translated(text: str) -> None:
    (planned,) = plan(job(text), copying(20))
    segments = [one.segment for one in planned.segments]
    assert "".join(one.before + one.source + one.after for one in segments) == text
    read = "".join(one.mask.source for one in planned.segments if one.source_ids and one.mask)
    assert list(filter(str.isalpha, read)) == list(filter(str.isalpha, text))
