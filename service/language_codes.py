"""Language codes (BCP 47): how they are written, which served code is meant, what a language is called.

Knows codes and names; must not know models, texts or HTTP.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from service.iso_languages import two_letters
from service.rarer_languages import RARER_NAMES

# code: (English name, own name). A code that is not here is shown as its own name.
NAMES: dict[str, tuple[str, str]] = {
    "af": ("Afrikaans", "Afrikaans"),
    "ar": ("Arabic", "العربية"),
    "bg": ("Bulgarian", "български"),
    "bn": ("Bengali", "বাংলা"),
    "ca": ("Catalan", "català"),
    "cs": ("Czech", "čeština"),
    "da": ("Danish", "dansk"),
    "de": ("German", "Deutsch"),
    "el": ("Greek", "Ελληνικά"),
    "en": ("English", "English"),
    "eo": ("Esperanto", "Esperanto"),
    "es": ("Spanish", "español"),
    "et": ("Estonian", "eesti"),
    "eu": ("Basque", "euskara"),
    "fa": ("Persian", "فارسی"),
    "fi": ("Finnish", "suomi"),
    "fr": ("French", "français"),
    "ga": ("Irish", "Gaeilge"),
    "gl": ("Galician", "galego"),
    "he": ("Hebrew", "עברית"),
    "hi": ("Hindi", "हिन्दी"),
    "hr": ("Croatian", "hrvatski"),
    "hu": ("Hungarian", "magyar"),
    "id": ("Indonesian", "Bahasa Indonesia"),
    "is": ("Icelandic", "íslenska"),
    "it": ("Italian", "italiano"),
    "ja": ("Japanese", "日本語"),
    "ko": ("Korean", "한국어"),
    "lt": ("Lithuanian", "lietuvių"),
    "lv": ("Latvian", "latviešu"),
    "mk": ("Macedonian", "македонски"),
    "ms": ("Malay", "Bahasa Melayu"),
    "nb": ("Norwegian Bokmål", "norsk bokmål"),
    "nl": ("Dutch", "Nederlands"),
    "nn": ("Norwegian Nynorsk", "norsk nynorsk"),
    "no": ("Norwegian", "norsk"),
    "pl": ("Polish", "polski"),
    "pt": ("Portuguese", "português"),
    "ro": ("Romanian", "română"),
    "ru": ("Russian", "русский"),
    "sk": ("Slovak", "slovenčina"),
    "sl": ("Slovenian", "slovenščina"),
    "sq": ("Albanian", "shqip"),
    "sr": ("Serbian", "српски"),
    "sv": ("Swedish", "svenska"),
    "sw": ("Swahili", "Kiswahili"),
    "ta": ("Tamil", "தமிழ்"),
    "th": ("Thai", "ไทย"),
    "tl": ("Tagalog", "Tagalog"),
    "tr": ("Turkish", "Türkçe"),
    "uk": ("Ukrainian", "українська"),
    "ur": ("Urdu", "اردو"),
    "vi": ("Vietnamese", "Tiếng Việt"),
    "zh": ("Chinese", "中文"),
}
_BY_SCRIPT = {
    ("zh", "hans"): ("Chinese (Simplified)", "简体中文"),
    ("zh", "hant"): ("Chinese (Traditional)", "繁體中文"),
}


# Where a language is written in several scripts, the one that its plain code means.
_USUAL_SCRIPT = {"zh": "hans", "ks": "arab", "kr": "latn", "ace": "latn", "bjn": "latn", "taq": "latn"}
_SCRIPT_OF_REGION = {("zh", region): "hant" for region in ("tw", "hk", "mo")} | {
    ("zh", region): "hans" for region in ("cn", "sg", "my")
}
_NO_REGION = "xx"  # mBART writes English `en_XX`
# Norwegian without a standard is Bokmål in practice, and some models know only the one name of it.
_NEAR = {"no": "nb", "nb": "no"}


class _Tag(NamedTuple):
    """A code's parts in lower case; the empty string is a part that is left open."""

    language: str
    script: str
    region: str


def normalise(code: str) -> str:
    """Lower case, with hyphens: `de_DE` and `DE-de` are both `de-de`."""
    return code.strip().lower().replace("_", "-")


def primary(code: str) -> str:
    """The language alone, in two letters where it has such a code: `pt` of `pt-BR`, `en` of `eng_Latn`."""
    return two_letters(normalise(code).partition("-")[0])


def match(wanted: str, served: Iterable[str]) -> str | None:
    """The served code that `wanted` means, or None.

    The very code first, then the same in any case, then with its subtags dropped from the end (`de-AT` means
    a served `de`, RFC 4647 lookup), then the one served variant of the same language that does not contradict
    it: `pt` means `pt-BR` if that is the only Portuguese, `en-US` means `eng_Latn`, `zh-TW` means `zho_Hant`.
    Of variants that differ in the script alone the usual script is meant. Two others are no match.
    """
    return _match(wanted, tuple(served))


# Every request asks, and models may have hundreds of codes.
@lru_cache(maxsize=1024)
def _match(wanted: str, served: tuple[str, ...]) -> str | None:
    if wanted in served:
        return wanted
    by_normal = {normalise(code): code for code in served}
    shorter = normalise(wanted)
    while shorter:
        if shorter in by_normal:
            return by_normal[shorter]
        shorter = shorter.rpartition("-")[0]
    return _variant(_tag(wanted), {_tag(code): code for code in by_normal.values()})


def _tag(code: str) -> _Tag:
    first, *others = normalise(code).split("-")
    language = two_letters(first)
    script = next((part for part in others if len(part) == 4 and part.isalpha()), "")
    region = next((part for part in others if len(part) == 2 and part != _NO_REGION), "")
    return _Tag(language, script or _SCRIPT_OF_REGION.get((language, region), ""), region)


def _variant(wanted: _Tag, served: Mapping[_Tag, str]) -> str | None:
    """The one that fits, by its tag."""
    language = wanted.language
    if not any(tag.language == language for tag in served):
        language = _NEAR.get(language, language)
    fitting = [tag for tag in served if tag.language == language and _fits(wanted, tag)]
    if len(fitting) > 1 and not wanted.script:
        usual = _USUAL_SCRIPT.get(language, "")
        fitting = [tag for tag in fitting if tag.script == usual and usual]
    return served[fitting[0]] if len(fitting) == 1 else None


def _fits(wanted: _Tag, served: _Tag) -> bool:
    """Whether nothing is known that contradicts: a script or a region that one leaves open does not."""
    same_script = not wanted.script or not served.script or wanted.script == served.script
    # A region that told the script has said all that it can where the served code has none.
    return same_script and (not wanted.region or served.region in ("", wanted.region))


def english_name(code: str) -> str:
    """`German` for `de` and `de-AT` alike; the code itself for a language without an entry."""
    return _names(code)[0]


def own_name(code: str) -> str:
    """`Deutsch` for `de`; the code itself for a language without an entry."""
    return _names(code)[1]


def _names(code: str) -> tuple[str, str]:
    tag = _tag(code)
    by_script = NAMES.get(normalise(code)) or _BY_SCRIPT.get(tag[:2])
    return by_script or NAMES.get(tag.language) or RARER_NAMES.get(tag.language, (code, code))
