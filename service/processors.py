"""How many processors this process may really use: affinity and container limits, not what the machine has.

Knows Linux's control groups (both versions) and CPU affinity; must not know settings or torch.
"""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def usable_processors(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Processors that this process may use, at least 1: the smaller of affinity and control group quota.

    A quota of part of a processor counts as a whole one, since a thread cannot be smaller.
    """
    quota = _quota(cgroup_root)
    allowed = _affinity()
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> float | None:
    """Processors' worth of time in each period; None without a limit. Reads version 2, then version 1."""
    unified = _read(root / "cpu.max").split()
    if len(unified) == 2:
        return _ratio(unified[0], unified[1])
    folder = root / "cpu"
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Quota over period; None where either is not a positive number (`max` and -1 both mean no limit)."""
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
