"""Markup goes, what it says stays; a message with something that only a program can fill in is left out."""

import pytest

from training.corpus import Pair
from training.sources.catalogues import Message
from training.sources.markup import reading


def read(markup: str, text: str, context: str = "") -> str | None:
    how = reading(markup, Message(context, Pair(text, text)))
    return None if how is None else how(text)


@pytest.mark.parametrize(
    ("markup", "text", "plain"),
    [
        ("none", "<b>as it is</b>", "<b>as it is</b>"),
        ("libreoffice", "<emph>Open</emph> %PRODUCTNAME &amp; more", "Open LibreOffice & more"),
        ("libreoffice", "$[officename] starts", "LibreOffice starts"),
        ("libreoffice", "S~ave _As", "Save As"),
        ("libreoffice", "Löschen(~D)", "Löschen"),
        ("libreoffice", "Could not open %FILE", None),
        ("libreoffice", "Page $(ARG1) of {0}", None),
        ("docbook", "With &debian;, see <filename>/etc</filename>.", "With Debian, see /etc."),
        ("docbook", "a &lt; b &amp; c", "a < b & c"),
        ("docbook", "Boot &arch-title; now", None),
        ("rst", "See :class:`list <python.list>` and ``x``.", "See list and x."),
        (
            "rst",
            "*Very* **nice** `site <https://example.org>`_, for example::",
            "Very nice site, for example:",
        ),
        ("rst", "A |version| of it", None),
        ("wesnoth", "female^Elvish <b>Fighter</b>", "Elvish Fighter"),
        ("wesnoth", "See <ref>dst='x' text='the help'</ref>.", "See the help."),
        ("wesnoth", "Welcome, $name|!", None),
    ],
)
def test_a_message_is_read_as_its_markup_has_it(markup: str, text: str, plain: str | None) -> None:
    assert read(markup, text) == plain


def test_a_libreoffice_index_mark_is_no_text() -> None:
    assert read("libreoffice", "<bookmark_value>x</bookmark_value>", "a.xhp\nbm_id31\nhelp.text") is None


def test_underscores_of_libreoffice_help_stay() -> None:
    assert read("libreoffice", "Call SF_String", "a.xhp\npar_id1\nhelp.text") == "Call SF_String"
