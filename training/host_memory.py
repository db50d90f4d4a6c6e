"""Memory that the process keeps instead of giving it back after every step.

Knows: the C library's allocator. Must not know: what the memory is for.
"""

from __future__ import annotations

import ctypes

# Parameters of `mallopt` (malloc.h of the GNU C library).
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
NEVER = (1 << 31) - 1  # the largest size that it takes


def keep_freed_memory() -> bool:
    """Have large blocks come from memory that was freed before. False where the C library cannot.

    A training step takes and frees hundreds of megabytes. By default the allocator returns large blocks to
    the system at once, and each new one is handed out page by page, with a fault and a wiping for every 4 KB:
    up to a quarter of a step's time on a virtual machine. The process then keeps what its largest step took.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, NEVER)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))
