"""Lines come out of a file as they stand in it, and whatever is wrong is named with file, line and byte."""

import gzip
import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import line_files
from cli.line_files import LineFile, LineFileError, same_file
from cli.line_places import choose_places

# Everything that Unicode or Python might take for the end of a line, beside ordinary text.
LINE = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\0") | st.sampled_from("\r\v\f\x1c\x85\u2028 ")
)


@given(st.lists(LINE, max_size=8), st.booleans(), st.booleans())
def test_lines_end_with_a_newline_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], compressed: bool, ended: bool
) -> None:
    path = tmp_path_factory.mktemp("lines") / ("x.gz" if compressed else "x")
    content = "\n".join(lines).encode() + (b"\n" if ended and lines else b"")
    path.write_bytes(gzip.compress(content) if compressed else content)
    # Without an end, an empty last line is no line.
    expected = lines if ended or not lines or lines[-1] else lines[:-1]
    assert list(LineFile(path).lines()) == expected
    assert LineFile(path).count_checked() == len(expected)


def test_gzip_is_known_by_its_first_bytes_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_bytes(gzip.compress("größer\n".encode()))
    assert list(LineFile(path).lines()) == ["größer"]


def test_a_byte_order_mark_is_no_text_but_what_else_looks_like_one_is(tmp_path: Path) -> None:
    path = tmp_path / "marked.txt"
    path.write_bytes("\ufeff\ufeffone\n\ufefftwo\n".encode())
    assert list(LineFile(path).unmarked_lines()) == ["\ufeffone", "\ufefftwo"]
    assert list(LineFile(path).lines()) == ["\ufeff\ufeffone", "\ufefftwo"]  # all that stands there


def fault_of(path: Path) -> str:
    """What counting, which reads everything, says is wrong with the file, without the file's name."""
    with pytest.raises(LineFileError) as fault:
        LineFile(path).count_checked()
    assert fault.value.filename == str(path)
    return str(fault.value.strerror)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"ok\nab\xffc\n", "line 2, byte 3 (0xff): not UTF-8"),
        (b"\xc3", "line 1, byte 1 (0xc3): not UTF-8"),
        (b"\xed\xa0\x80\n", "line 1, byte 1 (0xed): not UTF-8"),
        ("größe\0r\n".encode(), "line 1, byte 8 (0x00): NUL does not belong in a text"),
        ("text".encode("utf-16"), "is UTF-16; UTF-8 is needed"),
    ],
    ids=["byte", "cut short", "surrogate", "NUL", "UTF-16"],
)
def test_what_is_no_text_is_named_by_line_and_byte(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(content)
    assert fault_of(path) == fault


def test_broken_gzip_is_named_by_the_line_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(10_000)))
    path.write_bytes(whole[: len(whole) // 2])
    assert fault_of(path).startswith("line ")
    assert "broken gzip data" in fault_of(path)
    path.write_bytes(whole[:100] + b"\xff" * 100 + whole[200:])
    assert "broken gzip data" in fault_of(path)
    path.write_bytes(whole[:-8] + b"\0" * 8)  # the checksum
    assert "broken gzip data" in fault_of(path)


def test_a_name_that_promises_gzip_must_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "in.txt.gz"
    path.write_bytes(b"plain\n")
    assert fault_of(path) == "is named .gz but is not gzip"


def test_a_line_without_end_is_refused_instead_of_filling_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_files, "MAX_LINE_BYTES", 10)
    path = tmp_path / "in.txt"
    path.write_bytes(b"123456789\n1234567890\n")
    assert fault_of(path) == "line 2: longer than 10 bytes"


def test_a_missing_file_and_a_folder_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.txt"):
        LineFile(tmp_path / "no.txt").count_checked()
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        LineFile(tmp_path).count_checked()


def test_standard_input_from_a_file_is_checked_and_then_read_from_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.txt").write_bytes(b"zero\none\ntwo\n")
    with (tmp_path / "in.txt").open("rb") as stream:
        os.lseek(stream.fileno(), 5, os.SEEK_SET)  # as `{ read line; verto translate; } < in.txt` does
        monkeypatch.setattr(sys, "stdin", stream)
        assert LineFile.named("-").count_checked() == 2
        assert list(LineFile.named("-").lines()) == ["one", "two"]


def test_a_pipe_is_not_counted_and_gives_a_line_as_soon_as_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", stream)
        assert LineFile.named("-").count_checked() is None
        pipe.write(b"\n")
        lines = LineFile.named("-").lines()
        assert next(lines) == ""
        pipe.write(b"two\n")
        assert next(lines) == "two"
        lines.close()  # type: ignore[attr-defined]


def test_a_standard_input_that_is_no_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
    assert LineFile.named("-").count_checked() is None
    assert list(LineFile.named("-").lines()) == ["a", "b"]
    assert not LineFile.named("-").is_terminal()


def test_one_file_under_two_names_is_the_same_and_a_device_is_never(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    os.link(tmp_path / "a", tmp_path / "c")
    statuses = {name: LineFile(tmp_path / name).status() for name in "abc"}
    assert same_file(statuses["a"], statuses["c"])
    assert not same_file(statuses["a"], statuses["b"])
    assert not same_file(statuses["a"], None)
    null = LineFile(Path(os.devnull)).status()
    assert not same_file(null, null)


def test_a_closed_standard_input_or_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(LineFileError, match="is closed") as told:
        choose_places([LineFile(None)], None, None)
    assert told.value.filename == "standard input"
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(LineFileError, match="is closed") as told:
        choose_places([LineFile(Path("in.txt"))], None, None)
    assert told.value.filename == "standard output"
