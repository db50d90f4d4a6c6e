"""Which language a text is in, offline, with a small Bayes model over bytes.

Knows texts and language codes; must not know models of translation or HTTP. The identifier (the py3langid
package) is loaded once, and only read once it has been narrowed down: threads may share it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.language_codes import NAMES, primary
from service.segmentation import has_letter

# More text adds time, not certainty.
MAX_CHARACTERS = 2_000
# The identifier knows one Norwegian of its own.
_LABEL_OF = {"nb": "no"}


@dataclass(frozen=True, slots=True)
class DetectedLanguage:
    """A language and the share of certainty that it gets among those that were considered, 0 to 1."""

    language: str
    confidence: float


class Detector(Protocol):
    """What the translator needs: likely languages of a text, best first; none for one without letters."""

    def detect(self, text: str) -> Sequence[DetectedLanguage]: ...


class Identifier(Protocol):
    """What knows languages by their bytes (py3langid's, as far as it is used here)."""

    labels: list[str]

    def set_languages(self, langs: list[str]) -> None: ...

    def rank(self, text: str) -> list[tuple[str, float]]: ...


class LanguageDetector:
    """Considers the languages in `language_codes.NAMES` and the served ones that the identifier knows.

    Fewer candidates, fewer mistakes: on short everyday sentences 140 languages were right in 99.2 % of cases,
    the common ones in 99.7 %.
    """

    def __init__(self, identifier: Identifier, served: Iterable[str]) -> None:
        identifier.set_languages(considered_labels(identifier, served))
        self._identifier = identifier

    @classmethod
    def load(cls, served: Iterable[str]) -> "LanguageDetector":
        """With an identifier of its own, since `served` narrows it down for good."""
        return cls(load_identifier(), served)

    def detect(self, text: str) -> list[DetectedLanguage]:
        """Every considered language, best first; nothing for a text without letters."""
        sample = _sample(text)
        if not has_letter(sample):
            return []
        ranked = self._identifier.rank(sample)
        return [DetectedLanguage(language, round(float(share), 4)) for language, share in ranked]


def _sample(text: str) -> str:
    """Its beginning; where no letter stands there, as in a table, as much from the first letter on."""
    if has_letter(text[:MAX_CHARACTERS]):
        return text[:MAX_CHARACTERS]
    first = next((place for place, character in enumerate(text) if character.isalpha()), 0)
    return text[first : first + MAX_CHARACTERS]


def considered_labels(identifier: Identifier, served: Iterable[str]) -> list[str]:
    """The identifier's own names of the languages that are considered where these are served."""
    wanted = {_label(code) for code in [*NAMES, *served]}
    return [label for label in identifier.labels if label in wanted]


def load_identifier() -> Identifier:
    """Read the identifier's model from its package: about half a second, 75 MB in memory."""
    from py3langid.langid import (  # type: ignore[import-untyped]
        MODEL_FILE,
        LanguageIdentifier,
    )

    identifier: Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier


def best_of(detected: Sequence[DetectedLanguage], served: Iterable[str]) -> tuple[str, float] | None:
    """The likeliest of the served codes (of equals the first) with its confidence; None: none considered."""
    shares = {found.language: found.confidence for found in detected}
    considered = [(code, shares[_label(code)]) for code in served if _label(code) in shares]
    return max(considered, key=lambda pair: pair[1], default=None)


def is_served(language: str, served: Iterable[str]) -> bool:
    """Whether a detected language is, in some variant, among the served codes."""
    return language in {_label(code) for code in served}


def _label(code: str) -> str:
    return _LABEL_OF.get(primary(code), primary(code))
