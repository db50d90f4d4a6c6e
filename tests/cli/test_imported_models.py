"""Imported models behind the server and `verto translate`: the target's language is told, and never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.checkpoint import load_bundle
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.importers.foreign import ForeignFolder
from model.importers.mapping import Wanted
from model.importers.registry import import_folder
from service.app import create_app
from service.loading import load_translator
from service.metrics import Metrics
from service.settings import Settings
from tests.builders import tiny_sentences
from tests.cli.conftest import Verto
from tests.model.importers.random_fairseq import write_fsmt, write_nllb
from tests.service.http_client import read_events, streamed_texts

TEXT = "\n".join([*tiny_sentences(3, seed=5), "", 'Ba-de "fi" go, 3.5 %! (Ka le)'])
OPTIONS = {"beam_size": 2, "max_length": 12}


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NLLB with all its languages, and an FSMT model of one pair."""
    folder = tmp_path_factory.mktemp("imported")
    for name, write in (("nllb", write_nllb), ("fsmt", write_fsmt)):
        write(folder / f"{name}-hf")
        source = ForeignFolder.open(folder / f"{name}-hf")
        import_folder(source, folder / "models" / name, Wanted(name=name))
    return folder / "models"


@pytest.fixture(scope="module")
def client(models_dir: Path) -> Iterator[TestClient]:
    settings = Settings(models_dir=models_dir, num_threads=1, device="cpu", kernels="eager")
    metrics = Metrics()
    translator = load_translator(settings, metrics)
    with TestClient(create_app(translator, settings, metrics=metrics)) as client:
        yield client
    translator.close()


def translate(client: TestClient, model: str, **body: Any) -> Any:
    response = client.post(
        "/v1/translate", json={"text": TEXT, "source": "en", "model": model, **OPTIONS, **body}
    )
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(("target", "code"), [("de", "deu_Latn"), ("zh-TW", "zho_Hant")])
def test_an_iso_code_finds_the_language_and_forces_its_token(
    models_dir: Path, client: TestClient, target: str, code: str
) -> None:
    answer = translate(client, "nllb", target=target, split="lines", text="Ba de fi.").json()
    assert (answer["source"], answer["target"]) == ("eng_Latn", code)
    bundle = load_bundle(models_dir / "nllb")
    ids = bundle.info.signals.token_ids
    source = [ids["eng_Latn"], *bundle.tokenizer.encode_source("Ba de fi.")]
    options = DecodingOptions(beam_size=2, max_length=13, prefix_ids=(ids[code],))
    ((best,),) = decode_batch(bundle.model, [source], options)
    assert answer["translations"][0]["text"] == bundle.tokenizer.decode_target(best.token_ids).strip()


@pytest.mark.parametrize("model", ["nllb", "fsmt"])
@pytest.mark.parametrize("options", [{}, {"strategy": "greedy", "beam_size": None}, {"prefix": "Ba"}])
def test_a_stream_adds_up_to_the_answer_and_shows_no_language(
    client: TestClient, model: str, options: dict[str, Any]
) -> None:
    text = {"text": "Ba de fi go."} if "prefix" in options else {}
    whole = translate(client, model, target="de", **options, **text).json()["translations"][0]["text"]
    events = read_events(translate(client, model, target="de", stream=True, **options, **text).text)
    assert streamed_texts(events, 1) == [whole]
    assert "Latn" not in whole
    assert whole.startswith(options.get("prefix", ""))


def test_words_of_an_fsmt_model_are_aligned_and_tokens_told(client: TestClient) -> None:
    answer = translate(
        client, "fsmt", target="de", text='Ba-de "fi"!', **{"return": ["tokens", "alignment"]}
    ).json()
    (translation,) = answer["translations"]
    assert all(token["token"] for token in translation["tokens"])
    for pair in translation["alignment"]:
        start, end = pair["source_span"]
        assert 0 <= start < end <= len('Ba-de "fi"!')


def test_files_get_what_requests_get(verto: Verto, client: TestClient, models_dir: Path) -> None:
    lines = TEXT.split("\n")
    answered = [
        translate(client, "fsmt", target="de", text=line).json()["translations"][0]["text"] for line in lines
    ]
    common = ("translate", "--models-dir", models_dir, "--threads", 1, "--beam-size", 2, "--max-length", 12)
    ended = verto(*common, "--model", "fsmt", "-s", "en", "-t", "de", "--quiet", stdin=f"{TEXT}\n".encode())
    assert ended.code == 0, ended.err
    assert ended.text.split("\n") == [*answered, ""]
    ended = verto(*common, "--model", "nllb", "-s", "en", "-t", "xx", stdin=b"x\n")
    assert ended.code == 2
    assert "40,552 more" in ended.err.replace("\n", " ")


def test_languages_are_listed_briefly(verto: Verto, client: TestClient, models_dir: Path) -> None:
    ended = verto("models", "--models-dir", models_dir)
    assert "202 languages" in ended.text
    languages = client.get("/v1/languages").json()["languages"]
    assert len(languages) == 204
    assert len(next(one for one in languages if one["code"] == "eng_Latn")["targets"]) == 201
    assert len(json.dumps(client.get("/v1/models").json())) < 10_000
