"""Symbols that stand for what a translation must repeat unchanged: a URL, a number, a name, an emoji.

Knows: which characters they are. Must not know: what they stand for, how a vocabulary comes to have them.

They are private-use characters from U+E000 on: no text of any language has them, Unicode's composition leaves
them alone, and one character stays one piece. A vocabulary says by its pieces how many it has.
"""

from __future__ import annotations

FIRST_PLACEHOLDER = 0xE000
MAX_PLACEHOLDERS = 64


def placeholder_symbols(count: int) -> tuple[str, ...]:
    """The first `count` symbols."""
    return tuple(chr(FIRST_PLACEHOLDER + number) for number in range(count))
