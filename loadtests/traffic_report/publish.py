"""Where a run's results go: files on disk, tables on the terminal. Must not know: what they say."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from loadtests.report import WIDTH, write_files
from loadtests.traffic.result_file import to_json
from loadtests.traffic.run import Run
from loadtests.traffic.tables import faults, tables
from loadtests.traffic_report.page import cautions, html, markdown
from loadtests.traffic_report.pictures import curve


def publish_run(run: Run, folder: Path, name: str) -> None:
    """`NAME.json`, `.html`, `.md`, `.svg`: all of them or none; then the tables."""
    texts = {
        f"{name}.json": to_json(run),
        f"{name}.html": html(run),
        f"{name}.md": markdown(run, f"{name}.svg"),
        f"{name}.svg": curve(run),
    }
    write_files(folder, {file: text.encode() for file, text in texts.items()})
    console = terminal()
    for table in [*tables(run), faults(run)]:
        if table is not None:
            table.show(console)
    for note in cautions(run):
        console.print(note, highlight=False, markup=False)
    console.print(f"written: {folder / name}.html, .json, .md and .svg", highlight=False, markup=False)


def terminal() -> Console:
    """As wide as it is; a file or a pipe as wide as a table needs."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
