"""How many processors this process may really use: affinity and container limits, not what the machine has.

Knows Linux's control groups (both versions) and CPU affinity; must not know settings or torch.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from service.engine.control_groups import CGROUP_ROOT, group_folders


def usable_processors(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Processors that this process may use, at least 1: the smaller of affinity and control groups' quotas.

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
    """Processors' worth of time in each period; None without a limit."""
    known = [quota for quota in _quotas(root) if quota is not None]
    return min(known) if known else None


def _quotas(root: Path) -> Iterator[float | None]:
    """Of every group that this process is in; of version 2, then of version 1."""
    for folder in group_folders(root, ""):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        yield _ratio(quota, period)
    for folder in group_folders(root, "cpu"):
        yield _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


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
