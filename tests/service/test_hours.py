"""Hours of an English half day and of a French day, in other languages."""

import pytest

from service.hours import HALF_DAY, WITH_H, WITH_UHR, in_24_hours, written_anew
from service.masking import mask
from service.protected_spans import protected_spans
from service.unmasking import restored

SYMBOLS = "\ue000\ue001\ue002\ue003\ue004\ue005"


@pytest.mark.parametrize("half", ["am", "AM", "a.m.", "a.m"])
@pytest.mark.parametrize("hour", range(1, 13))
def test_every_hour_has_its_place_in_the_day(hour: int, half: str) -> None:
    morning = hour % 12
    evening = half.replace("a", "p").replace("A", "P")
    assert in_24_hours(f"{hour}:05 {half}") == f"{morning}:05"
    assert in_24_hours(f"{hour:02d} {evening}") == f"{morning + 12}:00"
    assert in_24_hours(f"{hour}.59{half}") == f"{morning}:59"


@pytest.mark.parametrize(
    "text", ["13 pm", "0 am", "3:60 pm", "3:30", "pm", "3 p", "at 3 pm", "`3 pm`", "<3 pm", "003 pm", ""]
)
def test_any_other_text_stays(text: str) -> None:
    assert in_24_hours(text) == text


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("<b>3 pm</b>", "<b>15:00</b>"),
        ("8 p.m.<br>", "20:00<br>"),
        ("10h30😀", "10:30😀"),
        ("{at}20 Uhr", "{at}20:00"),
        ("2:30:15 pm", "14:30:15"),
    ],
)
def test_marks_that_touch_an_hour_stay_beside_it(text: str, changed: str) -> None:
    assert in_24_hours(text) == changed


@pytest.mark.parametrize("mark", [".", "!", "<b>", "a.", "a!", "{x}"])
def test_a_long_row_of_marks_is_read_in_one_go(mark: str) -> None:
    text = "a" + mark * 100_000 + "`"
    assert in_24_hours(text) == text  # with the square of its length it would take minutes


@pytest.mark.parametrize("hour", range(24))
def test_french_and_german_hours_are_those_of_the_day(hour: int) -> None:
    assert in_24_hours(f"{hour} h 05") == in_24_hours(f"{hour:02d}h05") == f"{hour}:05"
    assert in_24_hours(f"{hour}\u00a0h") == f"{hour}:00"
    assert in_24_hours(f"{hour} heures 05") == f"{hour}:05"
    assert in_24_hours(f"{hour:02d} heures") == f"{hour}:00"
    assert in_24_hours(f"{hour}.05 Uhr") == in_24_hours(f"{hour:02d}:05 Uhr") == f"{hour}:05"
    assert in_24_hours(f"{hour} Uhr") == f"{hour}:00"
    assert in_24_hours(f"{hour} Uhr 45") == f"{hour}:45"


@pytest.mark.parametrize(
    ("source", "target", "answer"),
    [
        ("en", "de", HALF_DAY),
        ("en", "fr", HALF_DAY),
        ("en", "hi", None),
        ("en", None, None),
        ("fr", "en", WITH_H),
        ("fr", "fr", None),
        ("fr", None, None),
        ("de", "fr", WITH_UHR),
        ("de", "de", None),
        ("it", "de", None),
        (None, "de", None),
    ],
)
def test_they_change_between_languages_that_write_them_differently(
    source: str, target: str | None, answer: str | None
) -> None:
    assert written_anew(source, target) == answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("À 9 h, à 18 h 30 et à 7h.", ["9 h", "18 h 30", "7h"]),
        ("Venez à 20 h devant le cinéma.", ["20 h"]),
        ("De 14h30 à 16\u00a0h 45.", ["14h30", "16\u00a0h 45"]),
        ("Pendant 18 h, à 3 h de Paris, à 2 h d'ici, 25 h 30", ["18", "25", "30"]),
        ("110 km/h, 18 h 75, 3 heures", ["110", "18", "75"]),
        ("Pendant 1 h 30, en 8 h 45, ça dure 2h15", ["30", "45"]),
        (
            "Marathon : 2 h 05 min 12 s, 8 h 45 minutes, 7 h 30 par jour, 9 h 15/jour",
            ["05", "12", "45", "30", "15"],
        ),
        ("Nous attendons 1 h 30. Pendant environ 7 h 30, plus de 8 h 30, pendant\u00a01 h 30", ["30"] * 4),
        ("Limitée à 2 h, réduit à 7 h par jour, réduites à 8 h 30, jusqu'à 3 h", ["30"]),
        ("Il est 3 h 20, vers 5 h 10, entre 4 h 30 et 6 h", ["3 h 20", "5 h 10", "4 h 30"]),
        ("Jusqu'à 18 h, à 8 h du matin, à 2 h du centre, à 2 h 30 de Paris", ["18 h", "8 h", "30"]),
        ("De 9 h 30 à 18 h", ["9 h 30", "18 h"]),
        (
            "À 20 heures, vers 17\u00a0heures, jusqu'à 13 heures, à 8 heures 30, il est 15 heures 10",
            ["20 heures", "17\u00a0heures", "13 heures", "8 heures 30", "15 heures 10"],
        ),
        (
            "De 14 heures à 18 heures, entre 13 heures et 15 heures",
            ["14 heures", "18 heures", "13 heures", "15"],
        ),
        ("À 9 heures, il est 14 heures, le vol de 15 heures, à 1 heure", ["14", "15"]),
        (
            "À 15 heures de Paris, limité à 20 heures, à 18 heures par jour, pendant 14 heures",
            ["15", "20", "18", "14"],
        ),
        ("À 15 heures 30 minutes, à 20 heures 5, à 24 heures", ["15", "30", "20", "24"]),
    ],
)
def test_french_hours_are_found_where_they_are_no_length_of_time(text: str, found: list[str]) -> None:
    assert [text[slice(*span)] for span in protected_spans(text, "fr", "en")] == found


def test_german_hours_are_found_and_so_are_ordinals_beside_them() -> None:
    text = "Am 20. Mai um 18 Uhr, 9.30 Uhr, 7:05 Uhr; 18-Uhr-Zug, 25 Uhr, 8 Uhrmacher, Uhr 3."
    spans = [text[slice(*span)] for span in protected_spans(text, "de", "en")]
    assert spans == ["18 Uhr", "9.30 Uhr", "7:05 Uhr", "18", "25"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Um 8 Uhr 30 ab, um 20 Uhr 15.", ["8 Uhr 30", "20 Uhr 15"]),
        ("Um 8 Uhr 2024, um 8 Uhr 15 %", ["8 Uhr", "2024", "8 Uhr", "15"]),
        ("Nach 8 Uhr 30 Minuten", ["30"]),
        ("8.30 Uhr 15", ["8.30 Uhr", "15"]),
    ],
)
def test_minutes_may_stand_behind_the_german_word(text: str, found: list[str]) -> None:
    assert [text[slice(*span)] for span in protected_spans(text, "de", "en")] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("At 3:30 pm, 10 a.m. or 11.45 PM; at 15:30.", ["3:30 pm", "10 a.m.", "11.45 PM", "15:30"]),
        ("The 12 amps of 10 PMs, 13:15 pm, $3 pm", ["12", "10", "13:15"]),
        ("From 9 am-5 pm, 3pm", ["9 am", "5 pm", "3pm"]),
        ("In chapter 5 A. M. Turing, of these 3 am I, €5 pm, #5 pm, 2:30:15 pm", ["2:30:15 pm"]),
        ("See `4 pm` at http://x.org/3pm", ["`4 pm`", "http://x.org/3pm"]),
        ("We meet at 3 p.m.", ["3 p.m"]),  # the stop is the sentence's too
    ],
)
def test_hours_are_found_whole_where_they_change(text: str, found: list[str]) -> None:
    assert [text[slice(*span)] for span in protected_spans(text, "en", "de")] == found


def test_elsewhere_numbers_are_copied_and_halves_left_to_the_model() -> None:
    text = "At 3:30 pm, 10 a.m. or 9 pm"
    assert [text[slice(*span)] for span in protected_spans(text, "en", "hi")] == ["3:30", "10"]


def test_the_model_reads_a_symbol_and_the_reader_the_hour_of_the_day() -> None:
    text = "We meet at 8 p.m. or at 11:45 pm."
    masked = mask(text, protected_spans(text, "en", "de"), SYMBOLS)
    assert masked is not None
    assert masked.text == "We meet at \ue000 or at \ue001."
    assert (
        restored(masked, "Wir treffen uns um \ue000 oder um \ue001.")
        == "Wir treffen uns um 20:00 oder um 23:45."
    )
    assert [text[slice(*copy.span)] for copy in masked.copies] == ["8 p.m.", "11:45 pm"]
