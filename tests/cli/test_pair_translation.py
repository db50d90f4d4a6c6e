"""Lines that pairs are made of, without what an editor put before them; and lines that gave none, counted."""

from pathlib import Path
from typing import Any

import pytest

from cli.line_files import LineFile
from cli.line_progress import LineProgress
from cli.pair_parts import PairParts
from cli.pair_translation import PairMaker, entries


@pytest.mark.parametrize(("column", "reference"), [(None, None), (0, 1)])
def test_a_byte_order_mark_is_not_translated(
    tmp_path: Path, column: int | None, reference: int | None
) -> None:
    path = tmp_path / "marked.tsv"
    path.write_bytes("one\tuno\n".encode("utf-8-sig"))
    (entry,) = entries([LineFile(path)], column, reference)
    assert entry.line.text == ("one uno" if column is None else "one")


def test_lines_that_gave_no_pair_before_an_interruption_are_counted_too(tmp_path: Path) -> None:
    path, unused = tmp_path / "texts", Any
    path.write_text("one\ntwo\nthree\n", encoding="utf-8")
    parts = PairParts(tmp_path / "pairs.tsv", {})
    with parts.open(0) as part:
        part.write("uno\tone")
        part.commit()
    with LineProgress(None, bar=False) as progress:
        maker = PairMaker(unused, unused, ["texts"], progress, unused, unused)
        maker.run(entries([LineFile(path)], None, None), parts)
    assert maker.counts.describe() == "1 pairs (left out: in parts done before 2)"
