"""Makes the translator of the moment: one for each set of models that is served, one after the other.

    models change -> registry, detector's candidates, planner -> a new Translator; the old one stays as it is

Knows what a translator is put together from; must not know how models are loaded, or when they change.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from service.languages import Identifier, LanguageDetector, considered_labels
from service.planning import Limits, Planner
from service.registry import ModelRegistry, ServedModel
from service.settings import Settings
from service.translation import TranslationObserver
from service.translator import Translator


class Translators:
    """`identifier` knows every language and is never narrowed down itself."""

    def __init__(self, settings: Settings, identifier: Identifier, observer: TranslationObserver) -> None:
        self._settings, self._identifier, self._observer = settings, identifier, observer
        self._labels: list[str] = []
        self._detector: LanguageDetector | None = None

    def make(self, models: Sequence[ServedModel], before: Translator | None = None) -> Translator:
        """Of these models; what the translator `before` has learnt of those that stay is kept."""
        settings, registry = self._settings, ModelRegistry(models)
        detector = self._detector_of(registry.languages)
        limits = Limits(settings.max_text_characters, settings.max_texts)
        return Translator(
            registry,
            Planner(registry, detector, limits),
            detector,
            self._observer,
            default_timeout_seconds=settings.default_timeout_seconds,
            max_timeout_seconds=settings.max_timeout_seconds,
            before=before,
        )

    def _detector_of(self, served: Sequence[str]) -> LanguageDetector:
        """The one that there is, as long as it considers the right languages: narrowing copies megabytes."""
        labels = considered_labels(self._identifier, served)
        if self._detector is None or labels != self._labels:
            self._detector = LanguageDetector(copy.copy(self._identifier), served)
            self._labels = labels
        return self._detector
