"""`verto prepare` builds what is missing, tries it on bundles, and says what is wrong in one line."""

from inspect import signature
from pathlib import Path

import pytest

from cli import prepare
from model.native import agreement
from model.native.levels import LEVELS
from tests.builders import tiny_bundle, tiny_info
from tests.cli.conftest import Verto
from tests.model.native.kernels import CACHE
from tests.model.native.small_library import pretended_compiler
from tests.server_process import ROOT


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    tiny_bundle(tmp_path / "models" / "tiny", info=tiny_info(name="tiny-en-de"))
    return tmp_path / "models"


def test_kernels_are_built_and_tried_on_every_bundle_in_every_precision(
    verto: Verto, models_dir: Path
) -> None:
    ended = verto("prepare", "--models-dir", models_dir, "--cache-dir", CACHE, "--num-threads", 1)
    assert ended.code == 0, ended.err
    kernels, *tried = ended.text.splitlines()
    assert kernels.startswith("kernels ")
    assert "runs here: " in kernels
    assert [line.split(":")[0] for line in tried] == [
        "tiny-en-de float32",
        "tiny-en-de bfloat16",
        "tiny-en-de int8",
    ]
    assert all("agrees with PyTorch" in line for line in tried)
    again = verto("prepare", "tiny", "--models-dir", models_dir, "--cache-dir", CACHE, "--precision", "int8")
    assert (again.code, len(again.text.splitlines())) == (0, 2)
    assert ": was there (" in again.text


def test_an_image_gets_every_level(verto: Verto) -> None:
    ended = verto("prepare", "--level", "all", "--kernels-only", "--cache-dir", CACHE)
    assert ended.code == 0, ended.err
    named = [line.split()[1].rstrip(":") for line in ended.text.splitlines()]
    assert named == [level.name for level in LEVELS if level.exists_here()]


def test_answers_that_differ_end_with_code_1(
    verto: Verto, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(agreement.TOLERANCE, "float32", -1.0)
    arguments = ("--models-dir", models_dir, "--cache-dir", CACHE, "--precision", "float32")
    ended = verto("prepare", *arguments)
    assert ended.code == 1
    assert "DOES NOT AGREE with PyTorch" in ended.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--level", "sse"), "--level must be auto, all or one of amx, avx512vnni, avx2, generic, got 'sse'"),
        (("--precision", "int4"), "--precision must be one of float32, bfloat16, int8, got 'int4'"),
    ],
)
def test_an_unknown_choice_is_refused_with_those_there_are(
    verto: Verto, arguments: tuple[str, ...], words: str
) -> None:
    ended = verto("prepare", *arguments)
    assert ended.code == 2
    assert words in " ".join(ended.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("BUNDLE", ("nope",)),
        ("--precision", ("--precision", "int8")),
        ("--models-dir", ("--models-dir", "x")),
        ("--num-threads", ("--num-threads", 1)),
    ],
    ids=["bundle", "precision", "models", "threads"],
)
def test_nothing_is_accepted_and_ignored_beside_kernels_only(
    verto: Verto, option: str, arguments: tuple[object, ...]
) -> None:
    ended = verto("prepare", "--kernels-only", "--cache-dir", CACHE, *arguments)
    assert (ended.code, ended.text) == (2, "")
    assert f"Invalid value for {option}: is for trying bundles" in ended.err


@pytest.mark.parametrize(
    ("name", "fault"), [("missing", "no such folder"), ("empty", "no bundle found in this folder")]
)
def test_no_bundle_to_try_is_told_before_anything_is_built(
    verto: Verto, tmp_path: Path, name: str, fault: str
) -> None:
    (tmp_path / "empty").mkdir()
    ended = verto("prepare", "--models-dir", tmp_path / name, "--cache-dir", tmp_path / "cache")
    assert (ended.code, ended.text) == (2, "")
    assert f"{tmp_path / name}: {fault}" in ended.err
    assert not (tmp_path / "cache").exists()


def test_a_missing_compiler_is_one_line_that_says_what_to_install(
    verto: Verto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = verto("prepare", "--cache-dir", tmp_path / "cache")
    assert ended.code == 2
    assert ended.err.startswith("verto: the kernels of level ")
    assert "no C++ compiler found" in ended.err
    assert "apt-get install g++" in ended.err
    assert ended.err.count("\n") == 1


def test_a_compiler_that_fails_is_one_line_with_its_error(verto: Verto, tmp_path: Path) -> None:
    compiler = pretended_compiler(tmp_path / "cc", "echo 'verto.cpp:1: error: no such thing' >&2; exit 1")
    ended = verto("prepare", "--cache-dir", tmp_path / "cache", "--cxx", compiler)
    assert ended.code == 2
    assert "error: no such thing" in ended.err


def test_a_folder_that_is_no_bundle_is_one_line(verto: Verto, models_dir: Path) -> None:
    ended = verto("prepare", "other", "--models-dir", models_dir, "--cache-dir", CACHE)
    assert ended.code == 2
    assert "no model is called 'other'" in ended.err


def test_a_broken_bundle_is_one_line_that_names_file_and_fault(verto: Verto, models_dir: Path) -> None:
    (models_dir / "tiny" / "model.safetensors").write_bytes(b"changed")
    ended = verto("prepare", "--models-dir", models_dir, "--cache-dir", CACHE)
    assert ended.code == 2
    assert "bytes where manifest.json says" in ended.err


def test_the_page_names_every_option() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    options = [name for name in signature(prepare.run).parameters if name != "bundles"]
    assert [name for name in options if f"`--{name.replace('_', '-')}`" not in page] == []
