"""Hours as a language writes them, "3:30 pm", "15 h 30" or "15.30 Uhr", as they are read anywhere: "15:30".

Knows how such hours are written, and where days have 24. Must not know what is copied, models, requests.
A small model takes "8 pm" for "8 Uhr", which is in the morning, and "18 h" for "18 a.m."; a rule does not.
"""

import re

# Of English. A stop that also ends the text is no part of it.
HALF_DAY = (
    r"(?<![\w.,:/$])(?:0?[1-9]|1[0-2])(?:[:.][0-5]\d)?[ \u00a0\u202f]?"
    r"(?:[ap]m|[ap]\.[ ]?m(?:\.(?!\s*$))?)(?!\w)"
)
# Of French. Whole hours are as often how long something takes, unless it happens "à 18 h"; those with minutes
# are, behind some words.
WITH_H = (
    r"(?:(?<![\w.,:/$])(?<!pendant[ ])(?<!durant[ ])(?<!dure[ ])(?<!duré[ ])(?<!\ben[ ])"
    r"(?:[01]?\d|2[0-3])[ \u00a0\u202f]?h[ \u00a0\u202f]?[0-5]\d"
    r"|(?<=\bà[ \u00a0])(?:[01]?\d|2[0-3])[ \u00a0\u202f]?h"
    r"(?![ \u00a0](?:d['’]|(?:de|du|après)(?!\w))))(?!\w)"
)
# Of German.
WITH_UHR = r"(?<![\w.,:/$])(?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?[ \u00a0\u202f]?Uhr(?!\w)"
_HALF_DAY = re.compile(
    r"(0?[1-9]|1[0-2])(?:[:.]([0-5]\d))?[ \u00a0\u202f]?([ap])(?:m|\. ?m\.?)", re.IGNORECASE
)
_WITH_H = re.compile(r"([01]?\d|2[0-3])[ \u00a0\u202f]?h(?:[ \u00a0\u202f]?([0-5]\d))?", re.IGNORECASE)
_WITH_UHR = re.compile(r"([01]?\d|2[0-4])(?:[:.]([0-5]\d))?[ \u00a0\u202f]?Uhr", re.IGNORECASE)
# fmt: off
_OF_24_HOURS = frozenset((
    "be", "bg", "bs", "ca", "cs", "da", "de", "et", "eu", "fi", "fr", "gl", "hr", "hu", "is", "it", "lb",
    "lt", "lv", "mk", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tr", "uk",
))
# fmt: on


def written_anew(source: str | None, target: str | None) -> str | None:
    """The pattern of hours that change from one language (ISO 639-1) to the other; None where none do."""
    if target is None or source == target:
        return None
    if source == "en":
        return HALF_DAY if target in _OF_24_HOURS else None
    return {"fr": WITH_H, "de": WITH_UHR}.get(source or "")


def is_hour(text: str) -> bool:
    """Whether it is an hour of one of these kinds and nothing else."""
    return any(kind.fullmatch(text) is not None for kind in (_HALF_DAY, _WITH_H, _WITH_UHR))


def in_24_hours(text: str) -> str:
    """`3:30 pm`, `15 h 30` and `15.30 Uhr` as `15:30`, `12 a.m.` as `0:00`; any other text as it is."""
    if (parts := _HALF_DAY.fullmatch(text)) is not None:
        hour, minutes, half = parts.groups()
        return f"{int(hour) % 12 + 12 * (half in 'pP')}:{minutes or '00'}"
    if (parts := _WITH_H.fullmatch(text) or _WITH_UHR.fullmatch(text)) is not None:
        return f"{int(parts[1])}:{parts[2] or '00'}"
    return text
