"""Numbers between the host and a device, with as few waits as there can be.

Knows: tensors, devices. Must not know: what they mean. On a processor nothing is moved.
"""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

HOST = torch.device("cpu")


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device; nobody waits until it is there.

    Indices and masks of the host are brought by this: a device's operation that is given one waits for it.
    """
    if device.type == "cpu":
        return tensor
    # From memory that is not pinned a GPU copies in the presence of the host.
    staged = tensor.pin_memory() if device.type == "cuda" else tensor
    return staged.to(device, non_blocking=True)


def to_host(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same on the host, of whatever types, in one transfer and so with one wait."""
    if tensors[0].device.type == "cpu":
        return tensors
    parts = [tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors]
    ends = list(accumulate(map(len, parts)))
    told = torch.cat(parts).cpu()
    # Cloned, since a number may lie only where a multiple of its size is.
    slices = [told[end - len(part) : end].clone() for part, end in zip(parts, ends, strict=True)]
    return tuple(
        one.view(tensor.dtype).view(tensor.shape) for one, tensor in zip(slices, tensors, strict=True)
    )
