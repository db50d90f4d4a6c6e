"""What a measurement says: a table on the terminal, JSON and Markdown on disk, whole or not at all.

Knows: tables, files. Must not know: what was measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 200  # of a table in a file or a pipe, where nothing says how wide a line may be
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Figures:
    """One table: a title, names of columns, rows of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return f"## {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def show(self, console: Console) -> None:
        table = Table(*self.columns, title=self.title)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished measurement. `data` holds every number as JSON; `notes` what a reader must know."""

    name: str  # of the files
    title: str
    facts: Mapping[str, str]
    tables: Sequence[Figures]
    data: Mapping[str, Any]
    notes: Sequence[str] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)  # file name to content

    def markdown(self) -> str:
        facts = "\n".join(f"- {name}: {value}" for name, value in self.facts.items())
        notes = "\n\n".join(self.notes)
        pictures = "\n\n".join(f"![{self.title}]({name})" for name in self.pictures)
        parts = [f"# {self.title}", facts, notes, *(table.markdown() for table in self.tables), pictures]
        return "\n\n".join(part.strip() for part in parts if part) + "\n"

    def json(self) -> str:
        content = {"title": self.title, "facts": self.facts, "notes": list(self.notes), **self.data}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def publish(report: Report, folder: Path = RESULTS) -> None:
    """Write all files of the report, then print its tables, last."""
    write(report, folder)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    for table in report.tables:
        table.show(console)
    console.print(f"written: {folder.name}/{report.name}.json and .md", highlight=False)


def write(report: Report, folder: Path) -> None:
    """`NAME.json`, `NAME.md` and the pictures."""
    files = {f"{report.name}.json": report.json().encode(), f"{report.name}.md": report.markdown().encode()}
    write_files(folder, files | dict(report.pictures))


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Name to content. All are complete before the first takes its place."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting: dict[Path, Path] = {}
    try:
        for name, content in files.items():
            place = folder / name
            waiting[place] = temporary = place.with_name(f".{name}.{os.getpid()}.tmp")
            temporary.write_bytes(content)
        for place, temporary in waiting.items():
            temporary.replace(place)
    finally:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
