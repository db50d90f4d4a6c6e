"""Under a folder's name there is always a whole one, whatever the name."""

from pathlib import Path

import pytest

from model.folder_swap import put_right, replaced_folder


@pytest.mark.parametrize("name", ["bundle", "a" * 255, "ä" * 127], ids=["short", "latin", "umlauts"])
def test_a_name_may_be_as_long_as_a_folder_s_can_be(tmp_path: Path, name: str) -> None:
    for content in ("old", "new"):
        with replaced_folder(tmp_path / name) as folder:
            (folder / "file").write_text(content)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name / "file").read_text() == content


def killed_while_writing(folder: Path, *left: str) -> None:
    for name in left:
        (folder.parent / name).mkdir(parents=True)
        (folder.parent / name / "file").write_text(name)


@pytest.mark.parametrize(
    ("left", "content"),
    [
        ([".bundle.0123abcd.partial"], None),
        (["bundle", ".bundle.0123abcd.partial"], "bundle"),
        (["bundle", ".bundle.0123abcd.replaced"], "bundle"),
        ([".bundle.0123abcd.partial", ".bundle.0123abcd.replaced"], ".bundle.0123abcd.replaced"),
    ],
    ids=["first", "again", "replaced", "in the gap"],
)
def test_what_a_killed_process_left_is_put_right(
    tmp_path: Path, left: list[str], content: str | None
) -> None:
    folder, others = tmp_path / "bundle", [".bundle.mine.partial", ".other.0123abcd.partial"]
    killed_while_writing(folder, *left, *others)
    put_right(folder)
    assert {path.name for path in tmp_path.iterdir()} == {*others, *(["bundle"] if content else [])}
    assert (folder / "file").read_text() == content if content else not folder.exists()
