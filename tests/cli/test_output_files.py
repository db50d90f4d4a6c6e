"""A named file is whole or as it was before; standard output is what has been written."""

import gzip
import io
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from cli.output_files import OutputSeries, StandardOutput, WholeFile


def write_a_line() -> None:
    with StandardOutput() as output:
        output.write("a line")
        output.flush()


def write(path: Path, *lines: str) -> None:
    with WholeFile(path) as file:
        for line in lines:
            file.write(line)
        file.commit()


def test_a_file_appears_whole_and_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with WholeFile(path) as file:
        file.write("größer")
        file.write("")
        assert not path.exists()
        file.commit()
        assert path.read_bytes() == "größer\n\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "a" * 252 + ".gz"], ids=["latin", "umlauts", "gzip"])
def test_a_name_may_be_as_long_as_a_file_s_can_be(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "one")
    assert os.listdir(tmp_path) == [name]


def test_a_fault_leaves_the_file_of_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    with suppress(KeyboardInterrupt), WholeFile(path) as file:
        file.write("half of it")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_name_with_gz_is_compressed_and_equal_lines_give_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for name, now in (("one.gz", 1e9), ("two.gz", 2e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        write(tmp_path / name, "a line")
        contents.append((tmp_path / name).read_bytes())
    assert gzip.decompress(contents[0]) == b"a line\n"
    assert contents[0] == contents[1]


def test_permissions_of_the_file_of_before_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    path.chmod(0o640)
    write(path, "after")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("after\n", 0o640)


def test_through_a_link_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("before")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write(tmp_path / "link.txt", "after")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "after\n"


def test_a_pipe_is_written_as_it_comes_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(path, "a line")
        assert os.read(reading, 100) == b"a line\n"
    finally:
        os.close(reading)
    assert os.listdir(tmp_path) == ["pipe"]
    assert path.is_fifo()


def to_descriptor(descriptor: int, *lines: str) -> None:
    write(Path(f"/dev/fd/{descriptor}"), *lines)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_an_open_file_is_written_where_it_stands(tmp_path: Path) -> None:
    """As the shell's `-o /dev/stdout >> out.txt`."""
    path = tmp_path / "out.txt"
    path.write_text("before\n")
    with path.open("ab") as file:
        to_descriptor(file.fileno(), "a line")
        file.write(b"after\n")
    assert path.read_text() == "before\na line\nafter\n"
    assert os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_an_open_pipe_is_written() -> None:
    """As the shell's `-o >(gzip > out.gz)`, and `-o /dev/stdout | head`."""
    reading, writing = os.pipe()
    try:
        to_descriptor(writing, "a line")
        assert os.read(reading, 100) == b"a line\n"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_with_the_name_of_the_file() -> None:
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write(Path("/dev/full"), "a line")


def test_a_place_that_cannot_be_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"its folder does not exist.*none/out\.txt"):
        WholeFile(tmp_path / "none" / "out.txt")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        WholeFile(tmp_path)


def test_each_input_has_its_output_also_an_empty_one(tmp_path: Path) -> None:
    places = [tmp_path / f"{index}.txt" for index in range(4)]
    with OutputSeries(places) as outputs:
        outputs.write(1, "one")
        assert places[0].read_text() == ""
        outputs.write(1, "more")
        outputs.write(2, "two")
        assert places[1].read_text() == "one\nmore\n"
        outputs.commit()
    assert [place.read_text() for place in places] == ["", "one\nmore\n", "two\n", ""]
    assert len(os.listdir(tmp_path)) == 4


def test_one_output_takes_the_lines_of_all_inputs(tmp_path: Path) -> None:
    with OutputSeries([tmp_path / "all.txt"]) as outputs:
        for index in range(3):
            outputs.write(index, str(index))
        outputs.commit()
    assert (tmp_path / "all.txt").read_text() == "0\n1\n2\n"


def test_outputs_that_were_complete_before_a_fault_stay(tmp_path: Path) -> None:
    with suppress(RuntimeError), OutputSeries([tmp_path / "0", tmp_path / "1"]) as outputs:
        outputs.write(0, "zero")
        outputs.write(1, "one")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["0"]


def test_a_reader_that_has_gone_is_a_broken_pipe_and_not_told_again_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(open(writing, "wb")) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(BrokenPipeError):
            write_a_line()
        monkeypatch.undo()  # closing the stream, as the interpreter does at its end, raises nothing
