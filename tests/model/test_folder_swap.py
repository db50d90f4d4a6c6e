"""Under a folder's name there is always a whole one, whatever the name."""

from pathlib import Path

import pytest

from model.folder_swap import replaced_folder


@pytest.mark.parametrize("name", ["bundle", "a" * 255, "ä" * 127], ids=["short", "latin", "umlauts"])
def test_a_name_may_be_as_long_as_a_folder_s_can_be(tmp_path: Path, name: str) -> None:
    for content in ("old", "new"):
        with replaced_folder(tmp_path / name) as folder:
            (folder / "file").write_text(content)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name / "file").read_text() == content
