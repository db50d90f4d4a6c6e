"""Levels of a processor's instructions that the kernels are built for, and which of them this one has.

Knows: processors' flags as Linux names them, what Linux gives leave for, a compiler's flags. Must not know:
libraries, compilers, kernels.
A level is chosen when the library is opened, never by the compiler's idea of the machine that it runs on, so
that what is built into an image runs wherever the image is started.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ABI_VERSION = 1  # of the functions that a library exports; raised with every change of one of them

CPU_INFO = Path("/proc/cpuinfo")
_X86 = frozenset({"x86_64", "amd64"})
_TILES = frozenset({"amx_tile", "amx_int8", "amx_bf16"})

# Of Linux on x86-64: the number of the system call, its question, the bit of tile registers in the answer.
_ARCH_PRCTL, _GET_SUPPORTED, _TILE_DATA = 158, 0x1021, 18


@dataclass(frozen=True, slots=True)
class Level:
    """`needs`: flags of the processor, all of them; `architectures`: machines it exists on, none: on any;
    `new_flags`: those that an older compiler does not know, and that the sources can do without."""

    name: str
    needs: frozenset[str]
    flags: tuple[str, ...]
    architectures: frozenset[str] = frozenset()
    new_flags: tuple[str, ...] = ()

    @property
    def define(self) -> str:
        """What the sources are told: `-DVERTO_LEVEL_AVX2`."""
        return f"-DVERTO_LEVEL_{self.name.upper()}"

    def exists_here(self) -> bool:
        """Whether it can be built for this architecture, whatever this very processor has."""
        return not self.architectures or platform.machine().lower() in self.architectures


_AVX512 = Level(
    "avx512vnni",
    frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx2", "fma", "f16c"}),
    (
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mavx512vnni",
        "-mavx2",
        "-mfma",
        "-mf16c",
        "-mprefer-vector-width=512",
    ),
    _X86,
)

# The fastest first. `generic` is what every compiler and every processor can do.
LEVELS = (
    Level(
        "amx",
        _AVX512.needs | _TILES,
        _AVX512.flags,
        _X86,
        new_flags=("-mamx-tile", "-mamx-int8", "-mamx-bf16"),
    ),
    _AVX512,
    Level("avx2", frozenset({"avx2", "fma", "f16c"}), ("-mavx2", "-mfma", "-mf16c"), _X86),
    Level("generic", frozenset(), ()),
)
LEVEL_NAMES = tuple(level.name for level in LEVELS)


def level_named(name: str) -> Level:
    """Raises `ValueError` for a name that is none."""
    for level in LEVELS:
        if level.name == name:
            return level
    raise ValueError(f"level must be one of {', '.join(LEVEL_NAMES)}, got {name!r}")


def supported_levels(flags: Iterable[str] | None = None) -> list[Level]:
    """What this processor can run, the fastest first; `generic` always is among it."""
    present = usable_flags() if flags is None else frozenset(flags)
    return [level for level in LEVELS if level.exists_here() and level.needs <= present]


def usable_flags() -> frozenset[str]:
    """The processor's, without those of tile registers where the kernel gives nobody leave to use them."""
    flags = processor_flags()
    return flags if not flags & _TILES or _kernel_has_tiles() else flags - _TILES


def _kernel_has_tiles() -> bool:
    """Asks what it would give leave for (`arch_prctl(2)`, ARCH_GET_XCOMP_SUPP), and asks for none."""
    supported = ctypes.c_uint64(0)
    refused = ctypes.CDLL(None).syscall(_ARCH_PRCTL, _GET_SUPPORTED, ctypes.byref(supported))
    return not refused and bool(supported.value >> _TILE_DATA & 1)


def processor_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """Of the first processor, as Linux names them; none where that cannot be read."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    line = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())
