"""How a model is to be run: on which device, in which numbers, by which kernels; and what cannot be.

Knows: the choices and which of them go together. Must not know: where they were configured, torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Kernels = Literal["auto", "native", "eager"]


class PlanError(Exception):
    """What was asked for cannot be had here; the message names the setting, its bound and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """`device`: auto, cpu, cuda or cuda:N. `cache_dir` and `compiler` are those of `model.native.library`.

    `kernels`: `native` has the kernels before anything is decoded, `eager` never; `auto` takes them where
    they have been built, and otherwise begins without, has them built meanwhile, and changes over. On a GPU
    `auto` captures steps and computes them ahead.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    kernels: Kernels = "eager"
    cache_dir: Path = Path("cache")
    compiler: str = ""

    def check(self, device_type: str) -> None:
        """Raises `PlanError` where these choices do not go together on that type of device."""
        if device_type == "cpu":
            if self.precision == "float16":
                bound = "precision must be float32, bfloat16 or int8 on cpu"
                raise PlanError(f"{bound}, got 'float16'; float16 is for --device cuda")
            return
        if self.precision == "int8":
            bound = f"precision must be float32, bfloat16 or float16 on {device_type}"
            raise PlanError(f"{bound}, got 'int8'; int8 is for --device cpu")
        if self.kernels == "native":
            raise PlanError(
                f"kernels must be auto or eager on {device_type}, got 'native'; they are for --device cpu"
            )
