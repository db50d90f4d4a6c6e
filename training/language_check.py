"""Whether a text is in the language that it should be in, by the same identifier that the server uses.

Knows: language codes, the py3langid package. Must not know: pairs, files, translation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from training.errors import RecipeError

# Shorter texts ("OK", "Hotel", a name) tell too little of their language.
MIN_LETTERS = 20
# More text adds time, not certainty.
MAX_CHARACTERS = 500
# The identifier knows one Norwegian, and these neighbours no better than people do from a sentence.
_SAME = {"nb": "no", "nn": "no"}


class Identifier(Protocol):
    """What knows languages by their bytes (py3langid's, as far as it is used here)."""

    @property
    def labels(self) -> Sequence[str]: ...

    def rank(self, text: str) -> list[tuple[str, float]]: ...


class LanguageCheck:
    """Says of a text whether it is plainly in another language than `language`."""

    def __init__(self, identifier: Identifier, language: str, min_probability: float) -> None:
        """Raises `RecipeError` for a language that the identifier does not know."""
        self._identifier, self._min_probability = identifier, min_probability
        code = language.lower().replace("_", "-").partition("-")[0]
        self._label = _SAME.get(code, code)
        if self._label not in identifier.labels:
            known = ", ".join(sorted(identifier.labels))
            raise RecipeError(
                "data.min_language_probability must be left out with a language that cannot be identified "
                f"({known} can), got {language!r}"
            )

    def is_foreign(self, text: str) -> bool:
        """Whether the language's probability is below the bound; never for a text of few letters."""
        sample = text[:MAX_CHARACTERS]
        if sum(map(str.isalpha, sample)) < MIN_LETTERS:
            return False
        # Capitals are as foreign to the identifier as another language.
        probability = dict(self._identifier.rank(sample.lower() if sample.isupper() else sample))
        return probability[self._label] < self._min_probability


def load_identifier() -> Identifier:
    """Read the identifier's model from its package: about half a second, 75 MB in memory."""
    from py3langid.langid import (  # type: ignore[import-untyped]
        MODEL_FILE,
        LanguageIdentifier,
    )

    identifier: Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
