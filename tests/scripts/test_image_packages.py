"""Of the installed packages an image keeps what serves, and it is not built with the wrong build of torch."""

import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "image_packages.py"
SITE = "lib/python3.11/site-packages"
KEPT = ("torch/nn/linear.py", "torch/bin/torch_shm_manager", "torch/testing/_internal/x.py", "numpy/core.py")
REMOVED = (
    *("torch/test/t.py", "torch/include/t.h", "torch/bin/protoc", "numpy/fft/tests/t.py", "sympy/core.py"),
    *("setuptools/x.py", "pip/x.py", "isympy.py"),
)


def environment(folder: Path, version: str = "2.13.0+cpu", cuda: str | None = None) -> Path:
    """A virtual environment as far as the script looks at it."""
    for name in (*KEPT, *REMOVED):
        path = folder / SITE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    (folder / SITE / "torch" / "version.py").write_text(f"__version__ = {version!r}\ncuda = {cuda!r}\n")
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def present(venv: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if (venv / SITE / name).exists()]


@pytest.mark.parametrize(
    ("variant", "cuda", "said"),
    [("cpu", None, "torch 2.13.0, for processors\n"), ("cuda", "13.0", "torch 2.13.0, for CUDA 13.0\n")],
)
def test_the_build_that_is_wanted_passes(tmp_path: Path, variant: str, cuda: str | None, said: str) -> None:
    done = run("check", variant, environment(tmp_path, "2.13.0", cuda))
    assert (done.returncode, done.stdout) == (0, said)


@pytest.mark.parametrize(
    ("variant", "cuda", "next_step"),
    [
        ("cpu", "13.0", "--build-arg TORCH_INDEX_URL=<PyTorch's CPU index>"),
        ("cuda", None, "Leave out TORCH_INDEX_URL"),
        ("gpu", None, "VARIANT must be one of cpu, cuda, got 'gpu'"),
    ],
)
def test_another_build_is_refused_with_the_next_step(
    tmp_path: Path, variant: str, cuda: str | None, next_step: str
) -> None:
    done = run("check", variant, environment(tmp_path, cuda=cuda))
    assert done.returncode == 1
    assert next_step in done.stderr
    assert "Traceback" not in done.stderr


def test_what_serves_is_kept_and_compiled_and_the_rest_is_gone(tmp_path: Path) -> None:
    venv = environment(tmp_path)
    done = run("trim", venv)
    assert done.returncode == 0, done.stderr
    assert present(venv, KEPT) == list(KEPT)
    assert present(venv, REMOVED) == []
    compiled = venv / SITE / "torch" / "nn" / "__pycache__" / f"linear.{sys.implementation.cache_tag}.pyc"
    assert compiled.read_bytes()[4:8] == b"\1\0\0\0"  # by the content's hash, and not to be checked
    assert done.stdout.startswith("packages: ")


def test_a_file_for_another_python_does_not_stop_it(tmp_path: Path) -> None:
    venv = environment(tmp_path)
    (venv / SITE / "torch" / "later.py").write_text("def f[T](x: T)) -> T: ...\n")
    assert run("trim", venv).returncode == 0


@pytest.mark.skipif(shutil.which("strip") is None, reason="no binutils")
def test_the_large_library_loses_its_symbols(tmp_path: Path) -> None:
    venv = environment(tmp_path)
    library = venv / SITE / runpy.run_path(str(SCRIPT))["WITH_SYMBOLS"]
    library.parent.mkdir()
    shutil.copy(Path(sys.executable).resolve(), library)
    before = library.stat().st_size
    assert run("trim", venv).returncode == 0
    assert library.stat().st_size <= before


@pytest.mark.parametrize("arguments", [[], ["trim"], ["check", "cpu"], ["other", "x"]])
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, "usage" in done.stderr) == (1, True)


def test_a_folder_that_is_no_environment_is_refused(tmp_path: Path) -> None:
    done = run("trim", tmp_path)
    assert done.returncode == 1
    assert "must be a virtual environment" in done.stderr
