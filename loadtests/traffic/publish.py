"""Where a run's results go: files on disk, tables on the terminal. Must not know: what they say."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from loadtests.report import WIDTH, write_files
from loadtests.traffic.result_file import to_json
from loadtests.traffic.run import Run
from loadtests.traffic.tables import faults, tables


def publish_run(run: Run, folder: Path, name: str) -> None:
    """All files or none, then the tables."""
    write_files(folder, {f"{name}.json": to_json(run).encode()})
    console = terminal()
    for table in [*tables(run), faults(run)]:
        if table is not None:
            table.show(console)
    for note in run.notes:
        console.print(note, highlight=False)
    console.print(f"written: {folder / name}.json", highlight=False)


def terminal() -> Console:
    """As wide as it is; a file or a pipe as wide as a table needs."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
