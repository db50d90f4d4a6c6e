"""Gettext catalogues: messages and their translations, from `.po` text or compiled `.mo` files.

Knows: both formats, as the manual of GNU gettext describes them ("The Format of PO Files", "The Format of GNU
MO Files"). Must not know: markup within a message, corpora.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from training.corpus import Pair
from training.errors import SourceError
from training.sources.raw_text import Member, decoded

_KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)?\s*"(.*)"\s*$', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_MO_MAGIC = 0x950412DE
_CONTEXT_END = "\x04"


@dataclass
class _Entry:
    """The lines of one entry so far."""

    values: dict[str, str] = field(default_factory=dict)
    is_fuzzy: bool = False
    last: str = ""

    def pair(self) -> Pair | None:
        """None for what is not translated, or uncertain; for the header, and for what has plural forms."""
        source, target = self.values.get("msgid", ""), self.values.get("msgstr", "")
        usable = source and target and not self.is_fuzzy and "msgid_plural" not in self.values
        return Pair(source, target) if usable else None

    @property
    def context(self) -> str:
        return self.values.get("msgctxt", "")


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its translation; `context` is what tells it from another one of the same words."""

    context: str
    pair: Pair


def messages(member: Member) -> Iterator[Message]:
    """Every message with one settled translation. Raises `SourceError` naming file and line."""
    read = _compiled if member.name.endswith(".mo") else _text
    return read(member.name, member.content)


def _text(name: str, content: bytes) -> Iterator[Message]:
    entry = _Entry()
    # Only "\n" ends a line: a form feed within a message does not.
    for number, line in enumerate(decoded(name, content).split("\n"), 1):
        if _begins_entry(line, entry):
            yield from _finished(entry)
            entry = _Entry()
        _take(line.strip(), entry, f"{name}: line {number}")
    yield from _finished(entry)


def _begins_entry(line: str, entry: _Entry) -> bool:
    """Blank lines are customary, not needed: what stands before a message behind a translation is new."""
    starts = not line.strip() or line.startswith(("#", "msgctxt", "msgid "))
    return starts and entry.last.startswith("msgstr")


def _take(line: str, entry: _Entry, place: str) -> None:
    if not line or line.startswith("#"):
        # "#~" is an entry that is no longer used; as a comment it is passed over.
        entry.is_fuzzy = entry.is_fuzzy or (line.startswith("#,") and "fuzzy" in line)
        return
    found = _KEYWORD.match(line)
    if found is None or not (found[1] or entry.last):
        raise SourceError(f"{place}: neither a keyword nor a string: {line:.60}")
    entry.last = found[1] or entry.last
    entry.values[entry.last] = entry.values.get(entry.last, "") + _unescaped(found[2])


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


def _finished(entry: _Entry) -> Iterator[Message]:
    pair = entry.pair()
    if pair is not None:
        yield Message(entry.context, pair)


def _compiled(name: str, content: bytes) -> Iterator[Message]:
    try:
        order = "<" if struct.unpack_from("<I", content)[0] == _MO_MAGIC else ">"
        magic, _, count, sources, targets = struct.unpack_from(f"{order}5I", content)
        if magic != _MO_MAGIC:
            raise SourceError(f"{name}: not a compiled catalogue")
        both = [
            (_string(content, order, sources, i), _string(content, order, targets, i)) for i in range(count)
        ]
    except (struct.error, IndexError) as error:
        raise SourceError(f"{name}: damaged catalogue ({error})") from error
    for source, target in both:
        yield from _compiled_message(decoded(name, source), decoded(name, target))


def _string(content: bytes, order: str, table: int, index: int) -> bytes:
    length, offset = struct.unpack_from(f"{order}2I", content, table + 8 * index)
    if offset + length > len(content):
        raise IndexError("a string lies behind the end")
    return content[offset : offset + length]


def _compiled_message(source: str, target: str) -> Iterator[Message]:
    context, _, text = source.rpartition(_CONTEXT_END)
    if text and target and "\0" not in text:  # behind a NUL stands the plural
        yield Message(context, Pair(text, target))
