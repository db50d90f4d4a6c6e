"""The fused way to attend finds what the plain one does; where it cannot be had, the plain one is taken."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.cuda.attend import GatheredAttend
from model.cuda.attend_choice import choose_attend, deviation
from tests.builders import tiny_config

CPU, GPU = torch.device("cpu"), torch.device("cuda")


needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton comes with builds of torch for a GPU"
)


def program(*arguments: str, **variables: str) -> str:
    """What a Python program says. Each is a process: Triton reads what it is to be when it is imported."""
    surroundings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, env=surroundings | variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@needs_triton
@pytest.mark.parametrize("heads", [{}, {"d_model": 48, "num_decoder_heads": 4}])
def test_the_kernel_attends_as_the_plain_way_does(heads: dict[str, int]) -> None:
    """Interpreted, which needs no GPU."""
    code = f"""
import torch
from model.cuda.attend import GatheredAttend
from model.cuda.attend_choice import deviation
from model.cuda.kernels import FusedAttend
from tests.builders import tiny_config
config = tiny_config(**{heads!r})
print(deviation(FusedAttend(), GatheredAttend(), config, torch.device("cpu"), torch.float32))
"""
    assert float(program("-c", code, TRITON_INTERPRET="1")) < 1e-5


@needs_triton
def test_the_kernel_compiles_for_a_gpu_without_one(tmp_path: Path) -> None:
    told = program("-m", "tests.model.cuda.compile_kernel", TRITON_CACHE_DIR=str(tmp_path))
    sizes = [int(line.split()[-1]) for line in told.splitlines()]
    assert len(sizes) == 18
    assert min(sizes) > 1000


def test_a_kernel_names_nothing_but_its_own_and_triton() -> None:
    """Triton refuses any other name, annotations included, and its interpreter does not."""
    source = Path(__file__).parents[3] / "model" / "cuda" / "kernels.py"
    kernels = [node for node in ast.parse(source.read_text()).body if _is_kernel(node)]
    assert kernels
    for kernel in kernels:
        assert isinstance(kernel, ast.FunctionDef)
        own = {one.arg for one in kernel.args.args} | set(_names(kernel, ast.Store))
        foreign = set(_names(kernel, ast.Load)) - own - {"tl", "triton"} - set(dir(builtins))
        assert not foreign


def _is_kernel(node: ast.AST) -> bool:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return "triton.jit" in map(ast.unparse, decorators)


def _names(node: ast.AST, use: type[ast.expr_context]) -> Iterator[str]:
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, use))


class _Wrong(GatheredAttend):
    def to_source(self, *asked: object) -> torch.Tensor:
        return super().to_source(*asked) + 0.01  # type: ignore[arg-type]


def test_a_way_that_answers_otherwise_shows() -> None:
    config = tiny_config()
    assert deviation(GatheredAttend(), GatheredAttend(), config, CPU, torch.float32) == 0.0
    assert deviation(_Wrong(), GatheredAttend(), config, CPU, torch.float32) == pytest.approx(0.01, abs=1e-5)


def test_without_triton_the_plain_way_is_taken_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "model.cuda.kernels", raising=False)
    assert isinstance(choose_attend(tiny_config(), GPU, torch.float32), GatheredAttend)
    assert "attention without its own kernel: ModuleNotFoundError" in caplog.text
    assert isinstance(choose_attend(tiny_config(), CPU, torch.float32), GatheredAttend)
