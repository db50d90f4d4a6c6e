"""The hours of an English half day, "3:30 pm", as a day of 24 hours has them: "15:30".

Knows how such hours are written, and where days have 24. Must not know what is copied, models, requests.
A small model takes "8 pm" for "8 Uhr", which is in the morning; a rule does not.
"""

import re

# A stop that also ends the text is no part of it.
HALF_DAY = (
    r"(?<![\w.,:/$])(?:0?[1-9]|1[0-2])(?:[:.][0-5]\d)?[ \u00a0\u202f]?"
    r"(?:[ap]m|[ap]\.[ ]?m(?:\.(?!\s*$))?)(?!\w)"
)
_PARTS = re.compile(r"(0?[1-9]|1[0-2])(?:[:.]([0-5]\d))?[ \u00a0\u202f]?([ap])(?:m|\. ?m\.?)", re.IGNORECASE)
# fmt: off
_OF_24_HOURS = frozenset((
    "be", "bg", "bs", "ca", "cs", "da", "de", "et", "eu", "fi", "fr", "gl", "hr", "hu", "is", "it", "lb",
    "lt", "lv", "mk", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tr", "uk",
))
# fmt: on


def are_written_anew(source: str | None, target: str | None) -> bool:
    """Whether hours change from one language (ISO 639-1) to the other."""
    return source == "en" and target in _OF_24_HOURS


def is_half_day(text: str) -> bool:
    """Whether it is an hour of a half day and nothing else."""
    return _PARTS.fullmatch(text) is not None


def in_24_hours(text: str) -> str:
    """`3:30 pm` as `15:30`, `12 a.m.` as `0:00`; any other text as it is."""
    if (parts := _PARTS.fullmatch(text)) is None:
        return text
    hour, minutes, half = parts.groups()
    return f"{int(hour) % 12 + 12 * (half in 'pP')}:{minutes or '00'}"
