"""What no translation may change is found, and nothing that a reader would translate."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protected_spans import protected_spans


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in protected_spans(text)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("See https://example.org/a?b=c&d=%20#e.", ["https://example.org/a?b=c&d=%20#e"]),
        ("(https://en.wikipedia.org/wiki/Foo_(bar))", ["https://en.wikipedia.org/wiki/Foo_(bar)"]),
        ("Go to www.example.de/x, or example.com!", ["www.example.de/x", "example.com"]),
        ("Ask Ann <ann.b+c@mail.example.org>.", ["ann.b+c@mail.example.org"]),
        ("@ann likes #cats, not # Headings", ["@ann", "#cats", "#"]),
        ("Hello {name}, {0:.2f} and {{ user.name }}!", ["{name}", "{0:.2f}", "{{ user.name }}"]),
        (
            "{{{x}}}, {{a}} {0, number} {d,date,short} {p, number, ::0.00}",
            ["{{{x}}}", "{{a}}", "{0, number}", "{d,date,short}", "{p, number, ::0.00}"],
        ),
        (
            "{n, plural, offset:1 =0 {None} one {# cat} other {# cats}} or {g,select,male{He}other{They}}.",
            ["{n, plural, offset:1 =0 {", "} one {#", "} other {#", "}}", "{g,select,male{", "}other{", "}}"],
        ),
        ("<0>Here</0> <12/>, but x <4 and $t(a.b)", ["<0>", "</0>", "<12/>", "$t(a.b)"]),
        ("{first name} and {last name}, {a, b}", ["{", "}", "{", "}", "{", "}"]),
        ("Dear %NAME%, 50%of%, %d% %s%s%", ["%NAME%", "50", "%d", "%s%s"]),
        ("$name$ in $x^2$, $5 or US$, $a b$", ["$name$", "$x^2$"]),
        (
            "<%= user.name %> <% if x %>Yes<% end %>, <?php x ?>",
            ["<%= user.name %>", "<% if x %>", "<% end %>", "<?php x ?>"],
        ),
        ("Hi *|FNAME|*, [[name]] of [[Main Page]]", ["*|FNAME|*", "[[name]]", "[[", "]]"]),
        ('The :attribute (:Name, ":x_y"): is :ok, a:b, :c', [":attribute", ":Name", ":x_y", ":ok"]),
        (":smile: and :+1: at 10:30: yes :) or :30: or :a b:", [":smile:", ":+1:", "10:30", ":)", "30"]),
        (
            "[b]So[/b] [url=http://x.org]it[/URL] [is] [*]",
            ["[b]", "[/b]", "[url=http://x.org]", "[/URL]", "[*]"],
        ),
        ("*so*, **so!** or ***so***, price* a*b 5*3", ["*", "*", "**", "**", "***", "***", "*"]),
        (
            "_so_, __so far__, __init__, _Open, my_own, a_",
            ["_", "_", "__", "__", "__init__", "_", "my_own", "_"],
        ),
        ("~Tools ^Edit a|b {x y} `q' \\ ‹so› a·b", ["~", "^", "|", "{", "}", "`", "\\", "‹", "›", "·"]),
        ("a <= b => c -> d != e && f = g ## h, x=y, c++", ["<=", "=>", "->", "!=", "&&", "=", "##"]),
        ("${x} %{y} #{z} {% if a %}", ["${x}", "%{y}", "#{z}", "{% if a %}"]),
        ("%s of %d, %1$s and %(name)s: %5.2f", ["%s", "%d", "%1$s", "%(name)s", "%5.2f"]),
        ('<a href="x y">Here</a> <br/> &amp; &#39;', ['<a href="x y">', "</a>", "<br/>", "&amp;", "&#39;"]),
        ("Type `ls -l` or --help, then run()", ["`ls -l`", "--help", "run()"]),
        (
            'Call print("so far"), range(10), foo(x, y=2) or os.path.join(a, b).',
            ['print("so far")', "range(10)", "foo(x, y=2)", "os.path.join(a, b)"],
        ),
        (
            "So print(len(x)), a_b(c), save(to='/tmp/x', n=-1.5); at(\"a\",max(b[1]))",
            ["print(len(x))", "a_b(c)", "save(to='/tmp/x', n=-1.5)", 'at("a",max(b[1]))'],
        ),
        (
            "C++, (C++17), C#, F# and Notepad++. Disney+, LGBTQ+, an A+; Ctrl+C, No#1, a++, B+c, Us#",
            ["C++", "C++17", "C#", "F#", "Notepad++", "Disney+", "LGBTQ+", "A+"],
        ),
        ("Ann O'Brien, O’Connor's dog; O'CLOCK, l'O'x, D'Arc, o'clock", ["O'Brien", "O’Connor"]),
        (".NET, ASP.NET and (VB.NET)! It is.NETed", [".NET", "ASP.NET", "VB.NET"]),
        ("In /usr/lib/x.so, ~/a and C:\\b.txt", ["/usr/lib/x.so", "~/a", "C:\\b.txt"]),
        ("Open config.yaml, src/main.py.", ["config.yaml", "src/main.py"]),
        (
            "GitHub and OpenPGP of McDonald, a PhD, not Tom, USA or Usa",
            ["GitHub", "OpenPGP", "McDonald", "PhD"],
        ),
        ("my_var, getName, iPhone, A380, MP3-Player", ["my_var", "getName", "iPhone", "A380", "MP3"]),
        ("v1.2.3, 2.0-rc1, 0xff, deadbeef42", ["v1.2.3", "2.0-rc1", "0xff", "deadbeef42"]),
        ("In 1984, 1,250.75 or 1.250,75", ["1984", "1,250.75", "1.250,75"]),
        ("At 10:30 on 2024-01-31 or 31.12.2024.", ["10:30", "2024-01-31", "31.12.2024"]),
        ("At 2024-01-02T03:04:05Z.", ["2024-01-02T03:04:05Z"]),
        ("From 2024-01-02 03:04:05.123+01:00 on", ["2024-01-02 03:04:05.123+01:00"]),
        ("20240102T030405Z, 10:30Z, 10:30-12:00:15", ["20240102T030405Z", "10:30Z", "10:30-12:00:15"]),
        ("1e-5, 2.5e10, 6.022E23 and 1e, 5th", ["1e-5", "2.5e10", "6.022E23"]),
        ("US$250, CA$1,000.50, but US$1.5bn and $3.99", ["US$250", "CA$1,000.50", "3.99"]),
        (r"One\nLine\r\n- \tÄpfel", [r"\n", r"\r\n", r"\t"]),
        (r"In C:\new\Test is \name of \névé", [r"C:\new\Test", "\\", "\\"]),
        ("12 345 678 of 1\u202f000", ["12 345 678", "1\u202f000"]),
        ("Call +1 (555) 123-4567, (+49) 30 123456", ["+1 (555) 123-4567", "+49) 30 123456"]),
        ("Or +4930123456, +1 23, +12, not +1 2", ["+4930123456", "+1 23", "+12"]),
        ("At 56 he ran 42km, -10 degrees, 50% or 20.", ["56", "42", "-10", "50", "20"]),
        ("He is 56. She is 54.\n32 others are here.", ["56", "54", "32"]),
        ("(http://x.org/a_(b)_(c))).", ["http://x.org/a_(b)_(c)"]),
        ("%05.2f, %-+08d, %(a)03d, 3.0.1-rc2", ["%05.2f", "%-+08d", "%(a)03d", "3.0.1-rc2"]),
        ("+49 30 1234567, 192.168.0.1, -40.5", ["+49 30 1234567", "192.168.0.1", "-40.5"]),
        (
            "To DE89 3704 0044 0532 0130 00, GB29NWBK60161331926819",
            ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"],
        ),
        (
            "FR14 2004 1010 0505 0001 3M02 606 AB12 THIS THAT WORD",
            ["FR14 2004 1010 0505 0001 3M02 606", "AB12"],
        ),
        ("4111 1111 1111 1111, 4111-1111-1111-1111", ["4111 1111 1111 1111", "4111-1111-1111-1111"]),
        ("$1 moved $2 to $3; $4.50, $1a", ["$1", "$2", "$3", "4.50"]),
        ("$2 and $3, or $1.50", ["1.50"]),
        ("12B, 2FA, 3D, 10GB, but 3RD 1990S 2E 9AM 5th 3rd", ["12B", "2FA", "3D", "10GB"]),
        ("It is 20°C, -5,5 °C, 7 °F or 20° there, 45°Nord", ["20°C", "-5,5 °C", "7 °F", "20", "45"]),
        ("100km, 2.5 GB, 100% and $1,000", ["100", "2.5", "100", "1,000"]),
        ("Hi 👋🏽👨\u200d👩\u200d👧 🇩🇪 1\ufe0f\u20e3 ☀\ufe0f :-)", None),
        ("Two \ue000\ue001 of ours", ["\ue000\ue001"]),
        ("%s%s <b>{x}</b>", ["%s%s", "<b>{x}</b>"]),
    ],
)
def test_what_must_not_change_is_found(text: str, spans: list[str] | None) -> None:
    expected = ["👋🏽👨\u200d👩\u200d👧", "🇩🇪", "1\ufe0f\u20e3", "☀\ufe0f", ":-)"]
    assert found(text) == (expected if spans is None else spans)


@pytest.mark.parametrize(
    "text", ["Mu\u0308ller_24.pdf", "mu\u0308ller@x.de", "#Mu\u0308nchen", "ö_a\u0308", "n\u0303u\u0301()"]
)
def test_a_letter_of_two_characters_ends_no_span(text: str) -> None:
    assert found(f"See {text}, 12e\u0301 or 1\ufe0f\u20e3.") == [text, "1\ufe0f\u20e3"]


@pytest.mark.parametrize(
    ("language", "spans"), [("de", ["10", "1984", "18"]), ("en", ["20", "10", "1984", "18"])]
)
def test_a_stop_makes_an_ordinal_of_a_short_number_where_the_language_writes_them_so(
    language: str, spans: list[str]
) -> None:
    text = "Am 20. Oktober waren es 10 Tage, 1984. Um 18."
    assert [text[slice(*span)] for span in protected_spans(text, language)] == spans


def test_words_that_german_writes_for_both_sexes_are_no_names() -> None:
    text = "LehrerInnen, ein StudentIn, BürgerInnenvereine der UdSSR nutzen GitHub, PhpInfo und InDesign."
    assert [text[slice(*span)] for span in protected_spans(text, "de")] == ["GitHub", "PhpInfo", "InDesign"]


def test_a_colon_that_french_sets_apart_makes_no_name_of_the_word_behind_it() -> None:
    text = "Remarque :voici :first_name et :ok:"
    assert [text[slice(*span)] for span in protected_spans(text, "fr")] == [":first_name", ":ok:"]


@pytest.mark.parametrize(
    "text",
    [
        "He and/or she, e.g. at 5 km/h, i.e. fast.",
        "The 3rd of May in the 1990s, for 2 of us, 5th street.",
        "It is 9 percent: <b, c>d, x & y.",
        "A (remark in brackets) [and more] (so).",
        "Well-known half-truths -- really... Don't!",
        "“Quotes” – and «others»; naïve façades, Öl, ß.",
        "Version 2. That is chapter 3. Okay.",
        "8% discount, 5% sales, U.S. and U.N.",
        "1) One 2) Two 3] Three",
        "Attention ! Note : so, a:b, :, ::",
        "z.B. usw. d.h. Dr. Smith vs. Mr. Jones",
        "Nachts: schlafen; tags: wachen",
        "The file(s) of Kunde(n), étudiant(e)s, a(n) apple, word(s, ending) and f(x)",
        "l'usine(d'acier) z.B.(so) so(far, so), one (a) Absatz(zwei)",
    ],
)
def test_ordinary_words_are_the_model_s(text: str) -> None:
    assert found(text) == []


SOME = st.sampled_from(
    [
        "a",
        "B",
        "1",
        "23",
        " ",
        ".",
        ",",
        ":",
        "-",
        "@",
        "/",
        "{",
        "}",
        "<",
        ">",
        "%",
        "$",
        "_",
        "😀",
        "\ue000",
        "é",
    ]
)


@given(st.lists(SOME, max_size=40).map("".join))
def test_spans_are_disjoint_in_order_and_without_white_space_at_their_edges(text: str) -> None:
    end = -1
    for start, stop in protected_spans(text):
        assert end < start < stop <= len(text)  # two that touch are one
        assert text[start:stop] == text[start:stop].strip()
        end = stop


@given(st.lists(SOME, max_size=40).map("".join))
def test_characters_that_are_taken_for_symbols_are_always_found(text: str) -> None:
    spans = protected_spans(text)
    places = [place for place, character in enumerate(text) if character == "\ue000"]
    assert all(any(start <= place < end for start, end in spans) for place in places)


# Each was, or looks, as if it could be read in many ways.
UNITS = [
    "+" + "1" * 34 + "x ",
    "+1",
    "+1 (",
    ".1",
    "1.",
    "%0",
    "%(a)0",
    "<a b=",
    "{{",
    "<!--",
    "`a",
    "a@",
    "_",
]
UNITS += ["a.", "aA", "1:", "1e", "0:", "\\n", "http://a)", "1-1x", "a=b ", "\ue000", "--a", "☺", "1 111 "]
UNITS += ["a(", 'a("', "a(1,", "a_(", "a(b(c),", "a('b',", "A+", "A#", "A.NET", "a(b=", "a.b(c, "]


def seconds(text: str) -> float:
    """Of processor time, whoever else is at work: the least of three."""
    taken = list[float]()
    for _ in range(3):
        before = time.process_time()
        protected_spans(text)
        taken.append(time.process_time() - before)
    return min(taken)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["", "http://a", "."])
def test_time_grows_as_a_text_does(unit: str, start: str) -> None:
    short, long = (start + unit * (size // len(unit)) + "!" for size in (2_000, 16_000))
    taken = seconds(long)
    assert taken < 0.5
    assert taken < 24 * seconds(short) + 0.02  # 64 times it would be if it were quadratic


LONG = ["http://a" + closer * 50_000 for closer in (")", "]}", ").", "()")]
LONG += [start + "a" * 50_000 + "!" for start in ("a(", "a(1, ", "a_b(", "A+", "a('", 'a("', "a(b=")]
LONG += [start + "0" * 30_000 + "!" for start in ("%", "%(a)", "%1$", "1.", "+")]
LONG += [
    start + "A" * 30_000 + "_!" for start in ("Aa", "1", ":a", "%a", "$a", "[[", "__", "AA11 ", "*|", "<%")
]
_UNITS_OF_PLACEHOLDERS = (
    ":a",
    "%a",
    "$a",
    "[[a",
    "*|a",
    "<%a",
    "<?a",
    "__a",
    "AaB",
    "1A",
    "AA11",
    "1111 ",
    "$1",
    "*a",
    "_a",
    "[b",
)
LONG += [unit * 8_000 + "_!" for unit in _UNITS_OF_PLACEHOLDERS]


@pytest.mark.parametrize("text", LONG, ids=[text[:12] for text in LONG])
def test_long_rows_of_marks_numbers_and_halves_of_placeholders_take_little_time(text: str) -> None:
    assert seconds(text) < 0.5
