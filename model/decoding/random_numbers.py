"""Random numbers that depend on a seed and a step alone, so that a seed repeats whatever else is decoded.

Knows: 64-bit arithmetic. Must not know: tensors, segments. This is SplitMix64 (Steele, Lea and Flood 2014)
with a mixed seed as its start: the number of a step is computed from its index, and no state is kept.
"""

from __future__ import annotations

import secrets

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def uniform(seed: int, step: int) -> float:
    """A number in [0, 1), a multiple of 2^-53."""
    return float(_mixed(_mixed(seed) + (step + 1) * _GOLDEN) >> 11) * 2.0**-53


def new_seed() -> int:
    """A seed in 0..2^63-1 that nobody can foresee."""
    return secrets.randbits(63)


def _mixed(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
