"""`verto import` makes a bundle of a folder or of a model on the hub, and refuses in one line."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import model.checkpoint
from model.checkpoint import load_bundle
from tests.builders import dictionary_tokenizer
from tests.cli.conftest import Verto
from tests.cli.small_hub import COMMIT, SmallHub, running
from tests.model.importers.random_marian import SENTENCES, write_marian


def test_a_folder_becomes_a_bundle_that_translates(tmp_path: Path, verto: Verto) -> None:
    write_marian(tmp_path / "opus mt")
    ended = verto("import", tmp_path / "opus mt", tmp_path / "models" / "opus", "--dtype", "float16")
    assert (ended.code, ended.text.strip(), ended.err) == (0, str(tmp_path / "models" / "opus"), "")
    info = load_bundle(tmp_path / "models" / "opus").info
    assert (info.name, info.version, list(info.directions)) == ("opus-mt", "1", [("en", "de")])
    languages = ("--source", "en", "--target", "de", "--models-dir", tmp_path / "models")
    text = "\n".join(SENTENCES[:3]).encode() + b"\n"
    answered = verto("translate", *languages, "--strategy", "greedy", "--max-length", "8", stdin=text)
    assert answered.code == 0
    assert len(answered.text.splitlines()) == 3


def test_name_version_and_languages_are_as_the_user_says(tmp_path: Path, verto: Verto) -> None:
    write_marian(tmp_path / "hf", tokenizer=dictionary_tokenizer(), settings={"source_lang": "mul_"})
    options = ("--name", "mine", "--version", "2.1", "--source", "en", "--source", "sv", "--target", "oci")
    assert verto("import", tmp_path / "hf", tmp_path / "out", *options).code == 0
    info = load_bundle(tmp_path / "out").info
    assert (info.name, info.version) == ("mine", "2.1")
    assert list(info.directions) == [("en", "oci"), ("sv", "oci")]


def test_a_model_of_the_hub_is_fetched_and_its_revision_is_on_the_card(
    tmp_path: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    write_marian(tmp_path / "hf")
    with running(SmallHub({"Helsinki-NLP/opus-mt-xx": tmp_path / "hf"})) as hub:
        ended = verto("import", "Helsinki-NLP/opus-mt-xx", tmp_path / "out", "--endpoint", hub.endpoint)
    assert ended.code == 0, ended.err
    assert load_bundle(tmp_path / "out").info.name == "opus-mt-xx"
    assert f"`Helsinki-NLP/opus-mt-xx, revision {COMMIT}`" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_a_fault_is_one_line_and_leaves_nothing(tmp_path: Path, verto: Verto) -> None:
    write_marian(tmp_path / "hf")
    weights = tmp_path / "hf" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    ended = verto("import", tmp_path / "hf", tmp_path / "out")
    assert ended.code == 2
    assert ended.err.startswith(f"verto: {weights}: not a whole safetensors file")
    assert len(ended.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


@pytest.mark.parametrize("option", ["--revision", "--endpoint"])
def test_an_option_for_the_hub_is_not_ignored_beside_a_folder(
    tmp_path: Path, verto: Verto, option: str
) -> None:
    write_marian(tmp_path / "hf")
    ended = verto("import", tmp_path / "hf", tmp_path / "out", option, "x")
    assert (ended.code, ended.text) == (2, "")
    assert f"Invalid value for {option}: is for a model of the hub; SOURCE is a folder" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_nothing_half_written(
    tmp_path: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    write_marian(tmp_path / "hf")

    def stop(*arguments: object) -> None:
        assert callable(signal.getsignal(number)), "the signal would end the tests"
        os.kill(os.getpid(), number)

    monkeypatch.setattr(model.checkpoint, "write_manifest", stop)
    ended = verto("import", tmp_path / "hf", tmp_path / "out")
    assert (ended.code, ended.err) == (code, "verto: stopped\n")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_a_path_that_is_not_there_is_no_model_name(tmp_path: Path, verto: Verto) -> None:
    ended = verto("import", tmp_path / "nothing" / "here", tmp_path / "out")
    assert ended.code == 2
    assert "no such folder" in ended.err
