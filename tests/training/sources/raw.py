"""Small raw files as they are published: archives, packages, catalogues.

Knows: how such files are written. Must not know: what a test wants to find out.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def tar_of(members: Mapping[str, str | bytes], mode: str = "w:gz") -> bytes:
    """A tar archive; `mode` as `tarfile.open` has it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]  # any mode
        for name, text in members.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def zip_of(members: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def package_of(members: Mapping[str, str | bytes]) -> bytes:
    """A Debian package: an `ar` archive of two members, the second with the files."""
    inner = {"debian-binary": b"2.0\n", "data.tar.xz/": tar_of(members, "w:xz")}
    parts = [b"!<arch>\n"]
    for name, data in inner.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        parts += [header, data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def compiled(messages: Mapping[str, str], order: str = "<") -> bytes:
    """A compiled catalogue (`.mo`)."""
    texts = [*messages.keys(), *messages.values()]
    encoded = [text.encode() for text in texts]
    count, offset = len(messages), 28 + 8 * len(texts)
    tables, body = b"", b""
    for text in encoded:
        tables += struct.pack(f"{order}2I", len(text), offset + len(body))
        body += text + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    return head + tables + body


def put(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a folder, which is returned."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
