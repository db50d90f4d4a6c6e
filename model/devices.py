"""Which device a network runs on. Knows: torch's names of devices. Must not know: settings, networks."""

from __future__ import annotations

import torch


class DeviceError(Exception):
    """The device that was asked for is not there; the message says what there is."""


def choose_device(wanted: str) -> torch.device:
    """`auto` (the first GPU where there is one), `cpu`, `cuda` or `cuda:N`. Raises `DeviceError`."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = wanted.partition(":")
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    # Looked at before PyTorch makes a device of it, which takes 256 for 0, and for some has no name.
    if kind == "cuda" and int(number or 0) >= num_gpus:
        raise DeviceError(
            f"device must be one that is there: cpu and {num_gpus} GPUs, got {wanted!r}{_why()}"
        )
    return torch.device(kind, int(number)) if number else torch.device(kind)


def set_up(device: torch.device) -> None:
    """To be called before a network computes there, in each thread that it does so in.

    A GPU by its number becomes the current one: graphs are captured on that, and kernels started on it.
    On a GPU, attention is not left to cuDNN, which PyTorch tries first on some: it makes a plan for every new
    shape, which takes a good part of a second, and batches of sentences have hundreds of shapes.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)
        if device.index is not None:
            torch.cuda.set_device(device)


def is_lost(device: torch.device) -> bool:
    """Whether the process can compute nothing there any more, as after an illegal address on a GPU: every
    call fails from then on, whatever it is."""
    if device.type != "cuda":
        return False
    try:
        torch.cuda.synchronize(device)
    except Exception:  # of whatever type: it has one of its own for this since PyTorch 2.7
        return True
    return False


def _why() -> str:
    """What a build of torch without CUDA, or a missing driver, has to do with it."""
    if torch.version.cuda is None:
        return f"; torch {torch.__version__} is built without CUDA: install one with it, or use --device cpu"
    if not torch.cuda.is_available():
        return f"; torch {torch.__version__} finds no driver and GPU for CUDA {torch.version.cuda}"
    return ""
