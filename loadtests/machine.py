"""Where and how a measurement was made, so that its numbers can be read and repeated.

Knows: processor, versions, commit, date, command. Must not know: what is measured.
"""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from service.processors import usable_processors

ROOT = Path(__file__).resolve().parents[1]


def run_facts(num_threads: int) -> dict[str, str]:
    """What stands over results of the network; `num_threads` are its threads."""
    import torch  # not where only servers are asked, which load it themselves

    return {
        **machine_facts(),
        "processor features": torch.backends.cpu.get_cpu_capability(),
        "threads of the network": str(num_threads),
        "torch": torch.__version__,
    }


def machine_facts() -> dict[str, str]:
    """What stands over every result."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shown_command(sys.argv),
        "commit": _commit(),
        "machine": f"{_processor()}, {usable_processors()} processors, {_memory_gib():.0f} GiB",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def shown_command(argv: Sequence[str]) -> str:
    """The command as others can repeat it: modules by name, files without the folders of one machine.

    What `--header` is given is not told: it may be a key.
    """
    program = Path(argv[0])
    if program.stem == "__main__":  # of a package
        program = program.parent
    start = "verto" if program.name == "verto" else f"python -m {program.parent.name}.{program.stem}"
    return " ".join([start, *map(_shown, argv[:-1], argv[1:])])


def _shown(before: str, word: str) -> str:
    """A word of the command as a shell takes it, `--option=value` in two."""
    if before == "--header":
        return "..."
    option, is_one_word, value = word.partition("=")
    if is_one_word and option.startswith("--"):
        return f"{option} {_shown(option, value)}"
    return shlex.quote(Path(word).name if "/" in word and "://" not in word else word)


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _processor() -> str:
    """The processor's name, which `platform` leaves empty on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        return float("nan")
    return int(text.split()[1]) / 2**20
