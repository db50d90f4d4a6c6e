"""Each segment is decoded as its request says for it: the prefix at the beginning, a seed for each."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from model.decoding import DecodingOptions
from model.decoding.options import OptionError
from service.errors import InvalidRequest
from service.jobs import TranslationJob
from service.registry import Route
from service.segment_options import checked_options, options_of_segment, seed_of_segment
from tests.fakes import CharacterTokenizer, FakeEngine, served_model
from tests.service.http_client import app_client

SAMPLE = {"strategy": "sample", "seed": 5}


def ids_of(text: str) -> tuple[int, ...]:
    return tuple(CharacterTokenizer().encode_target(text)[:-1])


def engine_after(**body: Any) -> FakeEngine:
    engine = FakeEngine()
    response = app_client(served_model(engine)).post("/v1/translate", json={"source": "en", **body})
    assert response.status_code == 200, response.text
    return engine


def test_every_option_reaches_the_engine() -> None:
    asked = {
        "coverage_penalty": 0.3,
        "diversity_groups": 2,
        "diversity_penalty": 0.7,
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 3,
    }
    (request,) = engine_after(text="One.", **asked).requests
    assert request.options == DecodingOptions(**asked)
    drawn = {"temperature": 0.5, "top_k": 9, "top_p": 0.8, "min_p": 0.1, "epsilon": 0.01}
    (request,) = engine_after(text="One.", strategy="sample", **drawn).requests
    assert request.options == DecodingOptions(strategy="sample", **drawn)


def test_what_is_no_number_is_refused_though_a_request_before_had_that_number() -> None:
    route = Route(served_model(FakeEngine()), "en", "de")
    for _ in range(2):
        job = TranslationJob(texts=("One.",), options={"beam_size": 1})
        assert checked_options(job, route, "").beam_size == 1
        with pytest.raises(InvalidRequest, match="beam_size must be an integer"):
            checked_options(replace(job, options={"beam_size": True}), route, "")


def test_a_prefix_is_the_first_segment_s_and_the_text_begins_with_it_behind_its_layout() -> None:
    engine = FakeEngine()
    body = {"text": "  - One.  Two.", "source": "en", "prefix": "Ei"}
    answer = app_client(served_model(engine)).post("/v1/translate", json=body).json()
    prefixes = {request.segment_id: request.options.prefix_ids for request in engine.requests}
    assert list(prefixes.values()) == [ids_of("Ei"), ()]
    assert answer["translations"][0]["text"] == "  - EiOne.  Two."


def test_an_empty_prefix_is_none() -> None:
    (request,) = engine_after(text="One.", prefix="").requests
    assert request.options == DecodingOptions()


def test_required_phrases_are_every_text_s_each_once() -> None:
    engine = engine_after(text=["One.", "Two."], required=["ab", "c", "ab"])
    assert [request.options.required_ids for request in engine.requests] == [(ids_of("ab"), ids_of("c"))] * 2


def test_a_seed_is_another_one_for_each_segment_and_the_same_again() -> None:
    body = {"text": ["One. Two.", "One."], **SAMPLE}
    seeds = [request.options.seed for request in engine_after(**body).requests]
    assert seeds == [seed_of_segment(5, text, place) for text, place in ((0, 0), (0, 1), (1, 0))]
    assert len(set(seeds)) == 3
    assert seeds == [request.options.seed for request in engine_after(**body).requests]


def test_without_a_seed_none_is_made_up() -> None:
    (request,) = engine_after(text="One.", strategy="sample").requests
    assert request.options.seed is None


def test_seeds_are_in_bounds_and_differ_by_seed_and_place() -> None:
    places = list(itertools.product((0, 1, 2**63 - 1), range(8), range(8)))
    seeds = {seed_of_segment(*place) for place in places}
    assert len(seeds) == len(places)
    assert all(DecodingOptions(strategy="sample", seed=seed) for seed in seeds)


def test_options_that_say_nothing_of_a_place_stay_the_same_object() -> None:
    options = DecodingOptions(beam_size=3)
    assert options_of_segment(options, 1, 2) is options


@pytest.mark.parametrize(
    ("body", "field", "bound"),
    [
        ({"prefix": "a "}, "prefix", "text as the model writes it, without white space at its ends: 'a'"),
        ({"required": ["b", " a"]}, "required[1]", "text as the model writes it"),
        ({"required": ["x" * 65]}, "required", "sequences of 1..64 tokens"),
    ],
)
def test_what_cannot_be_forced_is_refused_by_the_field_of_the_request(
    body: dict[str, Any], field: str, bound: str
) -> None:
    class Trimming(CharacterTokenizer):
        def decode_target(self, token_ids: Any) -> str:
            return super().decode_target(token_ids).strip()

    model = served_model(FakeEngine())
    object.__setattr__(model, "tokenizer", Trimming())
    response = app_client(model).post("/v1/translate", json={"text": "a", "source": "en", **body})
    (fault,) = response.json()["errors"]
    assert response.status_code == 422
    assert fault["field"] == field
    assert fault["bound"].startswith(bound)


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_model_has_no_room_for_is_refused_by_the_field_of_the_request(stream: bool) -> None:
    class Full(FakeEngine):
        def submit(self, request: Any) -> Any:
            raise OptionError("prefix_ids", "at most 2 tokens, the length limit", 3)

    body = {"text": "One.", "source": "en", "prefix": "abc", "stream": stream}
    response = app_client(served_model(Full())).post("/v1/translate", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    (fault,) = response.json()["errors"]
    assert fault == {"field": "prefix", "bound": "at most 2 tokens, the length limit", "value": 3}
