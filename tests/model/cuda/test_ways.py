"""The fused way to attend finds what the plain one does; where it cannot be had, the plain one is taken."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model.cuda import choose, proven
from model.cuda.attend import GatheredAttend
from model.cuda.between import PlainBetween
from model.cuda.choose import Trial, choose_ways
from model.cuda.finish import PlainFinish
from model.cuda.state import StateView
from model.cuda.ways import Ways, plain_ways
from tests.builders import tiny_config

CPU, GPU = torch.device("cpu"), torch.device("cuda")
KERNELS = ("attend_kernels.py", "between_kernels.py", "finish_kernels.py")
TRAINING = Path(choose.__file__).parents[2] / "training" / "loss_kernels.py"
PLAIN = "GatheredAttend, PlainBetween, PlainFinish"


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
@pytest.mark.slow
def test_the_kernels_answer_as_the_plain_ways_do() -> None:
    """Interpreted, which needs no GPU: each part, the end of steps of all kinds, and whole searches."""
    told = program("-m", "tests.model.cuda.interpreted", "20", TRITON_INTERPRET="1")
    deviations = {line.split()[0]: float(line.split()[1]) for line in told.splitlines()}
    assert deviations.keys() == {"parts", "losses", "accepted", "steps", "searches"}
    assert deviations.pop("accepted") < 0.5
    assert max(deviations.values()) < 1e-5


@needs_triton
def test_the_kernels_compile_for_a_gpu_without_one(tmp_path: Path) -> None:
    told = program("-m", "tests.model.cuda.compile_kernels", TRITON_CACHE_DIR=str(tmp_path))
    sizes = [int(line.split()[-1]) for line in told.splitlines()]
    assert len(sizes) == 68
    assert min(sizes) > 1000


@needs_triton
def test_the_kernels_are_handed_what_they_compile_with(tmp_path: Path) -> None:
    told = program("-m", "tests.model.cuda.started", TRITON_CACHE_DIR=str(tmp_path))
    assert set(told.split()) == {
        "attend_kernel", "embed_kernel", "add_and_norm_kernel", "block_kernel", "top_kernel", "select_kernel",
        "go_on_kernel", "loss_kernel", "gradient_kernel",
    }  # fmt: skip


@needs_triton
def test_a_step_is_as_few_operations_as_the_page_says() -> None:
    plain, fused = program("-m", "tests.model.cuda.counted").split()
    page = (Path(choose.__file__).parents[2] / "docs" / "performance.md").read_text()
    assert f"which is {plain} operations of PyTorch the plain way, is {fused} " in " ".join(page.split())


@pytest.mark.parametrize("file", [*KERNELS, TRAINING])
def test_a_kernel_names_nothing_but_its_own_and_triton(file: str | Path) -> None:
    """Triton refuses any other name, annotations included, and its interpreter does not."""
    source = Path(choose.__file__).parent / file
    kernels = [node for node in ast.parse(source.read_text()).body if _is_kernel(node)]
    assert kernels
    for kernel in kernels:
        assert isinstance(kernel, ast.FunctionDef)
        own = {one.arg for one in kernel.args.args} | set(_names(kernel, ast.Store))
        body = [*kernel.body, kernel.args]  # decorators are Python's
        foreign = {name for part in body for name in _names(part, ast.Load)} - own
        assert not foreign - {"tl", "triton"} - set(dir(builtins))


def _is_kernel(node: ast.AST) -> bool:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(ast.unparse(one).startswith("triton.jit") for one in decorators)


def _names(node: ast.AST, use: type[ast.expr_context]) -> Iterator[str]:
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, use))


class _WrongAttend(GatheredAttend):
    def to_source(self, *asked: Any) -> Tensor:
        return super().to_source(*asked) + 0.01


class _WrongBetween(PlainBetween):
    def embed(self, *asked: Any) -> Tensor:
        return super().embed(*asked) + 0.01


class _WrongFinish(PlainFinish):
    def __call__(self, logits: Tensor, state: StateView, width: int) -> None:
        super().__call__(logits, state, width)
        state.total.add_(0.01)


def test_a_way_that_answers_otherwise_shows() -> None:
    config = tiny_config()
    trial, plain = Trial(config, CPU, torch.float32), plain_ways(config, CPU)
    wrong = Ways(_WrongAttend(), _WrongBetween(), _WrongFinish(config, CPU))
    for kind in ("attend", "between", "finish"):
        own = getattr(plain, kind)
        assert getattr(trial, kind)(own, own) == 0.0
        assert getattr(trial, kind)(getattr(wrong, kind), own) == pytest.approx(0.01, abs=1e-5)


def test_a_number_that_is_none_shows_wherever_it_stands() -> None:
    zero, none = torch.zeros(2), torch.tensor([0.0, float("nan")])
    for found in ([zero, none], [none, zero]):
        assert math.isnan(choose._distance(found, [zero, zero]))


class _RoundedBetween(PlainBetween):
    """Away from zero, in every other sum: as far as a rounding more can lead."""

    def embed(self, *asked: Any) -> Tensor:
        found = super().embed(*asked)
        found[:, ::2] *= 1 + 2**-7
        return found


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_way_that_rounds_otherwise_is_taken_however_large_the_numbers(dtype: torch.dtype) -> None:
    config = tiny_config(d_model=512, num_encoder_heads=8, num_decoder_heads=8)
    found = Trial(config, CPU, dtype).between(_RoundedBetween(), PlainBetween())
    assert 0 < found < choose.TOLERANCE[dtype]


def test_a_way_that_answers_otherwise_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    config = tiny_config()
    trial, plain = Trial(config, CPU, torch.float32), PlainFinish(config, CPU)
    wrong = _WrongFinish(config, CPU)
    assert proven.chosen("the end", plain, lambda: wrong, trial.finish, 1e-4) is plain
    assert "the end without its own kernels, which deviate by 0.01" in caplog.text
    assert proven.chosen("the end", plain, lambda: wrong, trial.finish, 0.1) is wrong


def test_without_triton_the_plain_ways_are_taken_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for file in KERNELS:
        monkeypatch.delitem(sys.modules, f"model.cuda.{Path(file).stem}", raising=False)
    # The plain ways, and all that they are tried on, would want the GPU that is not here.
    monkeypatch.setattr(choose, "plain_ways", lambda config, device: plain_ways(config, CPU))
    assert choose_ways(tiny_config(), GPU, torch.float32).names == PLAIN
    assert caplog.text.count("without its own kernels: ModuleNotFoundError") == 3
    assert choose_ways(tiny_config(), CPU, torch.float32).names == PLAIN
