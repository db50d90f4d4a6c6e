"""How many operations a step of OPUS-MT's shape is, the plain way and by kernels; needs Triton, and no GPU.

A program of its own (`python -m tests.model.cuda.counted`): the kernels are only noted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from loadtests.gpu.setting import OPUS_BASE
from model.cuda import attend_kernels, between_kernels, finish_kernels
from model.cuda.network import CudaNetwork
from model.cuda.ways import Ways, plain_ways
from model.transformer import Transformer

HOST = torch.device("cpu")
# Views, memory, and what the host alone does: nothing of these is started on a GPU.
NO_WORK = {
    "_reshape_alias", "alias", "as_strided", "detach", "empty_like", "expand", "expand_as", "flatten",
    "new_empty", "permute", "promote_types", "select", "slice", "split", "t", "transpose", "unbind",
    "unsqueeze", "view",
}  # fmt: skip


class Launches:
    """In place of a kernel."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self._name, self._seen = name, seen

    def __getitem__(self, grid: object) -> Callable[..., None]:
        return lambda *asked, **constants: self._seen.append(self._name)


class Operations(TorchDispatchMode):
    """Notes what torch is asked for."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).split(".")[1]
        if name not in NO_WORK:
            self._seen.append(name)
        return func(*args, **(kwargs or {}))


@torch.inference_mode()
def operations(ways: Ways, seen: list[str]) -> int:
    network = CudaNetwork(Transformer(OPUS_BASE), device=HOST, dtype=torch.float32, max_rows=16, ways=ways)
    shape = network._shape([4] * 4, 32, 32)
    network._state.blank(shape)
    with Operations(seen):
        network._work.advance(shape)
    return len(seen)


if __name__ == "__main__":
    noted = list[str]()
    for module in (attend_kernels, between_kernels, finish_kernels):
        for kernel in [name for name in vars(module) if name.endswith("_kernel")]:
            setattr(module, kernel, Launches(kernel, noted))
    own = Ways(
        attend_kernels.FusedAttend(), between_kernels.FusedBetween(), finish_kernels.FusedFinish(OPUS_BASE)
    )
    plain, fused = operations(plain_ways(OPUS_BASE, HOST), []), operations(own, noted)
    sys.stdout.write(f"{plain} {fused}\n")
