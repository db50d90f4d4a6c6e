"""The whole way with a real bundle and the real engine: what is streamed is what is answered."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.checkpoint import BundleError
from service.app import create_app
from service.loading import load_translator
from service.metrics import Metrics
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_info, tiny_sentences
from tests.service.http_client import metric, read_events, streamed_texts


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder / "tiny", info=tiny_info(name="tiny", directions=(("en", "de"), ("de", "en"))))
    return Settings(models_dir=folder, num_threads=1, device="cpu")


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    metrics = Metrics()
    translator = load_translator(settings, metrics)
    with TestClient(create_app(translator, settings, metrics=metrics)) as client:
        yield client
    translator.close()


TEXT = "\n".join(tiny_sentences(6, seed=5)) + "\n\n  Ba de fi.   Go hu!\t42\n"


def translate(client: TestClient, **body: Any) -> Any:
    response = client.post("/v1/translate", json={"source": "en", "target": "de", **body})
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(
    "options", [{"strategy": "greedy"}, {"beam_size": 4}, {"beam_size": 3, "patience": 2.0}]
)
def test_a_stream_adds_up_to_the_answer_in_one_piece(client: TestClient, options: dict[str, Any]) -> None:
    texts = [TEXT, "", "Ka le."]
    whole = translate(client, text=texts, **options).json()
    events = read_events(translate(client, text=texts, stream=True, **options).text)
    answered = [one["text"] for one in whole["translations"]]
    assert streamed_texts(events, 3) == answered
    assert events[-1].data["usage"] == whole["usage"]
    assert any(answered)


def test_layout_is_kept_around_whatever_the_model_says(client: TestClient) -> None:
    (translation,) = translate(client, text=TEXT, **{"return": ["segments"]}).json()["translations"]
    rebuilt, offset = "", 0
    for segment in translation["segments"]:
        start, end = segment["source_span"]
        rebuilt += TEXT[offset:start] + segment["text"]
        offset = end
    assert rebuilt + TEXT[offset:] == translation["text"]
    assert all(segment["text"] == segment["text"].strip() for segment in translation["segments"])


def test_a_text_says_the_same_alone_and_in_company(client: TestClient) -> None:
    texts = list(tiny_sentences(12, seed=9))
    alone = [translate(client, text=text).json()["translations"][0]["text"] for text in texts]
    with ThreadPoolExecutor(6) as pool:
        together = list(
            pool.map(lambda text: translate(client, text=text).json()["translations"][0]["text"], texts)
        )
    assert together == alone


def test_hypotheses_and_tokens_agree_with_the_translation(client: TestClient) -> None:
    body = {"text": "Ba de fi.", "num_hypotheses": 3, "return": ["scores"]}
    (translation,) = translate(client, **body).json()["translations"]
    texts = [one["text"] for one in translation["hypotheses"]]
    scores = [one["score"] for one in translation["hypotheses"]]
    assert texts[0] == translation["text"]
    assert scores == sorted(scores, reverse=True)
    assert all(token["log_prob"] <= 0 for token in translation["tokens"])


def test_a_limit_that_is_reached_is_said(client: TestClient) -> None:
    answer = translate(client, text="Ba de fi go.", min_length=2, max_length=3).json()
    assert answer["translations"][0]["finish_reason"] == "length"
    assert answer["usage"]["target_tokens"] <= 3


def test_a_long_sentence_is_divided_for_the_model_that_is_served(client: TestClient) -> None:
    answer = translate(client, text="ba de fi go hu " * 40, **{"return": ["segments"]}).json()
    assert len(answer["translations"][0]["segments"]) > 1
    refused = client.post(
        "/v1/translate", json={"text": "ba de fi go hu " * 40, "source": "en", "split": "none"}
    )
    (fault,) = refused.json()["errors"]
    assert refused.json()["code"] == "segment_too_long"
    assert fault["bound"].startswith("at most 64 tokens")
    assert fault["value"] > 64


def test_a_deadline_that_passes_is_504_and_the_engine_goes_on(client: TestClient) -> None:
    body = {"text": "Ba de fi go hu. " * 100, "source": "en", "timeout_ms": 1}
    response = client.post("/v1/translate", json=body)
    assert (response.status_code, response.json()["code"]) == (504, "deadline_passed")
    assert translate(client, text="Ba de.").status_code == 200


def test_the_engine_reports_what_it_does(client: TestClient) -> None:
    translate(client, text="Ba de fi.")
    assert metric(client, 'verto_step_duration_seconds_count{phase="decode"}') > 0
    assert metric(client, 'verto_batch_rows_count{phase="encode"}') > 0
    assert metric(client, "verto_cache_bytes_limit") == 2_000_000_000
    assert metric(client, "verto_target_tokens_total") > 0
    labels = 'device="cpu",dtype="float32",model="tiny",path="eager",version="1"'
    assert metric(client, f"verto_model_info{{{labels}}}") == 1


def test_what_no_queue_could_take_is_refused_with_bound_and_value(settings: Settings) -> None:
    metrics = Metrics()
    small = settings.model_copy(update={"max_queue_tokens": 20})
    translator = load_translator(small, metrics)
    try:
        with TestClient(create_app(translator, small, metrics=metrics)) as client:
            body = {"text": "Ba de fi go hu. " * 50, "source": "en", "target": "de"}
            response = client.post("/v1/translate", json=body)
            assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
            (fault,) = response.json()["errors"]
            assert (fault["field"], fault["bound"]) == ("text", "at most 20 source tokens on this server")
            assert fault["value"] > 20
            assert "retry-after" not in response.headers
            assert translate(client, text="Ba.").status_code == 200
            assert metric(client, "verto_queue_segments") == 0
    finally:
        translator.close()


def test_a_folder_without_a_bundle_and_two_bundles_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle found in this folder; train one with `verto train`"):
        load_translator(Settings(models_dir=tmp_path), Metrics())
    tiny_bundle(tmp_path / "a")
    tiny_bundle(tmp_path / "b")
    with pytest.raises(BundleError, match="another bundle in this folder is called 'tiny' too"):
        load_translator(Settings(models_dir=tmp_path, num_threads=1), Metrics())
