"""Sentences with pieces that must come back unchanged: as many as wanted, the same ones for the same seed.

Knows: sentences in three languages, how pieces are put into them. Must not know: models, what is copied how.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from loadtests.robustness.fillers import FILLERS

# Each stands for a piece of any kind; where there are two, both have the same kind.
_SENTENCES = {
    "en": (
        "Please look at {} before you start.",
        "I don't know what {} means.",
        "We found {} on the first page.",
        "My brother wrote {} on the wall.",
        "You can use {} or {} for this.",
        "She asked me about {} yesterday.",
        "There is a mistake in {}.",
        "{} is not what I was looking for.",
        "Do you remember {}?",
        "The answer is {}, not {}.",
        "Tom gave me {}, and I was very happy.",
        "It says {} here!",
        "I saw {} when I came home",
    ),
    "de": (
        "Bitte sieh dir {} an, bevor du anfängst.",
        "Ich weiß nicht, was {} bedeutet.",
        "Wir haben {} auf der ersten Seite gefunden.",
        "Mein Bruder hat {} an die Wand geschrieben.",
        "Du kannst dafür {} oder {} nehmen.",
        "Sie hat mich gestern nach {} gefragt.",
        "In {} ist ein Fehler.",
        "{} ist nicht das, was ich gesucht habe.",
        "Erinnerst du dich an {}?",
        "Die Antwort ist {}, nicht {}.",
        "Tom gab mir {}, und ich war sehr froh.",
        "Hier steht {}!",
        "Ich sah {}, als ich nach Hause kam",
    ),
    "fr": (
        "Regarde {} avant de commencer.",
        "Je ne sais pas ce que {} veut dire.",
        "Nous avons trouvé {} sur la première page.",
        "Mon frère a écrit {} sur le mur.",
        "Tu peux utiliser {} ou {} pour cela.",
        "Elle m'a demandé {} hier.",
        "Il y a une erreur dans {}.",
        "{} n'est pas ce que je cherchais.",
        "Est-ce que tu te souviens de {} ?",
        "La réponse est {}, pas {}.",
        "Tom m'a donné {}, et j'étais très heureux.",
        "Il est écrit {} ici !",
        "J'ai vu {} quand je suis rentré",
    ),
}
LANGUAGES = tuple(_SENTENCES)


@dataclass(frozen=True, slots=True)
class CopyCase:
    """A text and the `pieces` of one kind that its translation has exactly as often as the text has."""

    kind: str
    text: str
    pieces: tuple[str, ...]

    def fault(self, translation: str) -> str:
        """What is wrong with a translation; empty where nothing is."""
        wrong = [piece for piece in self.pieces if translation.count(piece) != self.text.count(piece)]
        return f"{', '.join(wrong)} not copied" if wrong else ""


def copy_cases(language: str, count: int, seed: int = 0) -> list[CopyCase]:
    """Kinds and sentences in turns. Raises ValueError for a language without sentences."""
    if language not in _SENTENCES:
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
    draw, kinds, sentences = random.Random(seed), list(FILLERS), _SENTENCES[language]
    return [_case(draw, kinds[number % len(kinds)], draw.choice(sentences)) for number in range(count)]


def _case(draw: random.Random, kind: str, sentence: str) -> CopyCase:
    pieces = tuple(FILLERS[kind](draw) for _ in range(sentence.count("{}")))
    return CopyCase(kind, sentence.format(*pieces), pieces)
