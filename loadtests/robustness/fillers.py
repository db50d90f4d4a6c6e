"""Made-up pieces of text that no translation may change, of one kind each, drawn with a seeded generator.

Knows kinds and how their members look. Must not know: sentences, languages, models.
"""

from __future__ import annotations

import random
from collections.abc import Callable

_WORDS = (
    "alpha",
    "report",
    "lake",
    "delta",
    "summer",
    "index",
    "north",
    "data",
    "river",
    "photo",
    "garden",
    "team",
)
_ENDINGS = ("txt", "pdf", "json", "yaml", "png", "csv", "py")
_EMOJI = ("😀", "🎉", "👍🏽", "❤️", "🚀", "☕", "🐱", "👨‍👩‍👧", "🇫🇷", "🙏", "✨", "🤷‍♀️")
_SCRIPTS = (
    "東京",
    "Москва",
    "नमस्ते",
    "서울",
    "ไทย",
    "Αθήνα",
    "ירושלים",
    "北京大学",
    "Токио",
    "مرحبا",
    "თბილისი",
    "日本語",
)


def _word(draw: random.Random) -> str:
    return draw.choice(_WORDS)


def _url(draw: random.Random) -> str:
    host = draw.choice(("example.com", "www.example.org", "docs.example.net", "shop.example.de:8080"))
    path = "".join(f"/{_word(draw)}" for _ in range(draw.randint(0, 3)))
    query = draw.choice(
        ("", f"?q={_word(draw)}&page={draw.randint(1, 99)}", f"#{_word(draw)}-{draw.randint(1, 9)}")
    )
    return f"{draw.choice(('https', 'http'))}://{host}{path}{query}"


def _mail(draw: random.Random) -> str:
    user = draw.choice((".", "_", "+", "")).join((_word(draw), _word(draw)))
    return f"{user}@{_word(draw)}.{draw.choice(('org', 'de', 'co.uk'))}"


def _placeholder(draw: random.Random) -> str:
    name = f"{_word(draw)}_{_word(draw)}"
    forms = (
        f"{{{name}}}",
        f"{{{{ {name} }}}}",
        f"${{{name}}}",
        "%s",
        "%d",
        "%1$s",
        f"%({name})s",
        f"{{{draw.randint(0, 9)}}}",
        f"%{name.upper()}%",
        f":{name}",
        f"<%= {name} %>",
        f"[[{name}]]",
        f"*|{_word(draw).upper()}|*",
    )
    return draw.choice(forms)


def _tag(draw: random.Random) -> str:
    return draw.choice(
        (
            "<br/>",
            f'<img src="{_word(draw)}.png"/>',
            f"<{_word(draw)}/>",
            "&nbsp;",
            f'<a id="{_word(draw)}"/>',
        )
    )


def _code(draw: random.Random) -> str:
    one, other = _word(draw), _word(draw)
    return draw.choice(
        (
            f"{one}_{other}",
            f"{one}{other.title()}()",
            f"`{one} -{other[0]}`",
            f"--{one}-{other}",
            f"0x{draw.randint(256, 65535):x}",
        )
    )


def _path(draw: random.Random) -> str:
    ending = draw.choice(_ENDINGS)
    name = f"{_word(draw)}.{ending}"
    return draw.choice(
        (f"/{_word(draw)}/{name}", f"~/{name}", name, f"{_word(draw)}/{name}", f"C:\\{_word(draw)}\\{name}")
    )


def _number(draw: random.Random) -> str:
    return str(draw.randint(100, 9_999_999))


def _short_number(draw: random.Random) -> str:
    return str(draw.randint(10, 99))


def _separated(draw: random.Random) -> str:
    forms = (
        f"{draw.randint(1, 99)}.{draw.randint(1, 99)}",
        f"{draw.randint(1, 999)},{draw.randint(100, 999)}",
        f"{draw.randint(1000, 999999):,}",
        f"{draw.randint(1, 9)}.{draw.randint(0, 20)}.{draw.randint(0, 99)}",
    )
    return draw.choice(forms)


def _date(draw: random.Random) -> str:
    year, month, day = draw.randint(1900, 2030), draw.randint(1, 12), draw.randint(1, 28)
    return draw.choice(
        (
            f"{year}-{month:02}-{day:02}",
            f"{day:02}.{month:02}.{year}",
            f"{month}/{day}/{year}",
            f"{day:02}:{month:02}",
        )
    )


def _telephone(draw: random.Random) -> str:
    return f"+{draw.randint(1, 99)} {draw.randint(10, 999)} {draw.randint(100000, 9999999)}"


def _emoji(draw: random.Random) -> str:
    return "".join(draw.sample(_EMOJI, draw.randint(1, 2)))


def _script(draw: random.Random) -> str:
    return draw.choice(_SCRIPTS)


FILLERS: dict[str, Callable[[random.Random], str]] = {
    "URL": _url,
    "e-mail address": _mail,
    "placeholder": _placeholder,
    "tag": _tag,
    "code": _code,
    "file": _path,
    "number": _number,
    "number of two digits": _short_number,
    "number with marks": _separated,
    "date or time": _date,
    "telephone number": _telephone,
    "emoji": _emoji,
    "other script": _script,
}
