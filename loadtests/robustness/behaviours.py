"""A list of what is expected of a model beyond its scores: the same sentence in small letters, in capitals,
without its stop; names, numbers, addresses, pictures and letters that it has never seen.

The kinds of test are those of Ribeiro et al. 2020 ("Beyond Accuracy: Behavioral Testing of NLP Models with
CheckList"), section 2: changes that must not matter, and least demands. A sentence stands in three languages;
of a translation its words are expected, any of several, whatever their case and their endings. Knows texts.
Must not know: models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

STOPS = ".!?…"
CAPITALS_SHARE = 0.9  # of the letters of a translation of capitals


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in one language, and the beginnings of words by which it is known, each in several ways."""

    text: str
    words: tuple[str, ...]  # ways are separated by "/"


_SENTENCES: tuple[dict[str, Said], ...] = (
    {
        "en": Said("My brother repairs old bicycles.", ("brother", "repair/fix", "old", "bicycle/bike")),
        "de": Said("Mein Bruder repariert alte Fahrräder.", ("bruder", "reparier", "alte", "räder")),
        "fr": Said(
            "Mon frère répare de vieux vélos.", ("frère", "répar", "vieux/vieil/ancien", "vélo/bicyclette")
        ),
    },
    {
        "en": Said("I have no time today.", ("time", "today", "no/n't/not")),
        "de": Said("Ich habe heute keine Zeit.", ("zeit", "heute", "keine")),
        "fr": Said("Je n'ai pas le temps aujourd'hui.", ("temps", "aujourd", "pas")),
    },
    {
        "en": Said("Where is the train station?", ("where", "station")),
        "de": Said("Wo ist der Bahnhof?", ("wo", "bahnhof")),
        "fr": Said("Où est la gare ?", ("où", "gare/station")),
    },
    {
        "en": Said("My father works in a hospital.", ("father/dad", "work", "hospital")),
        "de": Said("Mein Vater arbeitet in einem Krankenhaus.", ("vater", "arbeit", "krankenhaus/spital")),
        "fr": Said("Mon père travaille dans un hôpital.", ("père", "travail", "hôpital")),
    },
    {
        "en": Said("We bought bread and milk.", ("bought/buy/purchased", "bread", "milk")),
        "de": Said("Wir haben Brot und Milch gekauft.", ("brot", "milch", "kauf")),
        "fr": Said("Nous avons acheté du pain et du lait.", ("achet", "pain", "lait")),
    },
    {
        "en": Said("The soup is too hot for the children.", ("soup", "hot", "child/kid")),
        "de": Said("Die Suppe ist zu heiß für die Kinder.", ("suppe", "heiß", "kind")),
        "fr": Said("La soupe est trop chaude pour les enfants.", ("soupe/potage", "chaud", "enfant")),
    },
    {
        "en": Said("She speaks English and French.", ("she", "english", "french")),
        "de": Said("Sie spricht Englisch und Französisch.", ("spr", "englisch", "französisch")),
        "fr": Said("Elle parle anglais et français.", ("parl", "anglais", "français")),
    },
    {
        "en": Said("Please open the window.", ("please", "open", "window")),
        "de": Said("Bitte öffne das Fenster.", ("bitte", "öffn/aufmach/mach", "fenster")),
        "fr": Said("Ouvre la fenêtre, s'il te plaît.", ("ouvr", "fenêtre", "plaît/plait/veuillez")),
    },
    {
        "en": Said("I would like a cup of coffee.", ("like/want", "cup", "coffee")),
        "de": Said("Ich möchte eine Tasse Kaffee.", ("möchte/hätte/will", "tasse", "kaffee")),
        "fr": Said("Je voudrais une tasse de café.", ("voudr/aimer/veux", "tasse", "café")),
    },
    {
        "en": Said("He lost his key yesterday.", ("lost", "key", "yesterday")),
        "de": Said("Er hat gestern seinen Schlüssel verloren.", ("gestern", "schlüssel", "verl")),
        "fr": Said("Il a perdu sa clé hier.", ("perdu", "clé/clef", "hier")),
    },
    {
        "en": Said("My sister eats an egg.", ("sister", "eat", "egg")),
        "de": Said("Meine Schwester isst ein Ei.", ("schwester", "isst/ißt/essen", "ei")),
        "fr": Said("Ma sœur mange un œuf.", ("sœur/soeur", "mange", "œuf/oeuf")),
    },
)
_WITH_PIECE = {
    "en": ("{} lives in Berlin.", "I know {} well.", "Have you seen {}?", "We talked about {} for an hour"),
    "de": ("{} wohnt in Berlin.", "Ich kenne {} gut.", "Hast du {} gesehen?", "Wir sprachen lange über {}"),
    "fr": ("{} habite à Berlin.", "Je connais bien {}.", "As-tu vu {} ?", "Nous avons parlé de {} longtemps"),
}
_PIECES = {
    "name": ("Peter", "Maria", "Anna Schmidt", "Łukasz", "Nguyễn Văn An", "Siobhán O'Brien", "Tom", "Björn"),
    "number": ("7", "42", "365", "1984", "3,141", "0.5", "25 000", "1/2"),
    "e-mail address": ("ann@example.org", "info+sales@shop.example.de"),
    "emoji": ("😀", "👍🏽", "👩‍💻", "🇩🇪"),
    "other script": ("東京", "Привет, мир", "नमस्ते", "Ωμέγα"),
    "URL": ("https://example.org/a?b=c&d=1", "www.example.com"),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A text and what is expected of its translation: `words` in any case, `keeps` exactly as often as in the
    text, and more by its kind."""

    kind: str
    text: str
    words: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()

    def fault(self, translation: str) -> str:
        """What is wrong with a translation; empty where nothing is."""
        lost = [piece for piece in self.keeps if translation.count(piece) != self.text.count(piece)]
        if lost:
            return f"{', '.join(lost)} not copied"
        folded = translation.casefold()
        missing = [
            ways for ways in self.words if not any(one.casefold() in folded for one in ways.split("/"))
        ]
        if missing:
            return f"no {', '.join(missing)}"
        return self._fault_of_kind(translation)

    def _fault_of_kind(self, translation: str) -> str:
        if self.kind == "no final stop" and translation.rstrip()[-1:] in STOPS:
            return "a stop was added"
        letters = [one for one in translation if one.isalpha()]
        if self.kind == "capitals" and sum(map(str.isupper, letters)) < CAPITALS_SHARE * len(letters):
            return "not in capitals"
        return ""


def behaviours(source: str, target: str) -> list[Behaviour]:
    """All that is expected of a direction. Raises ValueError for a language that has no sentences."""
    for field, language in (("source", source), ("target", target)):
        if language not in _WITH_PIECE:
            raise ValueError(f"{field} must be one of {', '.join(_WITH_PIECE)}, got {language!r}")
    return [*_of_sentences(source, target), *_of_pieces(source)]


def _of_sentences(source: str, target: str) -> Iterator[Behaviour]:
    for said in _SENTENCES:
        text, words = said[source].text, said[target].words
        yield Behaviour("plain", text, words)
        yield Behaviour("small letters", text.lower(), words)
        yield Behaviour("capitals", text.upper(), words)
        yield Behaviour("no final stop", text.rstrip(STOPS + " "), words)


def _of_pieces(source: str) -> Iterator[Behaviour]:
    for kind, pieces in _PIECES.items():
        for number, piece in enumerate(pieces):
            sentence = _WITH_PIECE[source][number % len(_WITH_PIECE[source])]
            yield Behaviour(kind, sentence.format(piece), keeps=(piece,))
