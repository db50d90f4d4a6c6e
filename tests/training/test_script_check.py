"""Scripts of letters."""

import pytest

from training.script_check import SCRIPTS, Script, share_of_letters


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("Latin", "Grüße, Ærø; ﬁn"),
        ("Latin", "ＡＢＣ"),
        ("Cyrillic", "Привет, мир!"),
        ("Greek", "Γειά σου"),
        ("Arabic", "مرحبا"),
        ("Hebrew", "שלום"),
        ("Devanagari", "नमस्ते"),
        ("Chinese", "你好。"),
        ("Japanese", "東京へようこそ、カタカナー"),
        ("Japanese", "ｶﾀｶﾅ"),
        ("Korean", "안녕하세요"),
        ("Thai", "สวัสดี"),
        ("Georgian", "გამარჯობა"),
        ("Ethiopic", "ሰላም"),
        ("Myanmar", "မင်္ဂလာပါ"),
        ("Sinhala", "ආයුබෝවන්"),
        ("Armenian", "Բարեւ"),
    ],
)
def test_letters_are_of_their_script_and_of_few_others(script: Script, text: str) -> None:
    assert share_of_letters(text, script) == 1.0
    others = [other for other in SCRIPTS if other != script and share_of_letters(text, other) > 0]
    assert set(others) <= {"Chinese", "Japanese", "Korean"}


def test_shares_are_of_letters_only() -> None:
    assert share_of_letters("ab вг 12!", "Latin") == share_of_letters("ab вг 12!", "Cyrillic") == 0.5
    assert share_of_letters("12:30 🙂", "Greek") == 1.0
    assert share_of_letters("", "Greek") == 1.0
    assert share_of_letters("abc", "Greek") == 0.0


def test_every_script_is_one_that_unicode_names() -> None:
    """Each has a letter: a misspelled name would drop every pair."""
    letters = [chr(code) for code in range(0x20000) if chr(code).isalpha()]
    assert [script for script in SCRIPTS if not any(share_of_letters(one, script) for one in letters)] == []
