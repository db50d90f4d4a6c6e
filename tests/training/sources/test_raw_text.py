"""A raw file is read whatever it is packed in; what is damaged or missing is named."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from tests.training.sources.raw import package_of, put, tar_of, zip_of
from training.errors import SourceError
from training.sources.raw_text import open_text, read_text

MEMBERS = {"top/po/._a.po": "", "top/po/b.po": "b", "top/po/a.po": "a", "top/other.txt": "x"}


PLAIN = {
    "t.txt": b"text",
    "t.txt.gz": gzip.compress(b"text"),
    "t.txt.bz2": bz2.compress(b"text"),
    "t.txt.xz": lzma.compress(b"text"),
    "marked.txt": b"\xef\xbb\xbftext",
}
ARCHIVES = {
    "a.tar": tar_of(MEMBERS, "w"),
    "a.tar.gz": tar_of(MEMBERS),
    "a.tar.xz": tar_of(MEMBERS, "w:xz"),
    "a.zip": zip_of(MEMBERS),
    "a.deb": package_of({f"./{name}": text for name, text in MEMBERS.items()}),
}


def unreadable_zip(place: int, value: int) -> bytes:
    """A zip of one member with another byte at `place` of its directory's entry, and so in its own header."""
    content = bytearray(zip_of({"x": "text"}))
    content[place - 2] = content[content.index(b"PK\x01\x02") + place] = value
    return bytes(content)


DAMAGED = {
    "encrypted.zip/x": unreadable_zip(8, 1),
    "deflate64.zip/x": unreadable_zip(10, 9),
    "a.tar.xz/x": b"not an archive",
    "a.tar.gz/top/other.txt": tar_of(MEMBERS)[:60],
    "a.zip/x": b"PK but no archive",
    "a.deb/x": b"not a package",
    "b.deb/x": b"!<arch>\n",
    "a.txt.gz": b"not gzip",
    "a.txt.xz": lzma.compress(b"text")[:-8],
}


@pytest.mark.parametrize("name", PLAIN)
def test_one_file_is_read_plain_or_compressed(tmp_path: Path, name: str) -> None:
    assert read_text(name, put(tmp_path, PLAIN)) == "text"


@pytest.mark.parametrize("name", ARCHIVES)
def test_members_that_fit_come_in_the_order_of_their_names(tmp_path: Path, name: str) -> None:
    put(tmp_path, ARCHIVES)
    assert [member.content for member in open_text(f"{name}/top/po/*.po", tmp_path)] == [b"a", b"b"]


def test_no_fitting_member_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"a.zip": zip_of(MEMBERS)})
    with pytest.raises(SourceError, match=r"a\.zip: no member fits 'de/\*\.po'"):
        read_text("a.zip/de/*.po", tmp_path)


def test_several_members_where_one_is_needed_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {"a.zip": zip_of(MEMBERS)})
    with pytest.raises(SourceError, match="one file is needed, got 2 that fit"):
        read_text("a.zip/*.po", tmp_path)


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    name = text.partition("/")[0]
    put(tmp_path, {name: DAMAGED[text]})
    with pytest.raises(SourceError, match=f"{name}: cannot be read"):
        read_text(text, tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_an_archive_that_was_cut_short_is_never_taken_for_a_whole_one(tmp_path: Path, mode: str) -> None:
    """Also where what is left ends with a member, or within the header of the next one."""
    whole = tar_of({f"po/{number}.po": str(number) * 600 for number in range(6)}, mode)
    length = len(whole.rstrip(b"\0"))
    for end in range(1, length, 1 + length // 80):
        put(tmp_path, {"a.tar": whole[:end]})
        with pytest.raises(SourceError, match=r"a\.tar: cannot be read"):
            list(open_text("a.tar/po/*.po", tmp_path))


@pytest.mark.parametrize("place", [1536, 3072])  # a header in the middle, and the text behind it
def test_an_archive_with_a_byte_that_is_another_is_never_read(tmp_path: Path, place: int) -> None:
    whole = bytearray(tar_of({f"po/{number}.po": str(number) * 600 for number in range(6)}, "w"))
    packed = gzip.compress(whole)
    whole[place] ^= 1
    changed = gzip.compress(whole)[:-8] + packed[-8:]  # the checksum is the one of before
    put(tmp_path, {"a.tar.gz": changed})
    with pytest.raises(SourceError, match=r"a\.tar\.gz: cannot be read"):
        list(open_text("a.tar.gz/po/*.po", tmp_path))


@pytest.mark.timeout(10)
def test_a_package_whose_sizes_lead_back_ends(tmp_path: Path) -> None:
    put(tmp_path, {"a.deb": b"!<arch>\n" + b"control.tar".ljust(48) + b"-60".ljust(10) + b"`\n"})
    with pytest.raises(SourceError, match=r"a\.deb: cannot be read"):
        read_text("a.deb/x", tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.txt: is not there"):
        read_text("a.txt", tmp_path)


def test_what_is_not_utf8_is_told_with_its_place(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": b"abc\xff"})
    with pytest.raises(SourceError, match=r"a\.txt: byte 4: not UTF-8"):
        read_text("a.txt", tmp_path)
