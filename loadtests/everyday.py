"""A small grammar of everyday English: phrases of a few words, and clauses of four and more.

Knows: words and how they go together. Must not know: which lengths are wanted in which numbers.
"""

from __future__ import annotations

import random

LONGEST_PHRASE = 3
LINKS = ["and", "but", "because", "so", "while", "although", "and then", "since"]

_PHRASES = {
    2: ["Good morning!", "Thank you!", "Please wait.", "Not yet.", "Hurry up!", "I agree.", "Who knows?"],
    3: ["Where are you?", "I am tired.", "Close the door.", "Is that yours?", "We need help."],
}  # fmt: skip
_PEOPLE = [
    "my mother", "the old man", "our neighbour", "the teacher", "his sister", "a young woman", "the doctor",
    "my best friend", "the children", "everybody", "the boy", "her husband", "Tom", "Mary", "a tourist",
]  # fmt: skip
_PAST = [
    "bought", "found", "lost", "forgot", "needed", "wanted", "saw", "opened", "sold", "cleaned", "liked",
    "borrowed", "broke", "repaired", "carried", "showed me", "brought us", "looked for", "asked for",
]  # fmt: skip
_THINGS = [
    "a book", "the key", "a cup of coffee", "the newspaper", "some bread", "a ticket", "the red umbrella",
    "a letter", "two apples", "the kitchen window", "an old bicycle", "a new car", "his telephone",
    "a warm coat", "the wrong suitcase", "three bottles of water", "a small present", "the map of the city",
]  # fmt: skip
_DOINGS = [
    "to read the letter", "to learn German", "to cook dinner for the whole family", "to go home", "to sleep",
    "to wait for the bus", "to write to the bank", "to travel by train", "to help us", "to speak more slowly",
]  # fmt: skip
_WANTING = ["has to", "would like", "is trying", "has decided", "was not able", "promised", "forgot"]
_PLACES = [
    "at the station", "in the garden", "near the river", "at school", "in a small town", "at the market",
    "behind the house", "on the table in the living room", "in the middle of the street", "at work",
]  # fmt: skip
_TIMES = [
    "yesterday", "this morning", "last week", "in the evening", "every day", "two years ago", "after lunch",
    "before the rain began", "on Monday", "at half past seven", "during the summer holidays",
]  # fmt: skip
_MANNERS = [
    "quickly",
    "again",
    "without a word",
    "for the first time",
    "by mistake",
    "very carefully",
    "alone",
]


def phrase(rng: random.Random, num_words: int) -> str:
    """A whole utterance of two or three words."""
    return rng.choice(_PHRASES[num_words])


def clause(rng: random.Random, num_words: int) -> list[str]:
    """Somebody does something; place, time and manner are added while there is room for them."""
    words = rng.choice([_did, _wants])(rng)
    extras = [rng.choice(_PLACES), rng.choice(_TIMES), rng.choice(_MANNERS)]
    rng.shuffle(extras)
    for extra in extras:
        if len(words) + len(extra.split()) <= num_words:
            words += extra.split()
    return words


def _did(rng: random.Random) -> list[str]:
    return f"{rng.choice(_PEOPLE)} {rng.choice(_PAST)} {rng.choice(_THINGS)}".split()


def _wants(rng: random.Random) -> list[str]:
    wanting, doing = rng.choice(_WANTING), rng.choice(_DOINGS)
    if wanting == "has to":
        doing = doing.removeprefix("to ")
    return f"{rng.choice(_PEOPLE)} {wanting} {doing}".split()
