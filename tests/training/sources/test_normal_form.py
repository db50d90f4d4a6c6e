"""What looks the same is spelled the same; what differs only in case, width or marks is recognised."""

import pytest

from training.corpus import Pair
from training.sources.normal_form import (
    comparison_key,
    digest,
    lightly_normalised,
    normalised,
    num_tokens,
    num_words,
)


def test_nothing_invisible_is_left() -> None:
    assert normalised(Pair("so\u00adft\u200b\u00a0 \x07a\u0308", " b\tc ")) == Pair("soft ä", "b c")


def test_published_text_keeps_what_is_invisible() -> None:
    assert lightly_normalised(Pair("so\u00adft  x", "a\u0308")) == Pair("so\u00adft x", "ä")


@pytest.mark.parametrize("text", ["Let me OUT!", "let me out", "„Let ｍｅ out.“", "Let me out …"])
def test_texts_that_say_the_same_have_one_key(text: str) -> None:
    assert comparison_key(text) == "let me out"


def test_words_are_counted_without_marks_that_stand_alone() -> None:
    assert num_words("Êtes-vous énervés ?") == 2
    assert num_tokens("I'm here.") == 5


def test_the_digest_depends_on_salt_and_pair_alone() -> None:
    """The orders of published files hang on these numbers, so one is written down."""
    assert digest("order-v1", Pair("a", "b")).startswith("4eb2796d9487a5cd")
    assert digest("order-v1", Pair("a", "b")) != digest("dev-v1", Pair("a", "b"))
    assert digest("x", Pair("a", "b")) != digest("x", Pair("b", "a"))
