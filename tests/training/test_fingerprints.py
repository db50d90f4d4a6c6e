"""Whether a file is still the one that was read."""

import os
from pathlib import Path

import pytest

from training.errors import CorpusError
from training.fingerprints import fingerprint, is_unchanged


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("some text\n")
    return path


def test_a_file_that_nobody_touched_is_unchanged_and_not_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(file)
    monkeypatch.setattr("training.fingerprints._sha256", lambda path: pytest.fail("read"))
    assert is_unchanged(file, before)


def test_a_copy_with_another_time_is_unchanged(file: Path) -> None:
    before = fingerprint(file)
    os.utime(file, ns=(1, 1))
    assert is_unchanged(file, before)


@pytest.mark.parametrize("content", ["some tex!\n", "some text\n\n", ""])
def test_another_content_is_a_change(file: Path, content: str) -> None:
    before = fingerprint(file)
    file.write_text(content)
    os.utime(file, ns=(1, 1))
    assert not is_unchanged(file, before)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere\.txt: No such file"):
        fingerprint(tmp_path / "nowhere.txt")
