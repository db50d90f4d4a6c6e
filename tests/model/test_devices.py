"""What is set before a network computes on a device."""

from __future__ import annotations

import torch

from model.devices import set_up


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
