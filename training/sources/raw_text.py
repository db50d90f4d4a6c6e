"""Raw files as bytes: plain or compressed, and members of archives that fit a pattern.

    deu.txt.gz                           one member, decompressed
    corpus.tar.xz/po/de/*.po             those that fit, in the order of their names
    package_1.0_all.deb/usr/share/*.mo   a Debian package: an `ar` file with `data.tar.*` in it

Knows: gzip, bzip2, xz, zip, tar, ar. Must not know: what the bytes say.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from training.errors import SourceError
from training.sources.config import file_of, members_of

_Opener = Callable[..., object]
_OPENERS: dict[str, _Opener] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# RuntimeError: of an encrypted member of a zip, and of a compression that zipfile does not know.
_PACKED = (zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_BROKEN = (EOFError, OSError, ValueError, RuntimeError, *_PACKED)
_MAGICS: dict[bytes, _Opener] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_READ_BYTES = 1 << 20


class Member(NamedTuple):
    """A name for errors, and the bytes, all of them in memory."""

    name: str
    content: bytes


def open_text(text: str, folder: Path) -> Iterator[Member]:
    """Each file that a text of the recipe means.

    Raises `SourceError` naming the raw file, when it is damaged or no member fits.
    """
    path, pattern = folder / file_of(text), members_of(text)
    found = False
    with _told(path):
        for member in _plain(path) if pattern is None else _members(path, pattern):
            found = True
            yield member
    if not found:
        raise SourceError(f"{path}: no member fits {pattern!r}")


def read_text(text: str, folder: Path) -> str:
    """The whole of a text that is one file, as UTF-8. Raises `SourceError`."""
    members = list(open_text(text, folder))
    if len(members) > 1:
        raise SourceError(f"{text}: one file is needed, got {len(members)} that fit")
    ((name, content),) = members
    return decoded(name, content)


def decoded(name: str, content: bytes) -> str:
    """Text of UTF-8, without a byte order mark. Raises `SourceError` naming the byte that is not."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: byte {error.start + 1}: not UTF-8 ({error.reason})") from error


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"{path}: is not there") from error
    except SourceError:
        raise
    except _BROKEN as error:
        raise SourceError(f"{path}: cannot be read ({error or type(error).__name__})") from error


def _plain(path: Path) -> Iterator[Member]:
    with cast(BinaryIO, _OPENERS.get(path.suffix, open)(path, "rb")) as stream:
        yield Member(path.name, stream.read())


def _members(path: Path, pattern: str) -> Iterator[Member]:
    if path.suffix == ".zip":
        return _of_zip(path, pattern)
    if path.suffix == ".deb":
        return _of_package(path, pattern)
    return _of_tar(path, path.open("rb"), pattern)


def _of_zip(path: Path, pattern: str) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if _fits(name, pattern)):
            yield Member(f"{path.name}/{name}", archive.read(name))


def _of_tar(path: Path, raw: BinaryIO, pattern: str) -> Iterator[Member]:
    """A compressed archive is read once, from its beginning to its end: members come in the order of names,
    so that the pairs of a corpus do not depend on how the archive was packed."""
    with raw, _unpacked(raw) as stream:
        with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Entry) as archive:
            wanted = (entry for entry in archive if _is_wanted(entry, pattern))
            found = [(entry.name, _content(archive, entry)) for entry in wanted]
        while stream.read(_READ_BYTES):
            pass  # behind the last member stands the checksum
    for name, content in sorted(found):
        yield Member(f"{path.name}/{name}", content)


def _unpacked(raw: BinaryIO) -> BinaryIO:
    """Not by tarfile, which looks at no checksum of gzip and takes what was cut short for the whole."""
    beginning = raw.read(max(map(len, _MAGICS)))
    raw.seek(0)
    opener = next((opener for magic, opener in _MAGICS.items() if beginning.startswith(magic)), None)
    return raw if opener is None else cast(BinaryIO, opener(raw))


class _Entry(tarfile.TarInfo):
    """Only a block of zeros ends an archive. tarfile also ends at a header that is damaged or not there, as
    if nothing stood behind it: pairs would be lost, and nobody told."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Entry:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"{error}: the archive is damaged or was cut short") from error


def _is_wanted(entry: tarfile.TarInfo, pattern: str) -> bool:
    return entry.isfile() and _fits(entry.name, pattern)


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(entry)
    return b"" if stream is None else stream.read()


def _of_package(path: Path, pattern: str) -> Iterator[Member]:
    with path.open("rb") as package:
        if package.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise ValueError("not a Debian package")
        while len(header := package.read(_AR_HEADER)) == _AR_HEADER:
            name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
            if size < 0:  # would lead back, without end
                raise ValueError(f"a member of {size} bytes")
            if name.startswith("data.tar"):
                yield from _of_tar(path, io.BytesIO(package.read(size)), pattern)
                return
            package.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("the package holds no data.tar")


def _fits(name: str, pattern: str) -> bool:
    """Not what a Mac puts beside each file of an archive ("._name")."""
    path = PurePosixPath(name)
    return fnmatchcase(str(path), pattern) and not path.name.startswith("._")
