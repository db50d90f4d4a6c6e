"""A faster way is taken where it is proven to find what the plain one does.

Knows: nothing of either. A kernel that cannot be compiled on a device, or answers otherwise there, is not
taken, and that is logged: there is another way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)
W = TypeVar("W")


def chosen(
    name: str, plain: W, make: Callable[[], W], deviation: Callable[[W, W], float], tolerance: float
) -> W:
    """What `make` makes, if it lies no further from the plain way than `tolerance`."""
    try:
        fused = make()
        error = deviation(fused, plain)
    except Exception as fault:  # whatever a compiler or driver makes of it
        logger.warning("%s without its own kernels: %s: %s", name, type(fault).__name__, fault)
        return plain
    if error <= tolerance:
        return fused
    logger.warning("%s without its own kernels, which deviate by %.2g", name, error)
    return plain
