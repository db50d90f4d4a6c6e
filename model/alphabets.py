"""Letters that languages write beside A to Z: what a text of one consists of, however rare it is there.

Knows codes of languages and letters; must not know tokenizers or networks. The letters are those of each
language's own words and common loans, after the main exemplar characters of Unicode CLDR, in small letters.
A language with a script of its own needs no line: its vocabulary has its letters, or the model has not read
it.
"""

import unicodedata
from collections.abc import Iterable

_LETTERS = {
    "ca": "àçèéíïòóúü",
    "cs": "áčďéěíňóřšťúůýž",
    "cy": "áàâäéèêëíìîïóòôöúùûüẃẁŵẅýỳŷÿ",
    "da": "æøå",
    "de": "äöüß",
    "eo": "ĉĝĥĵŝŭ",
    "es": "áéíñóúü",
    "et": "äõöšüž",
    "eu": "çñ",
    "fi": "äåö",
    "fr": "àâæçèéêëîïôœùûüÿ",
    "ga": "áéíóú",
    "gl": "áéíñóúü",
    "hr": "čćđšž",
    "hu": "áéíóöőúüű",
    "is": "áæðéíóöþúý",
    "it": "àèéìîòóù",
    "lt": "ąčęėįšųūž",
    "lv": "āčēģīķļņšūž",
    "nb": "àåæéòøô",
    "nl": "áäéëíïóöúü",
    "nn": "àåæéòøô",
    "no": "àåæéòøô",
    "pl": "ąćęłńóśźż",
    "pt": "àáâãçéêíòóôõú",
    "ro": "ăâîșşțţ",
    "sk": "áäčďéíĺľňóôŕšťúýž",
    "sl": "čšž",
    "sq": "çë",
    "sv": "àåäéö",
    "tr": "âçğıîöşüû",
}


def letters_of(language: str | None) -> frozenset[str]:
    """The language's small letters beside a to z, each one character; none for an unknown language.

    `language` is a code by BCP 47 ("fr", "pt-BR"), None for an unknown one.
    """
    return frozenset(_LETTERS.get((language or "").replace("_", "-").split("-")[0].lower(), ""))


def small(cluster: str) -> str:
    """A letter with its marks as `letters_of` has it: small, and one character where there is one."""
    return unicodedata.normalize("NFC", cluster).lower()


def in_both_cases(letters: Iterable[str]) -> frozenset[str]:
    """These small letters and their capitals, but for capitals of two characters ("ß")."""
    found = {one for letter in letters for one in (letter, letter.upper())}
    return frozenset(one for one in found if len(one) == 1)
