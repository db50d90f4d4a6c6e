"""`verto export` writes the folder, says where it is, and refuses in one line."""

import errno
import os
import signal
from pathlib import Path

import pytest

import model.exporters.marian_hf
from tests.builders import tiny_bundle
from tests.cli.conftest import Verto


def test_a_bundle_is_exported_and_its_folder_is_printed(tmp_path: Path, verto: Verto) -> None:
    tiny_bundle(tmp_path / "tiny")
    ended = verto("export", tmp_path / "tiny", tmp_path / "out", "--format", "marian-hf")
    assert (ended.code, ended.text.strip()) == (0, str(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "source.spm", "vocab.json", "README.md"} <= names


def test_a_bundle_is_found_by_its_name(tmp_path: Path, verto: Verto) -> None:
    tiny_bundle(tmp_path / "models" / "tiny")
    assert verto("export", "tiny", tmp_path / "out", "--models-dir", tmp_path / "models").code == 0


def test_what_cannot_be_expressed_is_one_line_and_writes_nothing(tmp_path: Path, verto: Verto) -> None:
    tiny_bundle(tmp_path / "tiny", embedding_norm=True)
    ended = verto("export", tmp_path / "tiny", tmp_path / "out")
    assert ended.code == 2
    assert ended.err.strip() == "verto: embedding_norm must be False for format marian-hf, got True"
    assert not (tmp_path / "out").exists()


def test_a_signal_leaves_nothing_half_written(
    tmp_path: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_bundle(tmp_path / "tiny")

    def stop(*arguments: object) -> None:
        assert callable(signal.getsignal(signal.SIGTERM)), "the signal would end the tests"
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(model.exporters.marian_hf, "write_bytes", stop)
    ended = verto("export", tmp_path / "tiny", tmp_path / "out")
    assert (ended.code, ended.err) == (143, "verto: stopped\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_reader_that_has_gone_ends_it_as_any_command(
    tmp_path: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_bundle(tmp_path / "tiny")
    monkeypatch.setattr("cli.export.typer.echo", broken_pipe)
    assert verto("export", tmp_path / "tiny", tmp_path / "out").code == 141


def broken_pipe(*_: object, **__: object) -> None:
    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def test_an_unknown_format_is_refused(tmp_path: Path, verto: Verto) -> None:
    tiny_bundle(tmp_path / "tiny")
    ended = verto("export", tmp_path / "tiny", tmp_path / "out", "--format", "onnx")
    assert ended.code == 2
    assert "marian-hf" in ended.err


def test_a_second_vocabulary_is_noted(tmp_path: Path, verto: Verto) -> None:
    tiny_bundle(tmp_path / "tiny", joint=False, share_embeddings=False)
    ended = verto("export", tmp_path / "tiny", tmp_path / "out")
    assert ended.code == 0
    assert "note: CTranslate2's converter knows one vocabulary" in ended.err
