"""Writing a folder so that under its name there is always a whole one: the old, or the new.

Knows: folders and renames. Must not know: what is in them.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEPT_OF_NAME = 40  # characters, of up to four bytes each


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new, empty sibling to write into; it takes the name of `folder` when the block ends without an error.

    After an error the sibling is gone and `folder` is as it was. Raises OSError. The siblings' names begin
    with a dot, so a listing in between does not take them for finished folders.

        NAME            old | (none) | new        the gap is two renames wide; a process that dies
        .NAME.*.partial new | new    |            in it leaves the old folder as .NAME.*.replaced
        .NAME.*.replaced    | old    | removed
    """
    folder = folder.resolve()  # a link keeps pointing to the name
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Of the name only the beginning: a longer one than the folder's own would not always be allowed.
    unique = f".{folder.name[:_KEPT_OF_NAME]}.{secrets.token_hex(4)}"
    partial = folder.with_name(f"{unique}.partial")
    partial.mkdir()
    try:
        yield partial
        _swap(partial, folder, folder.with_name(f"{unique}.replaced"))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def put_right(folder: Path) -> None:
    """Undo what processes that died while they wrote `folder` left beside it.

    Only for who knows that no other process writes it now.
    """
    siblings = re.compile(rf"\.{re.escape(folder.name[:_KEPT_OF_NAME])}\.[0-9a-f]{{8}}\.(partial|replaced)")
    for path in list(folder.parent.iterdir()):
        if not siblings.fullmatch(path.name):
            continue
        if path.suffix == ".replaced" and not folder.exists():
            path.rename(folder)  # it was whole, and what should have taken its place never did
        else:
            shutil.rmtree(path)


def _swap(new: Path, folder: Path, aside: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    try:
        folder.rename(aside)
        new.rename(folder)
    except BaseException:  # an interrupt may come between the two, too
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
