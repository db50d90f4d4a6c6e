"""Writes tables of `loadtests/results/` into the pages of docs/ that show them, between their marks.

    <!-- table NAME, TITLE: begin -->      NAME.json holds a table with this title under "tables"
    <!-- table NAME, TITLE: end -->

Run it from anywhere after a measurement: `python scripts/page_tables.py`. A test holds the pages to what it
would write. Knows: the JSON of reports, the pages' marks. Must not know: how anything is measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS, RESULTS = ROOT / "docs", ROOT / "loadtests" / "results"
PAGES = ("multi30k.md", "rolling-restart.md", "scaling.md", "why-transformers.md")
_TABLE = re.compile(r"(<!-- table ([\w-]+), (.+?): begin -->\n).*?(<!-- table \2, \3: end -->)", re.DOTALL)


class TableFault(ValueError):
    """A page asks for a table that no result has; names both."""


def with_tables(page: str, results: Path = RESULTS) -> str:
    """The page with every table made anew. Raises TableFault."""
    return _TABLE.sub(lambda found: found[1] + _table(results, found[2], found[3]) + found[4], page)


def _table(results: Path, name: str, title: str) -> str:
    path = results / f"{name}.json"
    if not path.is_file():
        raise TableFault(f"{path.name} is missing; a page shows its table {title!r}")
    report = json.loads(path.read_text(encoding="utf-8"))
    for one in report["tables"]:
        # Titles may end with what was chosen in that run, as a price.
        if one["title"].startswith(title):
            return "\n".join([*_lines(one), "", _source(report["facts"], name)]) + "\n"
    raise TableFault(
        f"{path.name} has no table {title!r}; it has {[one['title'] for one in report['tables']]}"
    )


def _lines(table: Mapping[str, Any]) -> list[str]:
    rows = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    return [f"| {' | '.join(row)} |" for row in rows]


def _source(facts: Mapping[str, str], name: str) -> str:
    link = f"[{name}.md](../loadtests/results/{name}.md)"
    return f"{facts['machine']}, {facts['date']}, commit {facts['commit']}, `{facts['command']}` ({link})."


if __name__ == "__main__":
    for _name in PAGES:
        _page = DOCS / _name
        _page.write_text(with_tables(_page.read_text(encoding="utf-8")), encoding="utf-8")
