"""Language codes (BCP 47): how they are written, which served code is meant, what a language is called.

Knows codes and names; must not know models, texts or HTTP.
"""

from collections.abc import Iterable

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


def normalise(code: str) -> str:
    """Lower case, with hyphens: `de_DE` and `DE-de` are both `de-de`."""
    return code.strip().lower().replace("_", "-")


def primary(code: str) -> str:
    """The language alone: `pt` of `pt-BR`."""
    return normalise(code).partition("-")[0]


def match(wanted: str, served: Iterable[str]) -> str | None:
    """The served code that `wanted` means, or None.

    The same code in any case first, then with its subtags dropped from the end (`de-AT` means a served `de`,
    RFC 4647 lookup), then the one served variant of the same language (`pt` means `pt-BR` if that is the only
    Portuguese). Two variants to choose from are no match.
    """
    by_normal = {normalise(code): code for code in served}
    shorter = normalise(wanted)
    while shorter:
        if shorter in by_normal:
            return by_normal[shorter]
        shorter = shorter.rpartition("-")[0]
    if "-" in normalise(wanted):
        return None
    variants = [code for normal, code in by_normal.items() if primary(normal) == normalise(wanted)]
    return variants[0] if len(variants) == 1 else None


def english_name(code: str) -> str:
    """`German` for `de` and `de-AT` alike; the code itself for a language without an entry."""
    return NAMES.get(normalise(code), NAMES.get(primary(code), (code, code)))[0]


def own_name(code: str) -> str:
    """`Deutsch` for `de`; the code itself for a language without an entry."""
    return NAMES.get(normalise(code), NAMES.get(primary(code), (code, code)))[1]
