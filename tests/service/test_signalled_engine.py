"""Models that are told their languages by tokens: the right tokens go in, and none comes out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from model.checkpoint import Bundle, load_bundle, save_bundle
from model.decoding import DecodingOptions, Hypothesis, target_limit
from model.decoding.options import MAX_TOKENS
from model.directions import Directions
from model.language_signals import LanguageSignals, Signal
from model.network import EagerNetwork
from model.reference import translate
from model.tokenizer import Tokenizer
from service.app import create_app
from service.engine import EngineConfig, EngineHandle
from service.engine.request import FinishedEvent, SegmentRequest
from service.engine.thread_engine import ThreadEngine
from service.registry import ServedModel
from service.settings import Settings
from service.signalled_engine import SignalledEngine, told
from tests.builders import tiny_config, tiny_info, tiny_model, tiny_sentences
from tests.fakes import EOS, FakeEngine, fake_translator
from tests.service.http_client import read_events
from training.tokenizer_training import train_tokenizer

CODES = ["eng_Latn", "deu_Latn", "fra_Latn"]
TAGS = [f"__{code}__" for code in CODES]
SIGNALS = {
    "m2m": {"target": "forced_token", "source": "prefix"},
    "legacy": {"target": "forced_token", "source": "suffix"},
    "tagged": {"target": "source_tag"},
}


def save_signalled(folder: Path, name: str, **signals: Any) -> Bundle:
    serialized = train_tokenizer(tiny_sentences(), vocab_size=480, control_symbols=TAGS)
    tokenizer = Tokenizer.from_bytes(serialized)
    ids = {
        code: tokenizer.target_pieces(range(480)).index(tag) for code, tag in zip(CODES, TAGS, strict=True)
    }
    info = tiny_info(
        name=name,
        directions=Directions.product(CODES, CODES),
        signals=LanguageSignals(token_ids=ids, **signals),
    )
    model = tiny_model(3, source_vocab_size=480, target_vocab_size=480)
    save_bundle(folder, model=model, tokenizer=tokenizer, info=info, model_card="x", dtype=torch.float32)
    return load_bundle(folder)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, Bundle]]]:
    folder = tmp_path_factory.mktemp("models")
    bundles = {name: save_signalled(folder / name, name, **signals) for name, signals in SIGNALS.items()}
    models = [
        served_model(ThreadEngine(EagerNetwork(bundle.model), EngineConfig(max_rows=8)), bundle)
        for bundle in bundles.values()
    ]
    translator = fake_translator(*models)
    with TestClient(create_app(translator, Settings())) as client:
        yield client, bundles
    translator.close()


def served_model(engine: EngineHandle, bundle: Bundle) -> ServedModel:
    return ServedModel(
        name=bundle.info.name,
        version="1",
        directions=bundle.info.directions,
        dtype="float32",
        device="cpu",
        created=0,
        load_seconds=0.0,
        max_source_length=64,
        defaults=bundle.info.decoding,
        tokenizer=bundle.tokenizer,
        engine=engine,
        signals=bundle.info.signals,
    )


def ask(client: TestClient, **body: Any) -> Any:
    response = client.post("/v1/translate", json={"text": "Ba de fi go.", "source": "en", **body})
    assert response.status_code == 200, response.text
    return response


def in_full(bundle: Bundle, name: str, text: str, target: str, options: DecodingOptions) -> list[Hypothesis]:
    """By the reference, with the tokens of the direction spelled out by hand."""
    ids, source_ids = bundle.info.signals.token_ids, bundle.tokenizer.encode_source(text)
    forced = () if name == "tagged" else (ids[target],)
    source_ids = {
        "m2m": [ids["eng_Latn"], *source_ids],
        "legacy": [*source_ids, ids["eng_Latn"]],
        "tagged": [ids[target], *source_ids],
    }[name]
    asked = replace(options, prefix_ids=forced, max_length=(options.max_length or 60) + len(forced))
    found = translate(bundle.model, source_ids, asked, max_length=asked.max_length or 60)
    return [
        Hypothesis(
            one.token_ids[len(forced) :], one.token_log_probs[len(forced) :], one.score, one.finish_reason
        )
        for one in found
    ]


@pytest.mark.parametrize("name", list(SIGNALS))
@pytest.mark.parametrize(
    "options", [{"strategy": "greedy", "max_length": 20}, {"beam_size": 3, "max_length": 8}]
)
def test_each_target_is_decoded_as_if_its_tokens_were_spelled_out(
    served: tuple[TestClient, dict[str, Bundle]], name: str, options: dict[str, Any]
) -> None:
    client, bundles = served
    answers = []
    for target, code in (("de", "deu_Latn"), ("fra", "fra_Latn")):
        found = in_full(bundles[name], name, "Ba de fi go.", code, DecodingOptions(**options))
        answer = ask(client, model=name, target=target, **options, **{"return": ["tokens"]}).json()
        (translation,) = answer["translations"]
        spelled = bundles[name].tokenizer
        assert (answer["source"], answer["target"]) == ("eng_Latn", code)
        assert translation["text"] == spelled.decode_target(found[0].token_ids).strip()
        tokens = [token["token"] for token in translation["tokens"]]
        assert tokens == spelled.target_pieces(found[0].token_ids)
        assert answer["usage"]["target_tokens"] == len(tokens)
        assert answer["usage"]["source_tokens"] == len(spelled.encode_source("Ba de fi go.")) - 1
        answers.append(translation["text"])
    assert answers[0] != answers[1], "the target language makes no difference"


@pytest.mark.parametrize("name", list(SIGNALS))
@pytest.mark.parametrize("draft", [False, True])
def test_a_stream_shows_the_text_and_never_a_language(
    served: tuple[TestClient, dict[str, Bundle]], name: str, draft: bool
) -> None:
    client, _ = served
    body = {"model": name, "target": "de", "text": "\n".join(tiny_sentences(2, seed=2)), "max_length": 14}
    whole = ask(client, **body).json()["translations"][0]["text"]
    mode = {"stream_mode": "draft"} if draft else {}
    events = read_events(ask(client, stream=True, **body, **mode).text)
    shown = ""
    for event in events:
        shown = shown[: len(shown) - event.data["drop"]] if event.name == "revise" else shown
        shown += event.data["text"] if event.name == "delta" else ""
        assert not any(tag in shown for tag in TAGS)
    assert shown == whole


@pytest.mark.parametrize("name", list(SIGNALS))
def test_insight_is_about_the_text_alone(served: tuple[TestClient, dict[str, Bundle]], name: str) -> None:
    client, bundles = served
    answer = ask(client, model=name, target="de", **{"return": ["attention", "alignment"]}).json()
    (attention,) = answer["translations"][0]["attention"]
    tokenizer = bundles[name].tokenizer
    assert attention["source_tokens"] == tokenizer.source_pieces(tokenizer.encode_source("Ba de fi go."))
    assert len(attention["values"][0][0][0]) == len(attention["source_tokens"])
    assert len(attention["values"][0][0]) == len(attention["target_tokens"])
    assert not set(attention["target_tokens"]) & set(TAGS)


@pytest.mark.parametrize("name", list(SIGNALS))
def test_prefix_alternatives_and_limits_count_the_text_alone(
    served: tuple[TestClient, dict[str, Bundle]], name: str
) -> None:
    client, _ = served
    answer = ask(client, model=name, target="de", prefix="Ba de", alternatives=3).json()
    (translation,) = answer["translations"]
    assert translation["text"].startswith("Ba de")
    assert len(translation["alternatives"]) == 3
    assert all(one["text"].startswith("Ba de") for one in translation["alternatives"])
    assert all(one["log_prob"] <= 0 for one in translation["alternatives"])
    for limit in ({"max_length": 3, "min_length": 2}, {"max_length_ratio": 0.5}):
        body = {"model": name, "target": "de", "strategy": "greedy", "return": ["tokens"], **limit}
        (cut,) = ask(client, **body).json()["translations"]
        tokens = len(cut["tokens"])
        assert tokens <= 3 if "max_length" in limit else tokens <= 4


@pytest.mark.parametrize(
    "signal",
    [
        Signal(before_source=(7,), after_source=(8,), before_target=(9,)),
        Signal(before_source=(7, 8)),
        Signal(before_target=(9,)),
    ],
    ids=["both", "source", "target"],
)
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.5, 1.0, 1.1, 1.3, 2.0, 37.7, 100.0])
def test_a_ratio_leaves_the_text_the_length_that_it_had(ratio: float, signal: Signal) -> None:
    """The least and the greatest that there may be too, which with tokens of a direction have no ratio of
    their own."""
    config = tiny_config(max_target_length=MAX_TOKENS)
    for length, min_length in itertools.product([1, 2, 3, 5, 7, 10, 49, 500], [0, 2]):
        options = DecodingOptions(max_length_ratio=ratio, min_length=min_length)
        request = SegmentRequest(segment_id="1", source_ids=(5,) * length, options=options)
        asked = told(request, signal)
        limit = target_limit(options, config, length) + len(signal.before_target)
        assert target_limit(asked.options, config, len(asked.source_ids)) == limit


def test_languages_and_models_of_a_product_are_told_as_two_lists(
    served: tuple[TestClient, dict[str, Bundle]],
) -> None:
    client, _ = served
    models = client.get("/v1/models").json()["data"]
    assert all(model["directions"] == {"sources": CODES, "targets": CODES} for model in models)
    languages = client.get("/v1/languages").json()["languages"]
    assert [(one["code"], one["name"]) for one in languages] == [
        ("deu_Latn", "German"),
        ("eng_Latn", "English"),
        ("fra_Latn", "French"),
    ]
    assert languages[1]["targets"] == ["deu_Latn", "fra_Latn"]


def test_a_language_that_is_not_served_and_a_missing_target_are_refused(
    served: tuple[TestClient, dict[str, Bundle]],
) -> None:
    client, _ = served
    for body in ({"target": "pt"}, {"target": "en"}, {}):
        response = client.post("/v1/translate", json={"text": "Ba.", "source": "en", "model": "m2m", **body})
        assert response.status_code == 422, response.text
        assert "deu_Latn" in response.text


@pytest.mark.parametrize(("penalty", "score"), [(0.0, -0.25 + 0.5), (1.0, -0.25)])
def test_a_plain_sum_is_free_of_the_forced_token(penalty: float, score: float) -> None:
    async def answer() -> Hypothesis:
        engine = SignalledEngine(FakeEngine(), Signal(before_target=(9,)))
        options = DecodingOptions(length_penalty=penalty)
        request = SegmentRequest(segment_id="1", source_ids=(20, EOS), options=options)
        events = [event async for event in engine.submit(request)]
        assert isinstance(events[-1], FinishedEvent)
        return events[-1].hypotheses[0]

    found = asyncio.run(answer())
    assert (found.score, found.token_ids, found.token_log_probs) == (score, (20,), (-0.5,))


def test_the_tokens_of_a_direction_take_room_in_the_source(
    served: tuple[TestClient, dict[str, Bundle]],
) -> None:
    client, bundles = served
    tokenizer = bundles["m2m"].tokenizer
    candidates = (f"ba {'7 ' * count}7{mark}" for count in range(80) for mark in ("", ","))
    texts = {len(tokenizer.encode_source(text)): text for text in candidates}
    body = {"source": "en", "target": "de", "model": "m2m", "split": "none", "max_length": 3}
    assert client.post("/v1/translate", json={"text": texts[63], **body}).status_code == 200
    refused = client.post("/v1/translate", json={"text": texts[64], **body})
    assert refused.status_code == 422, refused.text
    assert refused.json()["code"] == "segment_too_long"
    assert "at most 63 tokens" in refused.text
