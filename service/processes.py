"""What the kernel says of a process: its memory, its processor time, its threads, its open files.

Knows Linux's /proc, where alone these can be read of another process; elsewhere nothing is known. Must not
know what the processes do.
"""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# Of /proc/PID/stat, counted after the command's name, which may hold spaces (proc_pid_stat(5)).
_USER_TICKS, _SYSTEM_TICKS, _NUM_THREADS, _START_TICKS = 11, 12, 17, 19


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Of one process at one moment. `started_at` is in seconds since 1970."""

    resident_bytes: int
    cpu_seconds: float
    threads: int
    started_at: float


def usage_of(process_id: int, proc: Path = PROC) -> ProcessUsage | None:
    """None for a process that has ended, and where there is no /proc."""
    folder = proc / str(process_id)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        resident_pages = int((folder / "statm").read_text().split()[1])
        booted_at = _booted_at(proc)
    except (OSError, IndexError, ValueError):  # it may end while it is looked at
        return None
    tick = 1 / os.sysconf("SC_CLK_TCK")
    return ProcessUsage(
        resident_bytes=resident_pages * os.sysconf("SC_PAGE_SIZE"),
        cpu_seconds=(int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) * tick,
        threads=int(fields[_NUM_THREADS]),
        started_at=booted_at + int(fields[_START_TICKS]) * tick,
    )


def num_open_files(process_id: int, proc: Path = PROC) -> int | None:
    """Files, sockets and pipes that it holds open; None where that cannot be seen."""
    try:
        return len(os.listdir(proc / str(process_id) / "fd"))
    except OSError:
        return None


def open_files_limit() -> int | None:
    """How many this process may hold open; None where there is no such thing."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _booted_at(proc: Path) -> float:
    """Seconds since 1970. Raises OSError, ValueError."""
    for line in (proc / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError(f"{proc / 'stat'} has no line btime")
