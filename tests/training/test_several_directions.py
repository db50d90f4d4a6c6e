"""One model of several directions: the recipe, its tags, and that training feeds what the server feeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.bundle_head import load_bundle_head
from model.checkpoint import Bundle, load_bundle
from model.language_signals import LanguageSignals
from model.network import EagerNetwork
from service.app import create_app
from service.engine import EngineConfig
from service.engine.request import SegmentRequest
from service.engine.thread_engine import EventStream, ThreadEngine
from service.served_model import served_model
from service.settings import Settings
from tests.builders import tiny_sentences
from tests.fakes import fake_translator
from tests.training.runs import ListeningMonitor, config
from training.config import TrainingConfig
from training.corpus import Pair
from training.errors import RecipeError
from training.evaluation import translate_sentences
from training.language_tags import language_tags
from training.preparation import PreparedData, prepare
from training.run import train
from training.run_key import run_key

THERE, BACK = ["en", "fr"], ["fr", "en"]


def both(**sections: Any) -> TrainingConfig:
    """English and French, each way: the texts of one way are those of the other, turned around."""
    texts = {
        name: [
            {"tsv": f"{name}.tsv", "direction": THERE},
            {"tsv": f"{name}.tsv", "columns": [1, 0], "direction": BACK},
        ]
        for name in ("train", "dev", "test")
    }
    data = {"train": texts["train"], "dev": texts["dev"], **sections.pop("data", {})}
    test = [{"name": "books", **text} for text in texts["test"]]
    return config(**{"directions": [THERE, BACK], "data": data, "test": test, **sections})


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, (name, count) in enumerate({"train": 80, "dev": 6, "test": 5}.items()):
        lines = (f"{text}.\t{text.upper()}.\n" for text in tiny_sentences(count, seed))
        (folder / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def lines_of(data_folder: Path) -> list[Pair]:
    text = (data_folder / "train.tsv").read_text(encoding="utf-8")
    return [Pair(*line.split("\t")) for line in text.splitlines()]


def prepared(settings: TrainingConfig, data_folder: Path, run: Path) -> PreparedData:
    return prepare(settings, data_folder, run, ListeningMonitor())


def sources(data: PreparedData) -> list[list[int]]:
    return [data.train.source[index].tolist() for index in range(len(data.train))]


# The recipe -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        (
            {"data": {"train": [{"tsv": "a", "direction": THERE}, {"tsv": "b"}]}},
            r"data\.train\.1\.direction must be one of directions \[en, fr\], \[fr, en\], got 'none'",
        ),
        (
            {"test": [{"tsv": "a", "name": "t", "direction": ["en", "de"]}]},
            r"test\.0\.direction must be one of directions .*, got \['en', 'de'\]",
        ),
        (
            {"data": {"dev": [{"tsv": "a", "direction": THERE}]}},
            r"data\.dev must be texts of each of directions, got \"none of \['fr', 'en'\]\"",
        ),
        (
            {"data": {"train": [{"tsv": "a", "direction": THERE}]}},
            r"data\.train must be texts of each language of directions.*; from fr, got 'none'",
        ),
        (
            {"data": {"scripts": ["Latin", "Latin"]}},
            r"data\.scripts must be the script of each language, such as \{en: Latin\}, with several",
        ),
        (
            {"data": {"scripts": {"en": "Latin"}}},
            r"data\.scripts must be given for each language of directions \(en, fr\) .*, got \['en'\]",
        ),
        ({"data": {"scripts": {"en": "Latn", "fr": "Latin"}}}, r"data\.scripts\.en: .*got 'Latn'"),
        (
            {"test": [{"tsv": "a", "name": "t", "direction": THERE}] * 2},
            r"test\.name must be unlike the others, and not dev, got 't'",
        ),
    ],
)
def test_a_text_that_fits_no_direction_is_named_with_bound_and_value(
    sections: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        both(**sections)


def test_with_one_direction_a_text_may_say_it_but_no_other() -> None:
    said = config(data={"train": [{"tsv": "train.tsv", "direction": ["en", "de"]}]})
    assert run_key(said, {}) == run_key(config(), {})
    with pytest.raises(RecipeError, match=r"data\.train\.0\.direction must be one of directions \[en, de\]"):
        config(data={"train": [{"tsv": "train.tsv", "direction": ["de", "en"]}]})


def test_only_a_model_of_several_target_languages_has_tags() -> None:
    assert language_tags([("en", "fr")]) == language_tags([("en", "fr"), ("de", "fr")]) == {}
    assert language_tags([("en", "fr"), ("en", "de")]) == {"fr": ">>fr<<", "de": ">>de<<"}


# What the network reads -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """The folder of a run of a few steps."""
    run = tmp_path_factory.mktemp("runs") / "both"
    assert train(both(max_steps=4, validation={"interval_steps": 2}), data_folder, run)
    return run


class RememberingEngine(ThreadEngine):
    """Remembers what it was asked."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(EagerNetwork(bundle.model), EngineConfig(max_rows=8))
        self.requests: list[SegmentRequest] = []

    def submit(self, request: SegmentRequest) -> EventStream:
        self.requests.append(request)
        return super().submit(request)


@pytest.fixture(scope="module")
def served(finished: Path) -> Iterator[tuple[TestClient, RememberingEngine]]:
    """A server of the bundle."""
    folder = finished / "bundle"
    engine = RememberingEngine(load_bundle(folder))
    translator = fake_translator(served_model(load_bundle_head(folder), engine, "float32", "cpu"))
    with TestClient(create_app(translator, Settings())) as client:
        yield client, engine
    translator.close()


def test_training_reads_the_ids_that_the_server_feeds(
    served: tuple[TestClient, RememberingEngine], finished: Path, data_folder: Path
) -> None:
    (client, engine), data = served, prepared(both(), data_folder, finished)
    lines = lines_of(data_folder)
    asked = [(pair.source, *THERE) for pair in lines] + [(pair.target, *BACK) for pair in lines]
    assert len(asked) == len(data.train)
    for (text, source, target), ids in zip(asked[::9], sources(data)[::9], strict=True):
        body = {"text": text, "source": source, "target": target, "split": "none"}
        assert client.post("/v1/translate", json=body).status_code == 200
        assert list(engine.requests[-1].source_ids) == ids
        assert ids[0] == data.signals.token_ids[target]


def test_the_bundle_says_its_directions_and_how_it_is_told_them(finished: Path) -> None:
    bundle = load_bundle(finished / "bundle")
    assert bundle.info.directions == [("en", "fr"), ("fr", "en")]
    pieces = bundle.tokenizer.source_pieces(range(bundle.tokenizer.source_vocab_size))
    token_ids = {"en": pieces.index(">>en<<"), "fr": pieces.index(">>fr<<")}
    assert bundle.info.signals == LanguageSignals(target="source_tag", token_ids=token_ids)


def test_no_text_holds_a_tag(finished: Path) -> None:
    bundle = load_bundle(finished / "bundle")
    tags = set(bundle.info.signals.token_ids.values())
    for text in (">>fr<<", ">>fr<< ba", "ba >>en<<", ">>fr<<>>en<<"):
        assert not tags & {*bundle.tokenizer.encode_source(text), *bundle.tokenizer.encode_target(text)}
    assert all(bundle.tokenizer.is_target_control(token_id) for token_id in tags)


def test_the_server_translates_both_ways_as_the_trainer_scores_them(
    served: tuple[TestClient, RememberingEngine], finished: Path, data_folder: Path
) -> None:
    (client, _), data = served, prepared(both(), data_folder, finished)
    bundle = load_bundle(finished / "bundle")
    for test in data.tests:
        source, target = test.direction
        found = translate_sentences(
            bundle.model, bundle.tokenizer, test.sources, bundle.info.decoding, signal=test.signal
        )
        body = {"text": test.sources, "source": source, "target": target, "split": "none"}
        answer = client.post("/v1/translate", json=body).json()
        assert [one["text"] for one in answer["translations"]] == found
