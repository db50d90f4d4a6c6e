"""Hours as a language writes them, "3:30 pm", "15 h 30", "15 heures" or "15.30 Uhr", as they are read
anywhere: "15:30".

Knows how such hours are written, and where days have 24. Must not know what is copied, models, requests.
A small model takes "8 pm" for "8 Uhr", which is in the morning, and "18 h" for "18 a.m."; a rule does not.
"""

import re
from collections.abc import Iterable

# Of English. A stop that also ends the text is no part of it.
HALF_DAY = (
    r"(?<![\w.,:/$€£¥#])(?:0?[1-9]|1[0-2])(?:[:.][0-5]\d(?::[0-5]\d)?)?[ \u00a0\u202f]?"
    r"(?:[ap]m|[ap]\.m(?:\.(?!\s*$))?)(?!\w|[ ]I(?!\w))"
)
# Of French, where the same letters say how long something takes. Before six in the morning an hour is one
# only behind words that say so, and a whole hour only behind "à", unless what is around it says otherwise.
_MINUTES = r"[ \u00a0\u202f]?h[ \u00a0\u202f]?[0-5]\d"
_LENGTHS = ("pendant", "durant", "dure", "duré", "durait", "durera", "plus de", "moins de", "pendant environ")
_MEASURED = (
    "limité", "réduit", "égal", "supérieur", "inférieur", "estimé", "évalué", "porté", "ramené", "prolongé"
)  # fmt: skip


def _not_behind(words: Iterable[str]) -> str:
    """No such word stands before it. A pattern that looks back has one width, so that each has its own."""
    spelled = [word.replace(" ", "[ ]") for word in words]
    return "".join(rf"(?<!{word}[ \u00a0])" for word in spelled)


def _behind(*words: str) -> str:
    """One of these words stands before it."""
    return "(?:" + "|".join(rf"(?<=\b{word}[ \u00a0])" for word in words) + ")"


_BEHIND = _behind("à", "vers", "dès", "est", "entre")
_NO_LENGTH = _not_behind(_LENGTHS) + r"(?<!\ben[ \u00a0])"
_NO_MEASURE = _not_behind(f"{word}{end} à" for word in _MEASURED for end in ("", "e", "s", "es"))
_NO_UNIT = (
    r"(?!\w|[ \u00a0\u202f]?(?:min|mn|sec|s)(?!\w)|[ \u00a0\u202f]?(?:minute|seconde)|[ ]par(?!\w)|[ ]?/)"
)
_NO_DISTANCE = r"(?![ \u00a0](?:d['’]|(?:de|après)(?!\w)))"
# Spelled out, a whole hour of the morning is the model's, which says "9 o'clock" for it.
_AFTER_NOON = r"(?:1[3-9]|2[0-3])[ \u00a0\u202f]heures"
_SPELLED = r"(?:[01]?\d|2[0-3])[ \u00a0\u202f]heures?[ \u00a0\u202f][0-5]\d"
WITH_H = (
    r"(?:(?<![\w.,:/$€£])(?:"
    rf"{_NO_LENGTH}{_NO_MEASURE}(?:0[6-9]|[6-9]|1\d|2[0-3]){_MINUTES}"
    rf"|{_BEHIND}"
    rf"{_NO_MEASURE}0?[0-5]{_MINUTES}{_NO_DISTANCE}"
    rf"|(?<=\bà[ \u00a0]){_NO_MEASURE}(?:(?<!jusqu['’]à[ \u00a0])0?[0-5]|0[6-9]|[6-9]|1\d|2[0-3])"
    rf"[ \u00a0\u202f]?h{_NO_DISTANCE}(?![ \u00a0\u202f]?\d|[ \u00a0]du(?!\w)(?![ ](?:matin|soir)))"
    rf"|{_BEHIND}{_NO_MEASURE}{_SPELLED}{_NO_DISTANCE}"
    rf"|{_behind('à', 'vers', 'dès', 'entre')}{_NO_MEASURE}{_AFTER_NOON}(?![ ]\d){_NO_DISTANCE}"
    rf"|(?<=\bde[ \u00a0]){_AFTER_NOON}(?=[ ]à[ ]\d)"
    rf"){_NO_UNIT})"
)
# Of German. Minutes may follow the word.
WITH_UHR = (
    r"(?<![\w.,:/$€#])(?:[01]?\d|2[0-4])(?:[:.][0-5]\d[ \u00a0\u202f]?Uhr"
    r"|[ \u00a0\u202f]?Uhr(?:[ \u00a0\u202f][0-5]\d(?![.,:/]?\w|[ ]?[%€]|[ ](?:Min|Sek)))?)"
    r"(?!\w|[ ][0-5]\d[ ](?:Min|Sek))"
)
_HALF_DAY = re.compile(
    r"(0?[1-9]|1[0-2])(?:[:.]([0-5]\d(?::[0-5]\d)?))?[ \u00a0\u202f]?([ap])(?:m|\.m\.?)", re.IGNORECASE
)
_WITH_H = re.compile(
    r"([01]?\d|2[0-3])[ \u00a0\u202f]?h(?:eures?)?(?:[ \u00a0\u202f]?([0-5]\d))?", re.IGNORECASE
)
_WITH_UHR = re.compile(
    r"([01]?\d|2[0-4])(?:[:.]([0-5]\d))?[ \u00a0\u202f]?Uhr(?:[ \u00a0\u202f]([0-5]\d))?", re.IGNORECASE
)
# Marks that touch an hour and are copied with it, but for those of code.
_MARKS = r"(?:<[^<>]*>|\{[^{}]*\}|[^\w\s`<>{}])*"
# Of what is within, only a last letter is looked for: with any other sign time would grow with the square.
_AMONG_MARKS = re.compile(rf"({_MARKS})([^\W_](?:.*\w)?\.?)({_MARKS})")
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
    """`3:30 pm`, `15 h 30` and `15.30 Uhr` as `15:30`, `12 a.m.` as `0:00`, also where marks or tags touch
    them, as in `<b>3 pm</b>`; any other text as it is."""
    if (parts := _AMONG_MARKS.fullmatch(text)) is None:
        return text
    before, within, after = parts.groups()
    return f"{before}{_in_24_hours(within)}{after}"


def _in_24_hours(text: str) -> str:
    if (parts := _HALF_DAY.fullmatch(text)) is not None:
        hour, minutes, half = parts.groups()
        return f"{int(hour) % 12 + 12 * (half in 'pP')}:{minutes or '00'}"
    if (parts := _WITH_H.fullmatch(text)) is not None:
        return f"{int(parts[1])}:{parts[2] or '00'}"
    if (parts := _WITH_UHR.fullmatch(text)) is not None:
        return f"{int(parts[1])}:{parts[2] or parts[3] or '00'}"
    return text
