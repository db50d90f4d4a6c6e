"""Every option over the whole way, with a real bundle and the real engine: promises hold on the text."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from model.checkpoint import Bundle, load_bundle
from model.transformer import next_log_probs
from service.app import create_app
from service.loading import load_translator
from service.metrics import Metrics
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_sentences
from tests.service.api_page import PAGE
from tests.service.http_client import bundle_client, read_events, streamed_texts
from tests.service.test_stream_truth import screen

SENTENCES = list(tiny_sentences(10, seed=3))
TEXT = " ".join(SENTENCES[:4])
SAMPLE = {"strategy": "sample", "seed": 11, "temperature": 1.5}
STRATEGIES: list[dict[str, Any]] = [{"strategy": "greedy"}, {"beam_size": 4}, SAMPLE]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_bundle(folder, seed=1)
    return load_bundle(folder)


@pytest.fixture(scope="module")
def client(bundle: Bundle) -> Iterator[TestClient]:
    with bundle_client(bundle.path) as client:
        yield client


def ask(client: TestClient, text: Any, **body: Any) -> Any:
    body = {"text": text, "source": "en", "min_length": 4, "max_length": 30, **body}
    response = client.post("/v1/translate", json=body)
    assert response.status_code == 200, response.text
    return response


def translated(client: TestClient, text: Any, **body: Any) -> list[str]:
    return [one["text"] for one in ask(client, text, **body).json()["translations"]]


def events(client: TestClient, text: Any, **body: Any) -> Any:
    return read_events(ask(client, text, stream=True, **body).text)


@pytest.mark.parametrize("options", STRATEGIES)
@pytest.mark.parametrize("mode", ["stable", "draft"])
def test_a_stream_shows_what_is_answered_in_one_piece(
    client: TestClient, options: dict[str, Any], mode: str
) -> None:
    texts = [TEXT, "", SENTENCES[5]]
    told = events(client, texts, stream_mode=mode, **options)
    assert screen(told, 3) == translated(client, texts, **options)
    if mode == "stable":
        assert streamed_texts(told, 3) == screen(told, 3)


def test_a_beam_in_draft_mode_takes_text_back_and_shows_it_sooner(client: TestClient) -> None:
    told = [event for text in SENTENCES for event in events(client, text, stream_mode="draft", beam_size=6)]
    assert "revise" in {event.name for event in told}


@pytest.mark.parametrize("options", [SAMPLE, {**SAMPLE, "top_k": 5}, {**SAMPLE, "top_p": 0.8, "min_p": 0.01}])
def test_the_same_seed_gets_the_same_answer_whatever_else_is_in_the_batch(
    client: TestClient, options: dict[str, Any]
) -> None:
    alone = translated(client, SENTENCES, **options)
    with ThreadPoolExecutor(4) as pool:
        others = pool.map(lambda seed: translated(client, SENTENCES, **{**options, "seed": seed}), range(3))
        assert translated(client, SENTENCES, **options) == alone
        assert all(other != alone for other in others)


def test_without_a_seed_each_answer_is_drawn_anew(client: TestClient) -> None:
    options = {"strategy": "sample", "temperature": 2.0}
    assert len({tuple(translated(client, SENTENCES, **options)) for _ in range(3)}) > 1


def test_equal_sentences_of_one_request_are_drawn_apart(client: TestClient) -> None:
    drawn = translated(client, [SENTENCES[0]] * 6, strategy="sample", seed=4, temperature=2.0)
    assert len(set(drawn)) > 1


@pytest.mark.parametrize("options", STRATEGIES)
def test_every_token_of_every_strategy_has_a_log_probability(
    client: TestClient, options: dict[str, Any]
) -> None:
    (found,) = ask(client, SENTENCES[0], **{"return": ["scores"]}, **options).json()["translations"]
    assert found["tokens"]
    assert all(token["log_prob"] <= 0 for token in found["tokens"])
    assert found["score"] < 0


def test_several_hypotheses_are_the_beam_s_alone(client: TestClient) -> None:
    body = {"text": "Ba.", "source": "en", "num_hypotheses": 2}
    assert len(ask(client, "Ba.", num_hypotheses=2).json()["translations"][0]["hypotheses"]) == 2
    for strategy in ("greedy", "sample"):
        response = client.post("/v1/translate", json={**body, "strategy": strategy})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "num_hypotheses"


@pytest.mark.parametrize("options", STRATEGIES)
@pytest.mark.parametrize("prefix", ["Ba", "Ka de", "ka-le, „Go“", "字", "B"])
def test_a_translation_begins_with_its_prefix_to_the_character(
    client: TestClient, options: dict[str, Any], prefix: str
) -> None:
    for text in SENTENCES[:4]:
        (whole,) = translated(client, text, prefix=prefix, **options)
        assert whole.startswith(prefix)
        told = events(client, text, prefix=prefix, **options)
        assert streamed_texts(told, 1) == [whole]


def test_every_hypothesis_begins_with_the_prefix_and_holds_what_is_required(client: TestClient) -> None:
    options = {"beam_size": 6, "num_hypotheses": 4, "prefix": "Go", "required": ["Ba de", "fi"]}
    for text in SENTENCES:
        (found,) = ask(client, text, **options).json()["translations"]
        for hypothesis in [found, *found["hypotheses"]]:
            assert hypothesis["text"].startswith("Go")
            assert "Ba de" in hypothesis["text"]
            assert "fi" in hypothesis["text"]


def test_the_best_translation_s_own_beginning_as_a_prefix_changes_nothing_in_greedy_search(
    client: TestClient, bundle: Bundle
) -> None:
    """As long as the tokenizer cuts the beginning as the model did."""
    seen = 0
    for text in SENTENCES:
        (found,) = ask(client, text, strategy="greedy", **{"return": ["tokens"]}).json()["translations"]
        words = found["text"].split(" ")
        prefix = " ".join(words[: len(words) // 2])
        pieces = bundle.tokenizer.target_pieces(bundle.tokenizer.encode_target(prefix)[:-1])
        if prefix and pieces == [token["token"] for token in found["tokens"]][: len(pieces)]:
            seen += 1
            assert translated(client, text, strategy="greedy", prefix=prefix) == [found["text"]]
    assert seen


def test_any_part_of_the_first_word_as_a_prefix_changes_nothing_in_greedy_search(client: TestClient) -> None:
    """Its tokens are those of the whole word: the prefix is spelled as the model goes on."""
    for text in SENTENCES[:5]:
        (whole,) = translated(client, text, strategy="greedy")
        word = re.match(r"[^\W_]*", whole)
        assert word
        for length in range(1, len(word[0]) + 1):
            assert translated(client, text, strategy="greedy", prefix=whole[:length]) == [whole]


@pytest.mark.parametrize("options", STRATEGIES)
def test_a_banned_word_stands_in_no_translation(client: TestClient, options: dict[str, Any]) -> None:
    """Every word in turn that the model would have written."""
    checked = 0
    for text in SENTENCES[:5]:
        (whole,) = translated(client, text, **options)
        for word in sorted(set(re.findall(r"\w+", whole)), key=len)[-3:]:
            response = client.post(
                "/v1/translate",
                json={
                    "text": text,
                    "source": "en",
                    "min_length": 4,
                    "max_length": 30,
                    "banned": [word],
                    **options,
                },
            )
            if response.status_code == 422:
                assert response.json()["code"] == "phrases_not_avoided"
                continue
            other = response.json()["translations"][0]["text"]
            assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", other, re.IGNORECASE)
            checked += 1
    assert checked >= 8


def test_a_ban_that_does_not_apply_changes_nothing(client: TestClient) -> None:
    assert translated(client, SENTENCES, banned=["Nirgendwo"]) == translated(client, SENTENCES)


def test_no_n_gram_of_tokens_comes_twice(client: TestClient) -> None:
    for text in SENTENCES:
        body = {"no_repeat_ngram_size": 2, "return": ["tokens"]}
        (found,) = ask(client, text, **body).json()["translations"]
        tokens = [token["token"] for token in found["tokens"]]
        pairs = list(itertools.pairwise(tokens))
        assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    "options",
    [
        {"coverage_penalty": 3.0, "num_hypotheses": 4},
        {"beam_size": 6, "diversity_groups": 3, "diversity_penalty": 5.0, "num_hypotheses": 6},
        {"repetition_penalty": 5.0},
    ],
)
def test_every_other_option_changes_some_answer(client: TestClient, options: dict[str, Any]) -> None:
    plain = {name: value for name, value in options.items() if name in ("beam_size", "num_hypotheses")}
    with_option = ask(client, SENTENCES, **options).json()["translations"]
    without = ask(client, SENTENCES, **plain).json()["translations"]
    assert with_option != without


@torch.inference_mode()
def likeliest(bundle: Bundle, text: str, prefix: str, count: int) -> list[tuple[str, float]]:
    """By definition: the next tokens behind the prefix, from one pass over it."""
    tokenizer, config = bundle.tokenizer, bundle.config
    source = torch.tensor([tokenizer.encode_source(text)])
    mask = torch.ones_like(source, dtype=torch.bool)
    target = torch.tensor([[config.decoder_start_id, *tokenizer.encode_target(prefix)[:-1]]])
    log_probs = next_log_probs(bundle.model.decode(target, bundle.model.encode(source, mask), mask))[0, -1]
    log_probs[[config.pad_id, config.decoder_start_id]] = float("-inf")
    best = log_probs.topk(count)
    pieces = tokenizer.target_pieces(best.indices.tolist())
    return list(zip(pieces, best.values.tolist(), strict=True))


@pytest.mark.parametrize("prefix", ["", "Ba", "ka le"])
@pytest.mark.parametrize("options", STRATEGIES)
def test_alternatives_are_the_likeliest_tokens_each_completed(
    client: TestClient, bundle: Bundle, prefix: str, options: dict[str, Any]
) -> None:
    text = SENTENCES[1]
    (found,) = ask(client, text, alternatives=5, prefix=prefix, min_length=0, **options).json()[
        "translations"
    ]
    expected = likeliest(bundle, text, prefix, 5)
    assert [one["token"] for one in found["alternatives"]] == [token for token, _ in expected]
    assert [one["log_prob"] for one in found["alternatives"]] == pytest.approx(
        [log_prob for _, log_prob in expected], abs=1e-4
    )
    for one in found["alternatives"]:
        assert one["text"].startswith((prefix + one["next"]).strip().rstrip("\ufffd"))
    if options.get("strategy") == "greedy":
        assert found["alternatives"][0]["text"] == found["text"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prefix": "ba " * 40 + "ba"}, "prefix"),
        ({"required": ["ba " * 20 + "ba"], "max_length": 10}, "required"),
    ],
)
def test_what_does_not_fit_the_limit_is_refused_by_its_field(
    client: TestClient, body: dict[str, Any], field: str
) -> None:
    response = client.post("/v1/translate", json={"text": "Ba.", "source": "en", "max_length": 30, **body})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


def rounded(value: Any) -> Any:
    """As the page shows numbers; a last digit may differ from machine to machine."""
    if isinstance(value, float):
        return pytest.approx(value, abs=2e-3)
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def shipped() -> Iterator[TestClient]:
    folder = Path(__file__).parents[2] / "checkpoints/en-de"
    settings, metrics = Settings(models_dir=folder, num_threads=1, device="cpu"), Metrics()
    translator = load_translator(settings, metrics)
    with TestClient(create_app(translator, settings, metrics=metrics)) as client:
        yield client
    translator.close()


def test_the_page_shows_what_the_shipped_model_answers(shipped: TestClient) -> None:
    pattern = r"^```json request\n(.*?)^```(?:(?!^```).)*^```json answer\n(.*?)^```"
    examples = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    for body, answer in examples:
        found = shipped.post("/v1/translate", json=json.loads(body)).json()["translations"]
        assert found == rounded(json.loads(answer))


@pytest.mark.parametrize("stream", [False, True])
def test_an_evening_stays_one_in_a_language_of_24_hours(shipped: TestClient, stream: bool) -> None:
    body = {"text": "Dinner is at 7:45 p.m. tonight.", "source": "en", "target": "de", "stream": stream}
    answer = shipped.post("/v1/translate", json=body).text
    assert "19:45" in answer
    assert "7:45 " not in answer.replace("19:45 ", "")


@pytest.mark.parametrize("prefix", ["Wo bef", "Wo ist der nächste Bahnho", "Entschuldigung, wo"])
def test_a_prefix_that_ends_within_a_word_goes_on_as_that_word(shipped: TestClient, prefix: str) -> None:
    body = {"text": "Where is the nearest train station?", "source": "en", "target": "de", "prefix": prefix}
    (found,) = shipped.post("/v1/translate", json=body).json()["translations"]
    assert found["text"].startswith(prefix)
    assert found["text"].endswith("nächste Bahnhof?")
