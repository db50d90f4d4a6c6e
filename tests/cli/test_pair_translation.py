"""Lines that pairs are made of: whole lines or columns, and nothing that an editor put before them."""

from pathlib import Path

import pytest

from cli.line_files import LineFile
from cli.pair_translation import entries


@pytest.mark.parametrize(("column", "reference"), [(None, None), (0, 1)])
def test_a_byte_order_mark_is_not_translated(
    tmp_path: Path, column: int | None, reference: int | None
) -> None:
    path = tmp_path / "marked.tsv"
    path.write_bytes("one\tuno\n".encode("utf-8-sig"))
    (entry,) = entries([LineFile(path)], column, reference)
    assert entry.line.text == ("one uno" if column is None else "one")
