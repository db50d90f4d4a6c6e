"""Ways in which a library that was built, or its record, is no longer what it was: each takes its path."""

from __future__ import annotations

import json
import os
from pathlib import Path


def spoil_content(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def spoil_record(path: Path) -> None:
    path.with_suffix(".json").write_text('{"sha256": "0"}')


def nest_record(path: Path) -> None:
    path.with_suffix(".json").write_text("[" * 100_000)


def write_size_in_words(path: Path) -> None:
    record = path.with_suffix(".json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "size": "large"}))


def put_a_pipe_there(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def remove_library(path: Path) -> None:
    path.unlink()


def let_others_write(path: Path) -> None:
    path.chmod(0o777)
