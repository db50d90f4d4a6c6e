"""A sentence that is too long is divided at the best place, and nothing of it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.long_sentences import IndivisibleError, divide


def length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def parts(text: str, limit: int) -> list[str]:
    return [text[start:end] for start, end in divide(text, (0, len(text)), length, limit)]


def test_a_short_sentence_stays_whole() -> None:
    assert parts("Short enough.", 13) == ["Short enough."]


def test_clauses_come_before_words() -> None:
    text = "We went there by train, because the car was broken"
    assert parts(text, 40) == ["We went there by train,", "because the car was broken"]


def test_a_clause_mark_near_an_edge_is_passed_over_for_a_word_gap_near_the_middle() -> None:
    assert parts("No, we went there on the first train that came", 30) == [
        "No, we went there on the",
        "first train that came",
    ]


def test_words_come_before_characters() -> None:
    assert parts("one two three four", 10) == ["one two", "three four"]


def test_chinese_clauses_need_no_space() -> None:
    assert parts("今天天气很好，我们去公园吧", 7) == ["今天天气很好，", "我们去公园吧"]


def test_a_word_without_end_is_cut_between_characters() -> None:
    assert parts("a" * 10, 4) == ["aa", "aaa", "aa", "aaa"]


def test_a_combining_mark_stays_with_its_letter() -> None:
    assert parts("aaae\u0301aaa", 5) == ["aaa", "e\u0301aaa"]


def test_a_vowel_sign_stays_with_its_letter() -> None:
    assert parts("नी" * 3, 3) == ["नी", "नी", "नी"]


def test_what_is_kept_is_cut_only_where_nothing_else_can_be() -> None:
    def read(text: str, kept: list[tuple[int, int]]) -> list[str]:
        return [text[slice(*span)] for span in divide(text, (0, len(text)), length, 8, kept)]

    assert read("东西共12345678件货", [(3, 11)]) == ["东西共", "12345678", "件货"]
    assert read("12345678901", [(0, 11)]) == ["12345", "678901"]


def test_parts_of_one_emoji_stay_together() -> None:
    family = "👩\u200d👩\u200d👧"
    assert any(family in part for part in parts("aaaa" + family + "aaaa", 9))


def test_a_character_of_too_many_tokens_is_refused_with_its_place() -> None:
    with pytest.raises(IndivisibleError, match="characters 1 to 2 alone are 18 tokens") as caught:
        divide("a\ufdfa", (0, 2), lambda span: sum([1, 18][span[0] : span[1]]), 10)
    assert (caught.value.span, caught.value.num_tokens) == ((1, 2), 18)


@given(st.text(min_size=1), st.integers(1, 20))
def test_parts_are_short_in_order_and_leave_out_only_white_space(text: str, limit: int) -> None:
    spans = divide(text, (0, len(text)), length, limit)
    assert all(0 < end - start <= limit for start, end in spans)
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    assert edges == sorted(edges)
    between = "".join(text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2))
    assert not between.strip()


def test_many_cuts_take_little_time() -> None:
    assert len(parts("a" * 100_000, 10)) >= 10_000
