"""Reading sentence pairs: each form, each fault by file and line."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from training.corpus import read_lines, read_pairs, tidy
from training.data_config import CorpusFile
from training.errors import CorpusError


def test_a_tsv_gives_the_asked_columns(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("7\tja\tyes\n8\tnein\tno\n", encoding="utf-8")
    corpus = CorpusFile(tsv="a.tsv", columns=(2, 1))
    assert list(read_pairs(corpus, tmp_path)) == [("yes", "ja"), ("no", "nein")]


def test_two_files_give_line_by_line_pairs(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("yes\nno\n", encoding="utf-8")
    (tmp_path / "a.de").write_text("ja\nnein", encoding="utf-8")
    corpus = CorpusFile(source="a.en", target="a.de")
    assert list(read_pairs(corpus, tmp_path)) == [("yes", "ja"), ("no", "nein")]


def test_gzipped_files_read_like_plain_ones(tmp_path: Path) -> None:
    for name, text in {"a.tsv": "yes\tja\nno\tnein\n", "a.en": "yes\nno\n", "a.de": "ja\nnein\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    plain = [CorpusFile(tsv="a.tsv"), CorpusFile(source="a.en", target="a.de")]
    zipped = [CorpusFile(tsv="a.tsv.gz"), CorpusFile(source="a.en.gz", target="a.de.gz")]
    for one, other in zip(plain, zipped, strict=True):
        assert list(read_pairs(one, tmp_path)) == list(read_pairs(other, tmp_path)) != []


def test_a_byte_order_mark_and_windows_line_ends_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffeins\r\nzwei\r\n".encode())
    assert list(read_lines(tmp_path / "a.txt")) == ["eins", "zwei"]


def test_nothing_but_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    """Else one side of two files could have a line more than the other."""
    (tmp_path / "a.txt").write_bytes("eins\u2028noch eins\x0b\x85\rund eins\nzwei\n".encode())
    assert len(list(read_lines(tmp_path / "a.txt"))) == 2


def test_a_missing_column_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("yes\tja\nno\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"a\.tsv: line 2 has 1 columns, column 1 .* is asked for"):
        list(read_pairs(CorpusFile(tsv="a.tsv"), tmp_path))


@pytest.mark.parametrize(("shorter", "longer"), [("a.en", "a.de"), ("a.de", "a.en")])
def test_unequal_line_counts_name_the_shorter_file(tmp_path: Path, shorter: str, longer: str) -> None:
    (tmp_path / shorter).write_text("one\n", encoding="utf-8")
    (tmp_path / longer).write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=rf"{shorter}: ends after line 1, .*{longer} goes on"):
        list(read_pairs(CorpusFile(source="a.en", target="a.de"), tmp_path))


def packed(content: bytes, level: int = 9) -> bytes:
    """Without the time: a test's name, which shows it, is the same in every process."""
    return gzip.compress(content, level, mtime=0)


def damaged_gzip() -> bytes:
    whole = bytearray(packed(b"some text that is long enough\n" * 200, level=0))
    whole[500] ^= 0x01
    return bytes(whole)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", None, "No such file or directory"),
        ("a.gz", None, "No such file or directory"),
        ("a.gz", b"plain text\n", "Not a gzipped file"),
        ("a.gz", packed(b"some text\n" * 100)[:-20], "Compressed file ended before"),
        ("a.gz", damaged_gzip(), "CRC check failed"),
        ("a.gz", packed(b"x" * 99)[:10] + b"\xff" * 30, "Error -3 while decompressing"),
        ("a.txt", b"gr\xfc\xdfe\n", "line 1, byte 3 (0xfc): not UTF-8"),
        ("a.txt", b"one\n\xc3\n", "line 2, byte 1 (0xc3): not UTF-8"),
        ("a.gz", packed(b"one\ntwo\nab\xff\n"), "line 3, byte 3 (0xff): not UTF-8"),
        ("a.txt", "text".encode("utf-16"), "is UTF-16; UTF-8 is needed"),
        ("a.txt", "text".encode("utf-16-le"), "line 1: NUL does not belong in a text; UTF-8 is needed"),
        ("a.txt", packed(b"one\ntwo\n"), "is gzipped; its name must end in .gz"),
        ("a.xz", lzma.compress(b"one\n"), "is compressed by xz; plain text or gzip is read"),
        ("a.bz2", bz2.compress(b"one\n"), "is compressed by bzip2; plain text or gzip is read"),
    ],
)
def test_an_unreadable_file_is_one_clear_line(
    tmp_path: Path, name: str, content: bytes | None, fault: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path}: {fault}")
    assert str(caught.value).count(str(path)) == 1


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Is a directory"):
        list(read_lines(tmp_path))


def test_white_space_and_composition_are_tidied() -> None:
    assert tidy("  a\u00a0b\t\n c\u0308 ") == "a b c\u0308"
    assert tidy("gru\u0308n") == "grün"
