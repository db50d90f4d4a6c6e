"""Which device is taken, and what is set before a network computes there."""

from __future__ import annotations

import pytest
import torch

from model.devices import DeviceError, choose_device, set_up


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("wanted", "device"),
    [("auto", "cuda"), ("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("cuda:01", "cuda:1")],
)
def test_a_device_that_is_there_is_taken(wanted: str, device: str) -> None:
    assert choose_device(wanted) == torch.device(device)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("number", ["2", "256", "65536", "9" * 20])
def test_a_number_that_no_gpu_has_is_not_taken_for_another(number: str) -> None:
    with pytest.raises(DeviceError, match=f"cpu and 2 GPUs, got 'cuda:{number}'"):
        choose_device(f"cuda:{number}")


def test_attention_on_a_gpu_is_not_left_to_cudnn() -> None:
    """It makes a plan for each new shape. The switch is there without a GPU too."""
    before = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        set_up(torch.device("cpu"))
        assert torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
        set_up(torch.device("cuda"))
        assert not torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
