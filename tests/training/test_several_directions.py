"""One model of several directions: training feeds what the server feeds, and each text stays in its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from model.bundle_head import load_bundle_head
from model.checkpoint import Bundle, load_bundle
from model.language_signals import LanguageSignals, Signal
from model.network import EagerNetwork
from service.app import create_app
from service.engine import EngineConfig
from service.engine.event_stream import EventStream
from service.engine.request import SegmentRequest
from service.engine.thread_engine import ThreadEngine
from service.served_model import served_model
from service.settings import Settings
from tests.builders import tiny_sentences
from tests.fakes import fake_translator
from tests.training.runs import ListeningMonitor, config
from training.batching import make_batch
from training.config import TrainingConfig
from training.corpus import Pair
from training.errors import CorpusError, ResumeError
from training.evaluation import translate_sentences
from training.monitor import read_metrics
from training.preparation import PreparedData, prepare
from training.release import score_text
from training.run import train
from training.run_tokenizer import load_tokenizer
from training.trainer import Trainer

THERE, BACK = ["en", "fr"], ["fr", "en"]
# What a text that would forge a tag is made of.
PARTS = (">>fr<<", ">>en<<", ">>", "<<", ">", "fr", "en", " ", "ba", "▁")


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


def prepared(
    settings: TrainingConfig, data_folder: Path, run: Path, lines: list[str] | None = None
) -> PreparedData:
    monitor = ListeningMonitor()
    monitor.lines = [] if lines is None else lines
    return prepare(settings, data_folder, run, monitor)


def sources(data: PreparedData) -> list[list[int]]:
    return [data.train.source[index].tolist() for index in range(len(data.train))]


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


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_no_text_holds_a_tag(finished: Path, text: str) -> None:
    tokenizer = load_tokenizer(finished)
    pieces = {*tokenizer.source_pieces(tokenizer.encode_source(text))}
    pieces |= {*tokenizer.target_pieces(tokenizer.encode_target(text))}
    assert not pieces & {">>fr<<", ">>en<<"}


def test_a_tag_spells_nothing(finished: Path) -> None:
    bundle = load_bundle(finished / "bundle")
    assert all(map(bundle.tokenizer.is_target_control, bundle.info.signals.token_ids.values()))


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
        assert any(found)


# What a direction decides -----------------------------------------------------------------------------------


def test_every_direction_of_a_look_is_recorded_and_their_mean_decides(finished: Path) -> None:
    looks = [line for line in read_metrics(finished) if "dev_loss" in line]
    assert [look["step"] for look in looks] == [2, 4]
    for look in looks:
        for name in ("dev_loss", "dev_bleu", "dev_chrf"):
            ways = [look[f"{name}_en-fr"], look[f"{name}_fr-en"]]
            assert look[name] == pytest.approx(sum(ways) / 2)
        assert look["dev_loss_en-fr"] != look["dev_loss_fr-en"]


def test_the_card_tells_every_direction_and_scores_each_text_in_its_own(finished: Path) -> None:
    card = (finished / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    wanted = [
        "# tiny 1: en to fr, fr to en",
        "- en to fr",
        "- fr to en",
        "`>>fr<<`, `>>en<<` before the source",
        "| dev, en-fr | 6 |",
        "| dev, fr-en | 6 |",
        "| books, en-fr | 5 |",
        "| books, fr-en | 5 |",
    ]
    assert [text for text in wanted if text not in card] == []


def test_a_tag_of_a_text_stands_behind_that_of_its_language(tmp_path: Path, data_folder: Path) -> None:
    made = {"tsv": "train.tsv", "direction": THERE, "tag": "<BT>"}
    settings = both(data={"train": [made, {"tsv": "train.tsv", "columns": [1, 0], "direction": BACK}]})
    data = prepared(settings, data_folder, tmp_path / "run")
    first = [piece for piece in data.tokenizer.source_pieces(sources(data)[0]) if piece != "▁"]
    assert first[:2] == [">>fr<<", "<BT>"]
    assert data.tokenizer.source_pieces(sources(data)[-1])[0] == ">>en<<"


def test_limits_of_length_count_the_tag(tmp_path: Path, data_folder: Path) -> None:
    whole = prepared(both(), data_folder, tmp_path / "whole")
    limit = int(whole.train.target.lengths.max())
    fitting = prepared(both(data={"max_tokens": limit}), data_folder, tmp_path / "run")
    short = [ids for ids in sources(whole) if len(ids) <= limit]
    assert len(short) < len(whole.train), "a source has a token more than the same text as a target"
    assert sources(fitting) == short


def test_a_source_of_new_pieces_keeps_its_tag(tmp_path: Path, data_folder: Path) -> None:
    settings = both(data={"subword_sampling": {"alpha": 0.5}})
    data = prepared(settings, data_folder, tmp_path / "run")
    rows, plain = torch.arange(len(data.train)).numpy(), sources(data)
    batch = make_batch(data.train, rows, data.network.pad_id, data.network.decoder_start_id, epoch=3)
    drawn = [ids[mask].tolist() for ids, mask in zip(batch.source_ids, batch.source_mask, strict=True)]
    assert [ids[0] for ids in drawn] == [ids[0] for ids in plain]
    assert drawn != plain
    texts = [data.tokenizer.decode_target(ids) for ids in plain]
    assert [data.tokenizer.decode_target(ids) for ids in drawn] == texts


def test_what_repeats_a_pair_of_another_direction_is_no_repetition(tmp_path: Path, data_folder: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train", "dev", "test"):
        (folder / f"{name}.tsv").write_text("Taxi\tTaxi\nBus\tCar\nBus\tCar\n", encoding="utf-8")
    more = {"tsv": str(data_folder / "train.tsv"), "direction": THERE}
    settings = both(data={"train": [*both().to_dict()["data"]["train"], more]})
    data = prepared(settings, folder, tmp_path / "run")
    assert len(data.train) == 2 + 2 + len(lines_of(data_folder))
    assert data.cleaning == "86 pairs read, 84 kept (dropped: duplicate 2)"


def test_each_direction_is_cleaned_by_the_scripts_of_its_own_languages(tmp_path: Path) -> None:
    lines = "".join(f"{text}.\t{text}.\n" for text in tiny_sentences(60))
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"Haus\tдом\nHaus\thouse\n{lines}", encoding="utf-8")
    ways = [["de", "ru"], ["ru", "de"], ["de", "en"]]
    settings = config(
        directions=ways,
        data={
            "train": [
                {"tsv": "train.tsv", "direction": way, "columns": [1, 0] if way[0] == "ru" else [0, 1]}
                for way in ways
            ],
            "dev": [{"tsv": "dev.tsv", "direction": way} for way in ways],
            "scripts": {"de": "Latin", "ru": "Cyrillic", "en": "Latin"},
            "drop_identical": False,
        },
    )
    data = prepared(settings, tmp_path, tmp_path / "run")
    assert len(data.train) == 1 + 1 + 61


def test_a_dev_text_without_a_pair_is_named_with_its_direction(tmp_path: Path, data_folder: Path) -> None:
    (empty := tmp_path / "empty.tsv").touch()
    dev = [{"tsv": "dev.tsv", "direction": THERE}, {"tsv": str(empty), "direction": BACK}]
    with pytest.raises(CorpusError, match="dev, fr-en: holds no pair"):
        prepared(both(data={"dev": dev}), data_folder, tmp_path / "run")


def test_looks_and_scores_tell_the_model_the_direction_of_each_text(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = both(validation={"num_sentences": 4})
    data = prepared(settings, data_folder, tmp_path / "run")
    trainer = Trainer(settings, data, tmp_path / "run", ListeningMonitor())
    asked = list[tuple[list[str], int]]()

    def translate(model: Any, tokenizer: Any, texts: list[str], *options: Any, **told: Signal) -> list[str]:
        signal = told["signal"] if told else options[-1]
        asked.append((texts, *signal.before_source))
        return texts

    monkeypatch.setattr("training.validation.translate", translate)
    monkeypatch.setattr("training.release.translate", translate)
    trainer.validate()
    for test in data.tests:
        score_text(trainer, trainer.model, test, trainer.monitor)
    tags = [data.signals.token_ids[code] for code in ("fr", "en")] * 2
    texts = [*(dev.text.sources[:4] for dev in data.dev), *(test.sources for test in data.tests)]
    assert asked == list(zip(texts, tags, strict=True))
    assert [dev.encoded.source[0][0] for dev in data.dev] == tags[:2]


# Going on ---------------------------------------------------------------------------------------------------


def test_pairs_are_prepared_anew_for_another_direction(tmp_path: Path, data_folder: Path) -> None:
    prepared(both(), data_folder, tmp_path / "run")
    turned = both().to_dict()["data"]["train"]
    turned[0]["direction"], turned[1]["direction"] = BACK, THERE
    lines: list[str] = []
    prepared(both(data={"train": turned}), data_folder, tmp_path / "run", lines)
    assert lines[0].startswith("pairs are prepared anew: data.train was")


def test_a_run_goes_on_to_the_same_weights_and_with_no_other_direction(
    tmp_path: Path, data_folder: Path, finished: Path
) -> None:
    few, run = {"max_steps": 4, "validation": {"interval_steps": 2}}, tmp_path / "run"
    assert not train(both(**few, max_seconds=1e-6), data_folder, run)
    turned = both().to_dict()["data"]["train"]
    turned[0]["direction"], turned[1]["direction"] = BACK, THERE
    with pytest.raises(ResumeError, match=r"cannot go on with other data \(data\.train was"):
        train(both(**few, data={"train": turned}), data_folder, run)
    assert train(both(**few), data_folder, run)
    straight, stopped = (load_bundle(folder / "bundle").model for folder in (finished, run))
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, stopped.state_dict()[name]), name


def test_many_languages_into_one_are_told_nothing(tmp_path: Path, data_folder: Path) -> None:
    ways = [["en", "fr"], ["de", "fr"]]
    texts = [{"tsv": "train.tsv", "direction": way} for way in ways]
    settings = config(directions=ways, data={"train": texts, "dev": texts}, max_steps=1)
    assert train(settings, data_folder, tmp_path / "run")
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.info.directions == [("en", "fr"), ("de", "fr")]
    content = json.loads((bundle.path / "config.json").read_text(encoding="utf-8"))
    assert content["target_signal"] == "none"
    assert "language_tokens" not in content
