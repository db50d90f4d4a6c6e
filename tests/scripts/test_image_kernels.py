"""The kernels of an image are built with nothing but `model/native/` at hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def checkout(folder: Path) -> Path:
    """What the Dockerfile's stage has of the project."""
    ignore = shutil.ignore_patterns("__pycache__")
    (folder / "model").mkdir()
    shutil.copy(ROOT / "model" / "__init__.py", folder / "model")
    shutil.copytree(ROOT / "model" / "native", folder / "model" / "native", ignore=ignore)
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "image_kernels.py", folder / "scripts")
    return folder


def build(folder: Path, cache: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # -S: no installed package is in reach.
    command = [sys.executable, "-S", "scripts/image_kernels.py", str(cache)]
    environment = {**os.environ, "PYTHONPATH": ".", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def only_generic(folder: Path) -> None:
    """Compiling all of them takes a while, and is the image's test."""
    levels = folder / "model" / "native" / "levels.py"
    levels.write_text(levels.read_text().replace("LEVEL_NAMES = ", "LEVELS = LEVELS[-1:]\nLEVEL_NAMES = "))


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler")
def test_they_are_built_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    only_generic(folder)
    done = build(folder, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("kernels generic: ")
    names = sorted(path.suffix for path in (tmp_path / "cache" / "native").iterdir())
    assert names == [".json", ".so"]


def test_without_a_compiler_it_ends_with_the_reason(tmp_path: Path) -> None:
    done = build(checkout(tmp_path), tmp_path / "cache", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("image_kernels: the kernels of level ")
    assert "Traceback" not in done.stderr
