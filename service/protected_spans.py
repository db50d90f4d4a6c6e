"""Finds in a text what no translation may change: addresses, code, numbers, emoji.

Knows text only; must not know tokenizers or models (masking.py knows which characters a model lacks).

    Write to ann@example.org, {name}: 1,250 files are in /var/tmp 🎉
             ^^^^^^^^^^^^^^^  ^^^^^^  ^^^^^              ^^^^^^^^ ^^

What is found is copied, so nothing may be found that a reader would translate: "3rd", "1990s", "and/or" and
"e.g." are words. Spans are in code points, disjoint and in order; none begins or ends with white space.

Texts come from strangers, so time must grow as a text does: what can begin at any character must either end
soon (`{1,64}`) or be divided in one way only (a mark between repeats, or `*+`, which gives nothing back).
"""

import re
from collections.abc import Iterable, Iterator

from service import hours
from service.segmentation import Span
from service.unicode_words import with_letters_for_marks

# Where none of these stands, nothing can be found: most sentences are read no further.
_SIGN = re.compile(
    r"[\d@{}<>%$&\\/`_#~=*+:;\[\]^|·\x1b]|[a-z][A-Z]|\.[a-z]|\.NET|O['’][A-Z]|--|www|\w\([\w\"')\-]"
    r"|[^\x00-\u024f\u2010-\u2027]"
)

_PRIVATE = r"[\ue000-\uf8ff]+"

# What ends an address stands behind it, not in it: see `_without_closing`.
_URL = r"""
    (?:[a-z][a-z0-9+.\-]{1,15}://|mailto:|www\.)[^\s<>"'“”„«»‘’]+
  | (?<![\w@.\-/])(?:[a-z0-9][a-z0-9\-]*\.)+(?:com|org|net|edu|gov|io|dev|info|eu|de|fr|ch|at|uk|nl|it|es|pl)
    (?![\w\-]|\.\w)(?:[:/][^\s<>"'“”„«»‘’]*)?
"""
_MAIL = r"(?<![\w.+%\-])[\w.+%\-]{1,64}@[\w\-]+(?:\.[\w\-]+)+"
_HANDLE = r"(?<![\w@])@[a-z_]\w+ | (?<![\w\#&])\#[a-z_]\w+"

# Of ICU messages all but the texts of their branches: "{n, plural, one {# file} other {# files}}".
_NAMED = r"\{[ ]{0,3}\w{1,40}[ ]{0,3},[ ]{0,3}"
_BRANCH = r"[ ]{0,3}\{(?:\#(?!\w))?"
_CASE = r"(?:=\d{1,9}|zero|one|two|few|many|other|male|female|neutral|neuter|true|false)"
_MESSAGE = rf"""
    {_NAMED}(?:number|date|time|ordinal|spellout|duration)[ ]{{0,3}}(?:,[^{{}}\n\t]{{1,60}})?\}}
  | {_NAMED}(?:plural|selectordinal|select)[ ]{{0,3}},[ ]{{0,3}}
    (?:offset:\d{{1,9}}[ ])?(?:=\d{{1,9}}|\w{{1,40}}){_BRANCH}
  | \}}[ ]{{0,3}}{_CASE}{_BRANCH}
  | \}}[ ]{{0,3}}\}}
"""
_TEMPLATE = r"""
    \{\{\{(?:(?!\}\}|\n|\t).){1,100}\}\}\}        # {{{ x }}}
  | \{\{(?:(?!\}\}|\n|\t).){1,100}\}\}          # {{ x }}
  | \{%(?:(?!%\}|\n|\t).){1,100}%\}             # {% x %}
  | [$%\#]\{[^{}\n\t]{1,100}\}                  # ${x}, %{x}, #{x}
  | \{[^\s{}]{0,60}\}                           # {name}, {0:.2f}, {}
  | %\(\w+\)[\-+0\#]*+\d*+(?:\.\d++)?[a-z]      # %(name)s
  | (?<![\d%])%[\-+0\#]*+\d*+(?:\.\d++)?(?:hh|h|ll|l|z)?[diouxefgcsp@](?![a-z0-9])
  | %\d+\$[\-+0\#]*+\d*+(?:\.\d++)?(?:hh|h|ll|l|z)?[diouxefgcsp@]
  | (?<![\w%])%[a-z_]\w+%(?!\w)                 # %NAME%
  | \$t\([^()\s]{1,100}\)                       # $t(key)
  | \$[^\s$\d][^\s$]{0,60}\$(?!\w)              # $name$, $x^2$
  | \$[a-z_]\w+                                 # $HOME
  | (?<![\w$])\$[1-9](?!\w|[.,]\d)             # $1, $2 (see _ARGUMENT)
  | <%(?:(?!%>|\n|\t).){1,100}%>               # <%= x %>
  | <\?(?:(?!\?>|\n|\t).){1,100}\?>            # <?php x ?>
  | \*\|[^|\s]{1,60}\|\*                        # *|NAME|*
  | \[\[[^\[\]\s|]{1,80}\]\]                    # [[name]]
  | (?<![\w:]):[a-z+\-][a-z0-9_+\-]{0,40}:(?!\w)   # :smile:
"""
_COLON_NAME = r"(?<![^\s\"'(\[]):[a-z_]\w+(?![\w:])"
_FORUM_TAG = r"""
    \[/?(?:b|i|u|s|url|img|quote|code|pre|list|li|\*|size|colou?r|center|spoiler)(?:=[^\[\]\n\t]{1,200})?\]
"""
# Marks that no language has for its own: small models hardly know them, and lose them.
_MARK = r"""
    [{}|~^`\\‹›·]+ | \[\[ | \]\]
  | (?<![\w*])\*{1,3}(?=\w) | (?<=[\w.,;:!?…])\*{1,3}(?![\w*])     # *so* and **so**
  | (?<!\w)_{1,2}(?=[^\W_]) | (?<=[^\W_])_{1,2}(?!\w)              # _so_
  | (?<!\S)(?:[*\#+=<>]{1,3}|[\-=]{1,2}>|<[\-=]{1,2}|!=|&&)(?!\S)
"""
_TAG = r"""
    </?[a-z][\w:.\-]*(?:\s+[\w:.\-]+\s*=\s*(?:"[^"<>\n]*"|'[^'<>\n]*'|[^\s"'<>]+))*\s*/?>
  | </?\d{1,3}[ ]?/?>
  | <!--(?:(?!-->|\n).){0,300}-->
  | &(?:[a-z][a-z0-9]{1,10}|\#\d{1,7}|\#x[0-9a-f]{1,6});
"""
# What a call passes: a string, a number, a name, another call, or one of these by its name.
_PASSED = r"""
    (?:[a-z_]\w{0,40}=)?
    (?:"[^"\n\t]{0,80}"|'[^'\n\t]{0,80}'|-?\w[\w.:]{0,40}(?:\([^()\s]{0,60}\))?)
"""
_CODE = rf"""
    `[^`\s](?:[^`\n\t]{{0,98}}[^`\s])?`           # `quoted`
  | (?<![\w\-])--[a-z][\w\-]*(?:=[^\s"'<>]+)?   # --option
  | (?<![\w.])[a-z_]\w*(?:\.\w+)*\(\)           # call()
    # call("x", n=1), but not file(s) or Kunde(n): a dot or a line in the name, or what no word has inside
  | (?<![\w.])(?=\w*[._]|\w*\([^()\n\t]{{0,80}}["'=\d(])(?-i:[a-z_])\w*+(?:\.\w++)*+
    \({_PASSED}(?:,[ ]?{_PASSED}){{0,9}}\)(?!\w)
  | (?-i:\\[ntr](?![a-zß-öø-ÿ]))                # \n, and \nName; but \name is one word
  | \\[0"'\\](?![a-z])
"""
_COLOUR = r"\x1b\[[0-9;]{0,40}[a-z]"  # of a terminal
_ENDING = (
    r"(?:txt|py|js|ts|json|ya?ml|xml|html?|css|pdf|png|jpe?g|gif|svg|csv|tsv|md|rst|docx?|xlsx?|pptx?|od[tsp]"
    r"|zip|tar|gz|tgz|iso|img|deb|rpm|exe|dll|so|sh|bat|conf|cfg|ini|log|cpp|java|rs|mp[34]|wav)"
)
_PATH = rf"""
    (?<![\w:/.~<])(?:~|\.{{1,2}})?/[\w.+@\-]+(?:/[\w.+@\-]+)*/?
  | (?<![\w])[a-z]:\\[^\s"'<>|]+
  | (?<![\w./\-])[\w\-]+(?:[./][\w\-]+)*\.{_ENDING}(?![\w\-]|\.\w)
"""
_NAME = r"""
    (?<!\w)(?-i:[A-Z]{2}\d\d[ ]?[A-Z\d]{4}                                      # IBAN
      (?:[ ]?(?=[A-Z]{0,3}\d)[A-Z\d]{4}){2,6}(?:[ ]?\d[A-Z\d]{0,2})?)(?!\w)
  | (?<!\w)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\w)
  | (?<!\w)(?:[0-9a-f]{2}:){3,7}[0-9a-f]{2}(?!\w)
  | (?<!\w)0x[0-9a-f]+(?!\w)
  | (?<!\w)(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}(?!\w)
  | (?<!\w)_*[^\W_]+(?:_+[^\W_]+)+_*(?!\w)      # snake_case
  | (?<!\w)__[^\W_]+__(?!\w)                    # __init__
  | (?<!\w)(?-i:[a-z]+(?:[A-Z][a-z0-9]*)+)(?!\w)   # camelCase, iPhone
  | (?<!\w)(?-i:(?!UdSSR)[A-Z][a-z]+[A-Z][A-Za-z0-9]*)(?!\w)   # GitHub, OpenPGP
  | (?<![\w'’])(?-i:O['’][A-Z][a-z]{2,20})(?!\w)   # O'Brien
  | (?<!\w)(?-i:[A-Z])(?:\w{0,20}(?:\+\+\d\d|\+{1,2})|\#)(?![\w+\#])   # C++, C++17, C#, Disney+
  | (?<![^\s"'(\[])(?-i:[A-Z][A-Za-z]{1,10})?(?-i:\.NET)(?!\w)
  | (?<!\w)(?:v\d+(?:\.\d+)+|\d{1,9}(?:\.\d{1,9}){1,6}-?(?:alpha|beta|rc|dev)\.?\d*)(?!\w)
  | (?<!\w)(?=\w*\d)(?-i:[A-Za-z])\w*(?!\w)     # A380, MP3
  | (?<!\w)\d{1,6}(?-i:(?!(?:ST|ND|RD|TH|S|ER?|ÈME|AM|PM|H)(?!\w))[A-Z]\w{0,20})(?!\w)   # 12B, 2FA, not 3RD
"""
# By ISO 8601: numbers that letters join. A time without a date, or a zone, is a number like any other.
_ZONE = r"(?:Z|[+\-−]\d\d(?::?\d\d)?)"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?"
_TIME = rf"""
    (?<![\w.,:])(?:
        \d{{4}}-\d\d-\d\d[T ]{_CLOCK}{_ZONE}?+
      | {_CLOCK}(?:Z|[+\-−]\d\d:\d\d)
      | \d{{8}}T\d{{4}}(?:\d\d)?{_ZONE}?+
    )(?!\w|[:.,]\d)
"""
_UNIT = r"(?:[kcmµ]?m|[kmµ]?g|[mc]?l|[kMGT]i?B|[kMG]?Hz|[kMG]?W|[kM]?V|px|pt|dpi|h|min|ms|kWh|mph|fps)"
# Between the digits of a telephone number; never nothing, or they could be divided in countless ways.
_GAP = r"(?:\)?(?:[ \u00a0\-/.]\(?|\()|\))"
_GROUP = rf"(?:{_GAP}\d{{1,15}})"
_FOURS = r"(?:[ \u00a0\-]\d{4})"
_PREFIX = rf"(?:\d{{3,15}}|\d\d{_GROUP}|\d{_GAP}(?:\d{{2,15}}|\d{_GROUP}))"  # three digits or more
_NUMBER = rf"""
    (?<![\w.,+])\+{_PREFIX}{_GROUP}{{0,6}}\)?(?!\w)                                  # telephone
  | (?<![\w.,])\d{{4}}{_FOURS}{_FOURS}+(?!\w)                                           # of a card
  | (?<![\w.,])\d{{1,3}}(?:[ \u00a0\u202f]\d{{3}})+(?:[.,]\d+)?(?!\w)
  | (?<![\w.,])[+\-−]?\d{{1,30}}(?:[.,]\d{{1,30}})?e[+\-−]?\d{{1,4}}(?!\w)               # 1e-5
  | (?<![\w.,])(?:US|CA|AU|NZ|HK|A|C)\$\d++(?:[.,]\d++)*+(?!\w)                            # US$250
  | (?<![\w.,])[+\-−]?\d+(?:[.,]\d+)?[ \u00a0]?°[ ]?(?-i:[CF])(?!\w)                     # 20 °C
  | (?<![\w.,])[+\-−]?\d+(?:[.,:/'’\-–][ ]?(?<![ ])\d+)+(?:(?!\w)|(?=(?-i:{_UNIT})(?!\w)))
  | (?<![\w.,])[+\-−]?\d{{2,}}(?:(?!\w)|(?=(?-i:{_UNIT})(?!\w)))
"""
_PICTURE = (
    "(?:[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9\\#*]\ufe0f?\u20e3"  # a keycap
    "|[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u203c\u2049\u3030\u303d\u3297\u3299]"
    "[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*)"
)
_EMOJI = rf"{_PICTURE}(?:\u200d?{_PICTURE})*"
_FACE = r"(?<!\S)[:;=]['’]?-?[()\[\]dpo|/\\](?!\S) | (?<!\S)<3(?!\S)"

_KINDS = (
    _PRIVATE, _URL, _MAIL, _MESSAGE, _TEMPLATE, _TAG, _CODE, _COLOUR,
    _EMOJI, _PATH, _HANDLE, _NAME, _TIME, _NUMBER, _FACE, _COLON_NAME, _FORUM_TAG, _MARK,
)  # fmt: skip


def _any_of(kinds: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{kind})" for kind in kinds), re.IGNORECASE | re.VERBOSE)


_ANY = _any_of(_KINDS)
_ANY_WITH = {
    pattern: _any_of((pattern, *_KINDS)) for pattern in (hours.HALF_DAY, hours.WITH_H, hours.WITH_UHR)
}
_CLOSING = ".,;:!?)]}"
# Where "20." within a text may be an ordinal, as in "am 20. Oktober", or a number before the next sentence.
_ORDINAL = re.compile(r"(?<!\d)\d\d\.\s+\w")
# fmt: off
_WITH_ORDINALS = frozenset((
    "bs", "cs", "da", "de", "et", "fi", "fo", "hr", "hu",
    "is", "lb", "lv", "nb", "nn", "no", "sk", "sl", "sr",
))
# fmt: on
# "$2 was moved to $1": numbered placeholders have a first one; "for $2" is an amount.
_ARGUMENT, _FIRST_ARGUMENT = re.compile(r"\$\d"), re.compile(r"(?<![\w$])\$1(?!\w|[.,]\d)")
# "LehrerInnen" are of both sexes, and no name.
_GERMAN_INNEN = re.compile(r"[^\W\d_]+(?<=[a-z])In(?:nen[a-z]*)?(?!\w)")
# French sets a colon apart, and the word behind it may touch it by mistake.
_FRENCH_COLON = re.compile(r":[^\W\d_]+(?![\w:])")
_PAIRS = ((")", "("), ("]", "["), ("}", "{"))


def protected_spans(text: str, language: str | None = None, target: str | None = None) -> list[Span]:
    """Where it stands what must not change; two that touch are one span.

    `language` (ISO 639-1, None for an unknown one) decides whether a stop may make an ordinal of a number;
    with that of the translation, `target`, whether "3 pm" or "15 h" is an hour that hours.py writes anew.
    """
    if _SIGN.search(text) is None:
        return []
    text = with_letters_for_marks(text)
    changed = hours.written_anew(language, target)
    spans = _found(text, _ANY if changed is None else _ANY_WITH[changed])
    if language in _WITH_ORDINALS:
        spans = (span for span in spans if _ORDINAL.match(text, span[0]) is None)
    if not _FIRST_ARGUMENT.search(text):
        spans = (span for span in spans if not _ARGUMENT.fullmatch(text, *span))
    if language == "de":
        spans = (span for span in spans if not _GERMAN_INNEN.fullmatch(text, *span))
    if language == "fr":
        spans = (span for span in spans if _FRENCH_COLON.match(text, span[0]) is None)
    return joined(spans)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that touch made one."""
    result: list[Span] = []
    for start, end in spans:
        if result and result[-1][1] == start:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def _found(text: str, kinds: re.Pattern[str]) -> Iterator[Span]:
    """Only words with a sign in them are looked at closely: it takes a microsecond for each character."""
    place = 0
    for sign in _SIGN.finditer(text):
        if sign.start() < place:
            continue
        start, end = _word_around(text, sign.start(), place)
        place = end
        while start < end:
            if (match := kinds.match(text, start)) is None:
                start += 1
                continue
            is_hour = hours.is_hour(match.group())  # whose stop is no end of a sentence
            start = match.end() if is_hour else _without_closing(text, *match.span())
            place = max(place, start)
            yield match.start(), start


def _word_around(text: str, place: int, first: int) -> Span:
    """What stands there between white space, no further back than `first`."""
    start, end = place, place
    while start > first and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return start, end


def _without_closing(text: str, start: int, end: int) -> int:
    """The end of an address or a path without the marks of the sentence that it stands in."""
    if end - start < 4 or text[end - 1] not in _CLOSING or not _may_run_on(text, start):
        return end
    surplus = {last: text.count(last, start, end) - text.count(first, start, end) for last, first in _PAIRS}
    while end - start > 1 and (last := text[end - 1]) in _CLOSING:
        if last in surplus:
            if surplus[last] <= 0:  # it closes what the address itself has opened
                break
            surplus[last] -= 1
        end -= 1
    return end


def _may_run_on(text: str, start: int) -> bool:
    """What is written up to the next white space; all else has an end of its own."""
    return text[start] not in "{}<`%$&:;=\\|~^" and not text[start].isspace()
