"""Files that are whole or absent, and folders with one user."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.contracts.project import ROOT
from training.errors import ResumeError
from training.files import naming, only_user, write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left on device: '.*/file'"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_content_stands_until_the_new_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")

    def seen_before(temporary: Path, target: Path) -> Path:
        assert (temporary.read_bytes(), target.read_bytes()) == (b"two", b"one")
        raise OSError("no rename")

    monkeypatch.setattr(Path, "replace", seen_before)
    with pytest.raises(OSError, match="no rename"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"


def test_a_fault_that_names_no_file_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*run'"), naming(tmp_path / "run"):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path):
        (tmp_path / "nowhere").read_bytes()
    assert caught.value.filename == str(tmp_path / "nowhere")


def test_a_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from training.files import only_user\n"
        "with only_user(Path(sys.argv[1])): pass"
    )

    def other_process() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    with only_user(tmp_path), pytest.raises(ResumeError, match="another process works"), only_user(tmp_path):
        pass
    with only_user(tmp_path):
        assert "another process works in this folder" in other_process().stderr
    assert other_process().returncode == 0


def write_work(folder: Path) -> str:
    (folder / "work").touch()
    return "work"


@pytest.mark.parametrize("before", [None, "mine.txt"], ids=["absent", "there"])
def test_a_fault_before_any_work_leaves_nothing_that_was_not_there(
    tmp_path: Path, before: str | None
) -> None:
    folder = tmp_path / "runs" / "new"
    if before is not None:
        folder.mkdir(parents=True)
        (folder / before).touch()
    with pytest.raises(KeyError), only_user(folder):
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ([] if before is None else ["runs", "new", before])
    with pytest.raises(FileNotFoundError), only_user(folder):
        (folder / "nowhere").rename(folder / write_work(folder))
    assert (folder / ".lock").exists()


def test_a_lock_that_its_holder_removes_holds_nobody_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed_in_between(lock: IO[str], how: int) -> None:
        (tmp_path / ".lock").unlink()

    monkeypatch.setattr("training.files.fcntl.flock", removed_in_between)
    with pytest.raises(ResumeError, match="another process works in this folder"), only_user(tmp_path):
        pass


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    kept = [tmp_path / "state.pt", tmp_path / "inner" / "a.tmp"]
    left = [tmp_path / ".state.pt.123.tmp", tmp_path / "inner" / ".a.9.tmp"]
    for path in (*kept, *left):
        path.touch()
    with only_user(tmp_path):
        assert all(path.exists() for path in kept)
        assert not any(path.exists() for path in left)


WRITES = """
import sys
from pathlib import Path
from training.files import new_file
with new_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def writing(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has written half of a file."""
    command = [sys.executable, "-c", WRITES, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        yield process
        process.kill()


def test_the_next_to_write_a_file_removes_what_a_killed_process_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with writing(path) as process:
        process.kill()
    kept = [tmp_path / name for name in (".file.notes.tmp", ".other.12.tmp", ".file.12.tmp.txt")]
    for one in kept:
        one.touch()
    assert len(list(tmp_path.iterdir())) == len(kept) + 1
    write_atomically(path, b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, path])


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with writing(path) as process:
        write_atomically(path, b"whole")
        assert len(list(tmp_path.iterdir())) == 2
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"half"]


def test_a_file_that_was_taken_for_left_over_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, removed = fcntl.flock, list[str]()

    def removed_in_between(file: IO[bytes], how: int) -> None:
        if not removed:
            (left_over,) = tmp_path.iterdir()
            removed.append(left_over.name)
            left_over.unlink()
        lock(file, how)

    monkeypatch.setattr("training.files.fcntl.flock", removed_in_between)
    write_atomically(tmp_path / "file", b"whole")
    assert removed
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"whole"]
