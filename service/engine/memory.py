"""How much memory this process may take, and how much still: what the machine has, what a container allows.

Knows Linux's control groups (both versions) and /proc/meminfo. Must not know what it is wanted for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from service.engine.control_groups import CGROUP_ROOT, group_folders

MEMORY_INFO = Path("/proc/meminfo")

# Controller, limit, use, and in `memory.stat` what the kernel would give back: versions 2 and 1.
_FILES = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory(cgroup_root: Path = CGROUP_ROOT, memory_info: Path = MEMORY_INFO) -> int | None:
    """Bytes; the smallest of all bounds. None where none can be read."""
    bounds = [_of_machine(memory_info), *_of_groups(cgroup_root)]
    known = [bound for bound in bounds if bound is not None]
    return min(known) if known else None


def memory_limit(cgroup_root: Path = CGROUP_ROOT, memory_info: Path = MEMORY_INFO) -> int | None:
    """Bytes beyond which the kernel ends processes: the container's limit, else what the machine has. None
    where neither can be read."""
    bounds = [_of_machine(memory_info, "MemTotal:"), *_limits(cgroup_root)]
    known = [bound for bound in bounds if bound]
    return min(known) if known else None


def _of_machine(memory_info: Path, name: str = "MemAvailable:") -> int | None:
    kilobytes = _fields(memory_info).get(name)
    return None if kilobytes is None else kilobytes * 1024


def _limits(root: Path) -> Iterator[int | None]:
    for controller, limit, _, _ in _FILES:
        for folder in group_folders(root, controller):
            yield _number(folder / limit)


def _of_groups(root: Path) -> Iterator[int | None]:
    """What every group that this process is in leaves it."""
    for controller, *names in _FILES:
        for folder in group_folders(root, controller):
            yield _of_group(folder, *names)


def _of_group(folder: Path, limit: str, use: str, given_back: str) -> int | None:
    allowed, used = _number(folder / limit), _number(folder / use)
    if allowed is None or used is None:  # `max` means no limit
        return None
    return max(0, allowed - used + _fields(folder / "memory.stat").get(given_back, 0))


def _fields(path: Path) -> dict[str, int]:
    """Name and number at the beginning of every line."""
    found = {}
    for line in _read(path).splitlines():
        name, _, rest = line.partition(" ")
        number = rest.split()
        if number and number[0].isdigit():
            found[name] = int(number[0])
    return found


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
