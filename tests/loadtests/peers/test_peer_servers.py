"""Both servers around CTranslate2 answer Verto's address with the bundle's translation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from loadtests.peers.batcher import Batching
from loadtests.peers.ctranslate2_server import batched_app
from loadtests.peers.ctranslate2_texts import Engine, Texts
from loadtests.peers.sequential_server import sequential_app
from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from tests.builders import tiny_bundle

TEXTS = ["Bade fi go.", "Hukale", "Pu sä tö wü ba de."]


@pytest.mark.parametrize("app", [lambda texts: batched_app(texts, Batching()), sequential_app])
def test_a_text_is_answered_as_the_network_translates_it(
    app: Callable[[Texts], FastAPI], tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    options = DecodingOptions(strategy="greedy")
    sources = bundle.tokenizer.encode_sources(TEXTS)
    ours = [found[0].token_ids for found in decode_batch(bundle.model, sources, options)]
    texts = Texts(tmp_path / "tiny", Engine(precision="float32", beam_size=1))
    with TestClient(app(texts)) as client:
        assert client.get("/health/ready").status_code == 200
        answers = [client.post("/v1/translate", json={"text": text}).json() for text in TEXTS]
    assert [one["translations"][0]["text"] for one in answers] == [
        bundle.tokenizer.decode_target(ids) for ids in ours
    ]
    assert [one["usage"]["target_tokens"] for one in answers] == [len(ids) for ids in ours]
