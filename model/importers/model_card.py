"""What a bundle that was imported says of its origin: a head that names it, and the folder's own card.

Knows: Markdown and the front matter of Hugging Face cards. Must not know: tensors, architectures.
"""

from __future__ import annotations

import hashlib
import re

from model.importers.foreign import ForeignFolder
from model.importers.foreign_weights import PICKLES, SAFETENSORS

CARD_FILE = "README.md"
_LICENCE = re.compile(r"^(license(?:_name)?):([^\n]*(?:\n[ \t]*-[ \t][^\n]*)*)", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


def imported_card(folder: ForeignFolder, name: str, num_parameters: int, languages: str, change: str) -> str:
    """Markdown. `change`: what became of the weights. A licence that the folder does not say is said to be
    unsaid."""
    original = _text(folder.read(CARD_FILE)) if folder.has(CARD_FILE) else ""
    matter = _FRONT_MATTER.match(original)
    licence = _licence(matter.group(1) if matter else "")
    head = [
        f"# {name}",
        "",
        f"Imported by `verto import` from the Hugging Face model `{folder.origin}`; weights {change}.",
        "",
        f"- Licence: {licence or 'not stated in the imported folder; see where the model came from'}",
        f"- Languages: {languages}",
        f"- Architecture: `{folder.config.text('model_type', '')}`, {num_parameters:,} parameters",
        f"- SHA-256 of `config.json`: `{hashlib.sha256(folder.read('config.json')).hexdigest()}`",
        f"- Weights read from `{folder.first((*SAFETENSORS, *PICKLES))}`",
    ]
    body = original[matter.end() :].strip() if matter else original.strip()
    if body:
        head += ["", "## The original model card", "", _deeper(body)]
    return "\n".join(head) + "\n"


def _text(card: bytes) -> str:
    """Without a mark at its beginning, and lines as they end here: cards are written on any system."""
    return card.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")


def _licence(matter: str) -> str | None:
    """The value of `license`, or of `license_name` where that says `other`."""
    found = {key: _values(value) for key, value in _LICENCE.findall(matter)}
    licence = found.get("license")
    return (found.get("license_name", licence) if licence == "other" else licence) or None


def _values(yaml: str) -> str:
    """One, or those of a list in either of YAML's forms, without quotes and comments."""
    values = re.split(r"\n[ \t]*-|[\[\],]", re.sub(r"(^|\s)#.*", "", yaml))
    return ", ".join(filter(None, (value.strip(" \t\"'") for value in values)))


def _deeper(markdown: str) -> str:
    """Headings two levels down, so that the card stays one document."""
    return re.sub(r"^(#{1,4}) ", r"##\1 ", markdown, flags=re.MULTILINE)
