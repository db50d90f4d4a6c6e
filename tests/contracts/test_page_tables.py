"""The tables of the pages on restarts and scaling say what the committed results say."""

import json
import runpy
from pathlib import Path

import pytest

from tests.contracts.project import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "page_tables.py"))
with_tables = SCRIPT["with_tables"]
FACTS = {"machine": "M", "date": "D", "commit": "C", "command": "python -m x"}
PAGE = "above\n<!-- table one, A table: begin -->\nold\n<!-- table one, A table: end -->\nbelow\n"


@pytest.mark.parametrize("name", SCRIPT["PAGES"])
def test_the_tables_of_a_page_are_those_of_the_results(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert page.count("<!-- table ") == 2 * len(SCRIPT["_TABLE"].findall(page)) > 0
    assert page == with_tables(page), "run: python scripts/page_tables.py"


def test_a_table_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    tables = [{"title": "A table, at 3 per hour", "columns": ["a", "b"], "rows": [["1", "2"]]}]
    (tmp_path / "one.json").write_text(json.dumps({"facts": FACTS, "tables": tables}))
    written = with_tables(PAGE, tmp_path)
    assert written.startswith(
        "above\n<!-- table one, A table: begin -->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nM, D, "
    )
    assert written.endswith("<!-- table one, A table: end -->\nbelow\n")
    assert "old" not in written
    assert with_tables(written, tmp_path) == written


def test_a_table_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(SCRIPT["TableFault"], match=r"one.json is missing; .* 'A table'"):
        with_tables(PAGE, tmp_path)
    (tmp_path / "one.json").write_text(json.dumps({"facts": FACTS, "tables": [{"title": "B"}]}))
    with pytest.raises(SCRIPT["TableFault"], match=r"has no table 'A table'; it has \['B'\]"):
        with_tables(PAGE, tmp_path)
