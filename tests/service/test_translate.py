"""POST /v1/translate: answers in one piece and as a stream."""

from typing import Any

import pytest

from model.decoding.options import DecodingOptions
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client, read_events, streamed_texts

LETTER = "Dear Ann,\r\n\r\n  how are you?  I am fine.\tBye!\n\n\n- one\n- two\n"


def translate(body: dict[str, Any], *models: Any) -> Any:
    response = app_client(*models).post("/v1/translate", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def capitals(**options: Any) -> Any:
    return served_model(FakeEngine(str.upper, **options))


def test_a_text_is_answered_with_all_that_the_design_names() -> None:
    answer = translate({"text": "The cat sat.", "source": "en", "target": "de"}, capitals())
    assert list(answer) == ["id", "model", "source", "target", "translations", "usage", "timings"]
    assert (answer["model"], answer["source"], answer["target"]) == ("en-de", "en", "de")
    assert answer["translations"] == [{"text": "THE CAT SAT.", "score": -0.25, "finish_reason": "stop"}]
    assert answer["usage"] == {"source_tokens": 12, "target_tokens": 12, "characters": 12}
    assert answer["timings"].keys() == {"queue_ms", "first_token_ms", "total_ms"}
    timings = answer["timings"]
    assert 1.0 <= timings["queue_ms"] < timings["first_token_ms"]
    assert timings["first_token_ms"] - timings["queue_ms"] == pytest.approx(1.0)


def test_an_array_keeps_order_and_number_and_empty_texts_stay_empty() -> None:
    answer = translate({"text": ["b.", "", "a.", "  \n"], "source": "en"}, capitals())
    assert [one["text"] for one in answer["translations"]] == ["B.", "", "A.", "  \n"]
    assert [one["score"] for one in answer["translations"]] == [-0.25, None, -0.25, None]


@pytest.mark.parametrize("text", ["", []])
def test_nothing_in_nothing_out(text: object) -> None:
    answer = translate({"text": text, "source": "en"})
    assert "".join(one["text"] for one in answer["translations"]) == ""
    assert len(answer["translations"]) == (1 if text == "" else 0)
    assert (answer["model"], answer["source"], answer["target"]) == ("en-de", "en", "de")
    assert answer["timings"]["queue_ms"] is None


def test_only_sentences_are_translated_and_layout_stays() -> None:
    answer = translate({"text": LETTER, "source": "en"}, capitals())
    assert answer["translations"][0]["text"] == LETTER.upper()


def test_white_space_at_the_edges_of_a_translation_does_not_disturb_the_layout() -> None:
    model = served_model(FakeEngine(lambda text: f"  {text} \n"))
    for stream in (False, True):
        body = {"text": "One. Two.\n", "source": "en", "num_hypotheses": 1, "stream": stream}
        response = app_client(model).post("/v1/translate", json=body)
        if stream:
            assert streamed_texts(read_events(response.text), 1) == ["One. Two.\n"]
        else:
            assert response.json()["translations"][0]["text"] == "One. Two.\n"


def test_marks_numbers_and_emoji_never_reach_the_model() -> None:
    engine = FakeEngine()
    translate({"text": "42\n😀\n…\nword", "source": "en"}, served_model(engine))
    assert len(engine.requests) == 1


def test_the_source_is_detected_and_said() -> None:
    answer = translate({"text": ["Hello.", "42"]})
    assert answer["source"] == "en"
    assert answer["translations"][0]["detected_source"] == "en"
    assert "detected_source" not in answer["translations"][1]


def test_texts_of_different_languages_go_to_different_models() -> None:
    models = [
        served_model(FakeEngine(str.upper), "a"),
        served_model(FakeEngine(str.title), "b", [("fr", "de")]),
    ]
    answer = translate({"text": ["en: one", "fr: deux"], "target": "de"}, *models)
    assert (answer["model"], answer["source"], answer["target"]) == (None, None, "de")
    assert [(one["text"], one["model"]) for one in answer["translations"]] == [
        ("EN: ONE", "a"),
        ("Fr: Deux", "b"),
    ]


def test_options_reach_the_engine_and_the_model_fills_the_rest() -> None:
    engine = FakeEngine()
    model = served_model(engine, defaults=DecodingOptions(length_penalty=0.6))
    asked = {"beam_size": 5, "num_hypotheses": 2, "patience": 2.0, "min_length": 1, "max_length": 30}
    translate({"text": "One.", "max_length_ratio": 3, "priority": 4, "timeout_ms": 5000, **asked}, model)
    request = engine.requests[0]
    assert request.options == DecodingOptions(length_penalty=0.6, max_length_ratio=3, **asked)
    assert (request.priority, request.stream) == (4, False)
    assert request.deadline is not None


def test_greedy_is_asked_for_by_name() -> None:
    engine = FakeEngine()
    translate({"text": "One.", "strategy": "greedy"}, served_model(engine))
    assert engine.requests[0].options == DecodingOptions(strategy="greedy")


def test_several_hypotheses_are_whole_texts_best_first() -> None:
    answer = translate({"text": "One. Two.", "num_hypotheses": 3})
    hypotheses = answer["translations"][0]["hypotheses"]
    assert [one["text"] for one in hypotheses] == ["One. Two.", "One. Two.1", "One.1 Two."]
    assert [one["score"] for one in hypotheses] == pytest.approx([-0.25, -0.375, -0.375])


def test_segments_tell_where_they_stand_in_both_texts() -> None:
    body = {"text": "- One.  Two.\n", "return": ["segments"]}
    longer = served_model(FakeEngine(lambda text: text + text))
    (translation,) = translate(body, longer)["translations"]
    for segment in translation["segments"]:
        start, end = segment["source_span"]
        assert body["text"][start:end] == segment["source"]
        start, end = segment["target_span"]
        assert translation["text"][start:end] == segment["text"]
    assert [one["text"] for one in translation["segments"]] == ["One.One.", "Two.Two."]


def test_tokens_come_with_their_log_probabilities_only_when_scores_are_asked_for() -> None:
    (translation,) = translate({"text": "Ab. C.", "return": ["tokens"]})["translations"]
    assert translation["tokens"][0] == {"segment_index": 0, "token": "A"}
    assert translation["tokens"][-1] == {"segment_index": 1, "token": "."}
    (translation,) = translate({"text": "Ab.", "return": ["scores"]})["translations"]
    assert translation["tokens"][0] == {"segment_index": 0, "token": "A", "log_prob": -0.5}


def test_a_translation_that_was_cut_short_says_so() -> None:
    assert (
        translate({"text": "One."}, capitals(finish_reason="length"))["translations"][0]["finish_reason"]
        == "length"
    )


def test_a_sentence_longer_than_the_model_reads_is_divided_and_complete() -> None:
    engine = FakeEngine(str.upper)
    text = "one two three four five, " * 30
    answer = translate({"text": text}, served_model(engine, max_source_length=40))
    assert answer["translations"][0]["text"] == text.upper()
    assert all(len(request.source_ids) <= 40 for request in engine.requests)


def stream(body: dict[str, Any], *models: Any) -> Any:
    response = app_client(*models).post("/v1/translate", json={**body, "stream": True})
    assert response.status_code == 200, response.text
    return response


def test_a_stream_has_its_headers_and_is_not_buffered_on_the_way() -> None:
    headers = stream({"text": "One."}).headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
    assert headers["x-request-id"]
    assert "content-length" not in headers


def test_a_stream_starts_brings_segments_in_reading_order_and_says_when_it_is_done() -> None:
    events = read_events(stream({"text": ["One. Two.", "", "Three."], "source": "en"}).text)
    assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]
    assert [event.name for event in events if event.name != "delta"] == ["start", *["segment"] * 3, "done"]
    start, done = events[0].data, events[-1].data
    assert start["segments"] == [2, 0, 1]
    assert (start["model"], start["source"], start["target"]) == ("en-de", "en", "de")
    assert done["usage"] == {"source_tokens": 14, "target_tokens": 14, "characters": 15}
    places = [(event.data["text_index"], event.data["segment_index"]) for event in events[1:-1]]
    assert places == sorted(places)


def test_deltas_add_up_to_the_text_and_those_of_a_segment_to_the_segment() -> None:
    events = read_events(stream({"text": LETTER, "source": "en"}, capitals()).text)
    assert streamed_texts(events, 1) == [LETTER.upper()]
    for event in events:
        if event.name == "segment":
            index = event.data["segment_index"]
            deltas = [
                one.data for one in events if one.name == "delta" and one.data["segment_index"] == index
            ]
            assert "".join(one["text"] for one in deltas) == event.data["text"]


def test_a_stream_without_a_source_says_what_was_detected() -> None:
    assert read_events(stream({"text": ["Hello.", "42"]}).text)[0].data["detected_sources"] == ["en", None]


def test_a_streamed_segment_brings_what_return_asks_for() -> None:
    events = read_events(stream({"text": "Ab.", "return": ["segments", "scores"], "num_hypotheses": 2}).text)
    (segment,) = [event.data for event in events if event.name == "segment"]
    assert (segment["source"], segment["source_span"]) == ("Ab.", [0, 3])
    assert segment["tokens"][0] == {"segment_index": 0, "token": "A", "log_prob": -0.5}
    assert [one["text"] for one in segment["hypotheses"]] == ["Ab.", "Ab.1"]


def test_a_stream_of_layout_alone_is_its_one_delta() -> None:
    events = read_events(stream({"text": " 42 \n", "source": "en"}).text)
    assert [event.name for event in events] == ["start", "delta", "segment", "done"]
    assert events[0].data["segments"] == [1]
    assert events[1].data["text"] == events[2].data["text"] == " 42 \n"
