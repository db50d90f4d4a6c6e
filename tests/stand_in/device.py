"""The stand-in for a GPU (see device.cpp): built, and made known to torch, once in a process.

Knows: compilers, torch's way to take in a device. Must not know: Verto.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

SOURCE = Path(__file__).with_name("device.cpp")
FLAGS = ("-std=c++20", "-O1", "-w", "-shared", "-fPIC")
NAME = "standin"


def compiler() -> str | None:
    return shutil.which("c++") or shutil.which("g++")


def build(folder: Path) -> Path:
    """The library in `folder`; who builds the same at the same time does no harm."""
    version = hashlib.sha256(SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:12]
    built = folder / f"stand_in.{version}.so"
    if not built.exists():
        own, torch_home = folder / f"stand_in.{os.getpid()}.so", Path(torch.__file__).parent
        paths = (f"-isystem{torch_home / 'include'}", f"-L{torch_home / 'lib'}", "-lc10", "-ltorch_cpu")
        command = [str(compiler()), *FLAGS, str(SOURCE), "-o", str(own), *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3_000:]
        own.rename(built)
    return built


@functools.cache
def device(folder: Path) -> torch.device:
    torch.ops.load_library(build(folder))
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    return torch.device(NAME, 0)


def _module() -> ModuleType:
    """What torch asks a device's own module for."""
    module = ModuleType(f"torch.{NAME}")
    answers = {"is_available": True, "is_initialized": True, "device_count": 1, "current_device": 0}
    for name, answer in (answers | {"_is_in_bad_fork": False}).items():
        setattr(module, name, lambda answer=answer: answer)
    module.manual_seed_all = lambda seed: None  # type: ignore[attr-defined]  # the processor draws
    module.get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]  # type: ignore[attr-defined]
    return module


def waits() -> int:
    """How often the host has waited since the last call."""
    return int(torch.ops.stand_in.waits())


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """A module that moves keeps its parameters, tied ones too, as it does between processor and GPU."""
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        yield
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
