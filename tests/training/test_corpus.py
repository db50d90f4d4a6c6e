"""Reading and cleaning sentence pairs: each rule, each fault, every pair counted."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus import Cleaner, CleaningReport, Pair, read_lines, read_pairs, tidy
from training.data_config import CorpusFile, DataConfig
from training.errors import CorpusError


def cleaned(*pairs: tuple[str, str], **settings: Any) -> tuple[list[Pair], CleaningReport]:
    cleaner = Cleaner(DataConfig(train=({"tsv": "a"},), dev=({"tsv": "b"},), **settings))
    return list(cleaner.clean(Pair(*pair) for pair in pairs)), cleaner.report


# Reading


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
        ("a.txt", b"gr\xfc\xdfe\n", "not UTF-8"),
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


# Cleaning


def test_white_space_and_composition_are_tidied() -> None:
    assert tidy("  a\u00a0b\t\n c\u0308 ") == "a b c\u0308"
    assert tidy("gru\u0308n") == "grün"
    assert cleaned((" a  b ", "c\u3000d"))[0] == [("a b", "c d")]


@pytest.mark.parametrize("pair", [("", "ja"), ("yes", ""), ("  \t", "ja"), ("", "")])
def test_a_pair_with_an_empty_side_is_dropped(pair: tuple[str, str]) -> None:
    kept, report = cleaned(pair)
    assert (kept, dict(report.dropped)) == ([], {"empty": 1})


@pytest.mark.parametrize("pair", [("x" * 11, "y" * 10), ("x" * 10, "y" * 11)])
def test_a_pair_longer_than_the_limit_is_dropped(pair: tuple[str, str]) -> None:
    assert cleaned(("x" * 10, "y" * 10), max_characters=10)[1].kept == 1
    assert dict(cleaned(pair, max_characters=10)[1].dropped) == {"too long": 1}


@pytest.mark.parametrize(
    ("short", "long", "kept"), [(10, 20, True), (9, 20, False), (1, 19, True), (50, 100, True)]
)
def test_a_pair_of_very_different_lengths_is_dropped_unless_both_are_short(
    short: int, long: int, kept: bool
) -> None:
    for pair in (("x" * short, "y" * long), ("y" * long, "x" * short)):
        report = cleaned(pair, max_length_ratio=2.0)[1]
        assert report.kept == kept
        assert report.dropped["length ratio"] == (not kept)


def test_identical_sides_are_dropped_when_they_are_more_than_a_name() -> None:
    copy, name = ("one two three four",) * 2, ("New York City",) * 2
    kept, report = cleaned(copy, name)
    assert (kept, dict(report.dropped)) == ([name], {"identical sides": 1})
    assert cleaned(copy, drop_identical=False)[1].kept == 1


def test_repetitions_are_dropped_across_texts_but_not_other_translations() -> None:
    cleaner = Cleaner(DataConfig(train=({"tsv": "a"},), dev=({"tsv": "b"},)))
    first = list(cleaner.clean([Pair("yes", "ja"), Pair("yes", "jawohl"), Pair(" yes", "ja ")]))
    second = list(cleaner.clean([Pair("yes", "ja"), Pair("no", "nein")]))
    assert first == [("yes", "ja"), ("yes", "jawohl")]
    assert second == [("no", "nein")]
    assert cleaner.report.dropped["duplicate"] == 2
    assert cleaned(("yes", "ja"), ("yes", "ja"), drop_duplicates=False)[1].kept == 2


def test_where_source_ends_and_target_begins_matters() -> None:
    assert cleaned(("a b", "c"), ("a", "b c"))[1].kept == 2


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=30))
def test_every_pair_is_counted_once(pairs: list[tuple[str, str]]) -> None:
    usable = [pair for pair in pairs if all(side.isascii() or side.isprintable() for side in pair)]
    kept, report = cleaned(*usable)
    assert report.read == len(usable)
    assert report.kept == len(kept)
    assert report.read == report.kept + report.dropped.total()


def test_the_counts_are_told_in_words() -> None:
    _, report = cleaned(("", "a"), ("b", "c"), ("b", "c"), ("", "d"))
    assert report.describe() == "4 pairs read, 1 kept (dropped: duplicate 1, empty 2)"
    assert cleaned(("b", "c"))[1].describe() == "1 pairs read, 1 kept"


def test_pairs_are_remembered_the_same_in_every_process() -> None:
    """As Python's `hash` of text is not: a resumed run could keep other pairs than the run it resumes."""
    cleaner = Cleaner(DataConfig(train=({"tsv": "a"},), dev=({"tsv": "b"},)))
    assert list(cleaner.clean([Pair("yes", "ja")])) == [("yes", "ja")]
    assert [key.hex() for key in cleaner._seen] == ["85780d68b88e82fc339a853cc880298b"]
