"""Catalogues give every settled translation and nothing else, compiled or not."""

import pytest

from tests.training.sources.raw import compiled
from training.corpus import Pair
from training.errors import SourceError
from training.sources.catalogues import messages
from training.sources.raw_text import Member

PO = r"""# A translator's name
msgid ""
msgstr "Language: de\n"

#: file.c:5
msgid "Open"
msgstr "Öffnen"

msgctxt "menu"
msgid ""
"Save \"this\"\n"
"file"
msgstr ""
"\"Diese\" Datei\n"
"speichern"

#, c-format, fuzzy
msgid "Close"
msgstr "Auf"

msgid "Untranslated"
msgstr ""

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

#~ msgid "Obsolete"
#~ msgstr "Veraltet"

# without a blank line between
msgid "One"
msgstr "Eins"
msgid "Two"
msgstr "Zwei"
"""


def read(name: str, content: bytes) -> list[tuple[str, Pair]]:
    found = messages(Member(name, content))
    return [(message.context, message.pair) for message in found]


def test_text_gives_settled_translations_with_their_context() -> None:
    assert read("de.po", PO.encode()) == [
        ("", Pair("Open", "Öffnen")),
        ("menu", Pair('Save "this"\nfile', '"Diese" Datei\nspeichern')),
        ("", Pair("One", "Eins")),
        ("", Pair("Two", "Zwei")),
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_compiled_catalogue_gives_the_same_in_either_byte_order(order: str) -> None:
    content = compiled(
        {
            "": "Language: de\n",
            "Open": "Öffnen",
            "menu\x04Save": "Speichern",
            "file\0files": "Datei\0Dateien",
        },
        order,
    )
    assert read("de.mo", content) == [("", Pair("Open", "Öffnen")), ("menu", Pair("Save", "Speichern"))]


def test_what_is_no_catalogue_is_told_with_its_line() -> None:
    with pytest.raises(SourceError, match=r"de\.po: line 2: neither a keyword nor a string: hello"):
        read("de.po", b'msgid "x"\nhello\n')
    with pytest.raises(SourceError, match=r"de\.po: line 1: neither"):
        read("de.po", b'"a string that belongs to nothing"\n')


@pytest.mark.parametrize(
    "content",
    [b"", b"12345678901234567890", compiled({"a": "b"})[:40], compiled({"a": "b"})[:-3]],
    ids=["empty", "other", "cut in the tables", "cut in a text"],
)
def test_a_damaged_compiled_catalogue_is_named(content: bytes) -> None:
    with pytest.raises(SourceError, match=r"de\.mo: (damaged|not a compiled)"):
        read("de.mo", content)
