"""Paragraphs are divided only where both sides plainly agree."""

import pytest

from training.corpus import Pair
from training.sources.sentences import sentence_pairs


def test_equally_many_sentences_are_paired_one_by_one() -> None:
    pair = Pair("It rains. Do you see? Yes!", "Es regnet. Siehst du es? Ja!")
    assert list(sentence_pairs(pair)) == [
        Pair("It rains.", "Es regnet."), Pair("Do you see?", "Siehst du es?"), Pair("Yes!", "Ja!"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("It rains. It pours.", "Es regnet und es gießt."),
        ("It rains. It pours. Really.", "Es regnet. Es gießt."),
        ("Yes indeed it does. A word.", "Ja. Ein Wort, und noch viele mehr, die hier stehen."),
        ("See e.g. Berlin.", "Siehe z. B. Berlin."),
        ("On 3. May it rained.", "Am 3. Mai regnete es."),
        ("Ask Dr. Smith.", "Frag Dr. Smith."),
    ],
)
def test_what_is_doubtful_stays_whole(source: str, target: str) -> None:
    assert list(sentence_pairs(Pair(source, target))) == [Pair(source, target)]


def test_a_quotation_mark_stays_with_the_sentence_that_it_closes() -> None:
    found = list(sentence_pairs(Pair('He said "go." We went.', "Er sagte: „Geht.“ Wir gingen.")))
    assert found == [Pair('He said "go."', "Er sagte: „Geht.“"), Pair("We went.", "Wir gingen.")]
