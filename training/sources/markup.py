"""What a message says, without the markup it is written in; None where a reader would miss something.

Knows: the markup of LibreOffice's catalogues, DocBook, reStructuredText and The Battle for Wesnoth.
Must not know: catalogues' files, corpora.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from training.sources.catalogues import Message

Reading = Callable[[str], str | None]

_TAG = re.compile(r"</?[A-Za-z][^<>]*/?>")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ENTITY = re.compile(r"&[\w.-]+;")


def reading(markup: str, message: Message) -> Reading | None:
    """How the sides of a message are read; None for a message that is no text (an index mark)."""
    if markup != "libreoffice":
        return _READINGS[markup]
    if _LIBREOFFICE_BOOKMARK.search(message.context):
        return None
    return _libreoffice_help if message.context.endswith("help.text") else _libreoffice_interface


def _as_it_is(text: str) -> str | None:
    return text


# LibreOffice: XML in the help; in the interface "~" or "_" before the letter that a key calls.
_LIBREOFFICE_BOOKMARK = re.compile(r"\bbm_id|\bbm\d")
_PRODUCT = re.compile(r"%PRODUCTNAME|\$\[officename\]|\$\(PRODUCTNAME\)", re.IGNORECASE)
_ACCELERATOR = re.compile(r"[~_](?=\w)")
_EAST_ASIAN_ACCELERATOR = re.compile(r"\([~_]\w\)")
_LIBREOFFICE_PLACEHOLDER = re.compile(r"%\w|\$[\[({]|\$\w+\$|\{\d|\{\w+\}|<[^<>]*>|\[[A-Z]+\]|#\w|&[\w.-]+;")


def _libreoffice_help(text: str) -> str | None:
    text = html.unescape(_TAG.sub("", _PRODUCT.sub("LibreOffice", text)))
    return None if _LIBREOFFICE_PLACEHOLDER.search(text) else text


def _libreoffice_interface(text: str) -> str | None:
    return _libreoffice_help(_ACCELERATOR.sub("", _EAST_ASIAN_ACCELERATOR.sub("", text)))


# The Debian installation guide's own entities, as its build/entities define them.
_DEBIAN_ENTITIES = {
    "debian": "Debian",
    "debian-gnu": "Debian GNU/Linux",
    "arch-kernel": "Linux",
    "d-i": "debian-installer",
}
_KEPT_ENTITIES = re.compile(r"&(?:lt|gt|amp|quot|apos|#\d+|#x[0-9a-fA-F]+);")


def _docbook(text: str) -> str | None:
    for name, meaning in _DEBIAN_ENTITIES.items():
        text = text.replace(f"&{name};", meaning)
    text = _TAG.sub("", _COMMENT.sub("", text))
    if _ENTITY.search(_KEPT_ENTITIES.sub("", text)):
        return None
    return html.unescape(text)


# reStructuredText: :role:`text <target>`, ``literal``, `link <address>`_, *emphasis*, |substitution|.
_ROLE = re.compile(r":[\w:+-]+:`[!~]?([^`<]*?)(?:\s*<[^`>]*>)?`")
_LITERAL = re.compile(r"``(.+?)``")
_LINK = re.compile(r"`([^`<]+?)(?:\s*<[^`>]*>)?`__?")
_EMPHASIS = re.compile(r"(?<![\w*])\*{1,2}([^*\s](?:[^*]*[^*\s])?)\*{1,2}(?![\w*])")
_LEFT_OVER = re.compile(r"[`|]|\*\w|\w\*|::\s*$|\]_|^\.\. ")


def _restructured(text: str) -> str | None:
    text = _ROLE.sub(r"\1", _LITERAL.sub(r"\1", text))
    text = _EMPHASIS.sub(r"\1", _LINK.sub(r"\1", text))
    text = re.sub(r"::\s*$", ":", text).replace("\\ ", "")
    return None if _LEFT_OVER.search(text) else text


# Wesnoth: "context^text", Pango's tags, $variables|, help's <ref>dst='…' text='…'</ref>.
_CONTEXT_PREFIX = re.compile(r"^[^\s^]+(?: [^\s^]+){0,3}\^")
_HELP_LINK = re.compile(r"<ref>[^<]*?text='([^']*)'[^<]*</ref>")
_HELP_MARK = re.compile(r"<(?:bold|italic|header|format)>[^<]*?text='([^']*)'[^<]*</\w+>")


def _wesnoth(text: str) -> str | None:
    text = _HELP_MARK.sub(r"\1", _HELP_LINK.sub(r"\1", _CONTEXT_PREFIX.sub("", text)))
    text = html.unescape(_TAG.sub("", text))
    return None if re.search(r"\$\w|[{}<>|]|%\w|\w=\w", text) else text


_READINGS: dict[str, Reading] = {
    "none": _as_it_is,
    "docbook": _docbook,
    "rst": _restructured,
    "wesnoth": _wesnoth,
}
