"""Words of a translation that its reference does not have in this place, marked. Knows: two strings."""

from __future__ import annotations

from difflib import SequenceMatcher
from html import escape


def marked(text: str, reference: str) -> str:
    """HTML of `text`; every run of words that does not match is a `mark`, in the longest common order."""
    words, wanted = text.split(), reference.split()
    parts = []
    for kind, start, end, _, _ in SequenceMatcher(None, words, wanted, autojunk=False).get_opcodes():
        if start < end:
            run = escape(" ".join(words[start:end]))
            parts.append(run if kind == "equal" else f"<mark>{run}</mark>")
    return " ".join(parts)
