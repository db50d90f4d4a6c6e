"""Freed memory is kept for the next step: what a step frees, the next one needs again.

Knows: the C library's allocator. Must not know: engines, tensors.

glibc gives large freed blocks back to the system, and asks for them again, page by page, at the next step:
1,500 page faults a step for the caches of a beam search, a sixth of its time.
"""

from __future__ import annotations

import ctypes
import sys

# Numbers of options, from glibc's malloc.h, and their values in bytes.
_TRIM_THRESHOLD, _KEPT_BYTES = -1, 512 << 20
_MMAP_THRESHOLD, _LARGEST_BLOCK = -3, 32 << 20  # the most that glibc takes


def keep_freed_memory() -> bool:
    """For the whole process, once and for all; False where the C library cannot."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_TRIM_THRESHOLD, _KEPT_BYTES), (_MMAP_THRESHOLD, _LARGEST_BLOCK))
    taken = [mallopt(option, value) for option, value in settings]
    return all(taken)
