"""Alignment and attention over the whole way, with a real bundle and the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from model.alignment import cross_attention
from model.checkpoint import Bundle, load_bundle
from service.word_alignment import words_of
from tests.builders import tiny_bundle
from tests.service.http_client import bundle_client, read_events, streamed_texts

TEXT = "Ba de fi go.   Ka le!\n\n 42 \n- Mi no pu?\n"
ASKED = ["alignment", "attention", "tokens", "segments"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_bundle(folder, alignment_layer=0)
    return load_bundle(folder)


@pytest.fixture(scope="module")
def client(bundle: Bundle) -> Iterator[TestClient]:
    with bundle_client(bundle.path) as client:
        yield client


def translation(client: TestClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/translate", json={"text": TEXT, "source": "en", "return": ASKED, **body})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["translations"][0]
    return found


@pytest.mark.parametrize("options", [{"strategy": "greedy"}, {"beam_size": 3, "num_hypotheses": 2}])
def test_every_word_of_every_segment_is_linked_to_a_word_of_its_own_source(
    client: TestClient, options: dict[str, Any]
) -> None:
    found = translation(client, **options)
    linked = [tuple(pair["target_span"]) for pair in found["alignment"]]
    words = []
    for segment in found["segments"]:
        start, _ = segment["target_span"]
        words += [(start + left, start + right) for left, right in words_of(segment["text"])]
    assert linked == words
    assert words
    for pair in found["alignment"]:
        (segment,) = [
            one
            for one in found["segments"]
            if one["target_span"][0] <= pair["target_span"][0]
            and pair["target_span"][1] <= one["target_span"][1]
        ]
        start, end = pair["source_span"]
        assert segment["source_span"][0] <= start < end <= segment["source_span"][1]
        assert (start, end) in words_of(TEXT)
        assert 0 <= pair["weight"] <= 1


def test_attention_is_the_network_s_for_the_tokens_that_are_named(client: TestClient, bundle: Bundle) -> None:
    found = translation(client, strategy="greedy")
    translated = [one for one in found["segments"] if one["source"]]
    assert len(found["attention"]) == len(translated) == 3
    for attention, segment in zip(found["attention"], translated, strict=True):
        source_ids = bundle.tokenizer.encode_source(segment["source"])
        assert attention["source_tokens"] == bundle.tokenizer.source_pieces(source_ids)
        vocabulary = bundle.tokenizer.target_pieces(range(bundle.tokenizer.target_vocab_size))
        target_ids = [vocabulary.index(piece) for piece in attention["target_tokens"]]
        tokens = [
            one["token"] for one in found["tokens"] if one["segment_index"] == attention["segment_index"]
        ]
        assert attention["target_tokens"] == tokens + ["</s>"] * (segment["finish_reason"] == "stop")
        with torch.inference_mode():
            expected = cross_attention(bundle.model, source_ids, target_ids)
        torch.testing.assert_close(torch.tensor(attention["values"]), expected, atol=6e-5, rtol=0)


def test_a_stream_tells_the_same_of_each_segment(client: TestClient) -> None:
    whole = translation(client)
    body = {"text": TEXT, "source": "en", "return": ASKED, "stream": True}
    events = read_events(client.post("/v1/translate", json=body).text)
    assert streamed_texts(events, 1) == [whole["text"]]
    segments = [event.data for event in events if event.name == "segment"]
    assert [pair for segment in segments for pair in segment["alignment"]] == whole["alignment"]
    assert [segment["attention"] for segment in segments if "attention" in segment] == whole["attention"]


def test_what_was_not_asked_for_is_not_answered(client: TestClient) -> None:
    assert {"alignment", "attention"}.isdisjoint(translation(client, **{"return": ["tokens"]}))
    assert translation(client, text=" 42 ", **{"return": ["alignment", "attention"]})["alignment"] == []
