"""The fused way to attend finds what the plain one does; where it cannot be had, the plain one is taken."""

from __future__ import annotations

import sys

import pytest
import torch

from model.cuda.attend import GatheredAttend
from model.cuda.attend_choice import choose_attend, deviation
from tests.builders import tiny_config

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("heads", [{}, {"d_model": 48, "num_decoder_heads": 4}])
def test_the_kernel_attends_as_the_plain_way_does(
    monkeypatch: pytest.MonkeyPatch, heads: dict[str, int]
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # without a GPU it is interpreted
    pytest.importorskip("triton", reason="Triton comes with builds of torch for a GPU")
    from model.cuda.kernels import FusedAttend

    config = tiny_config(**heads)
    assert deviation(FusedAttend(), GatheredAttend(), config, CPU, torch.float32) < 1e-5


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
