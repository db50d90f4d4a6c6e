"""One or two bundles over test sets: translated, saved, measured, reported, one bundle after the other.

Knows in which order what is done; what each step does stands elsewhere. Only one bundle at a time is in
memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cli import offline_options as shared
from cli.bundle_run import BundleRun, Place, Run, run_bundle
from cli.evaluation_files import Outputs

if TYPE_CHECKING:
    from cli.model_choice import Choice
    from training.evaluation_scores import Evaluation, Measure, Translations
    from training.test_set import TestSet

# The page has pictures of so many sentences of each test set, and so many examples in each of its lists.
PICTURED, EXAMPLES = 3, 10


class Evaluating:
    """`given` are the parameters of the command."""

    def __init__(
        self, given: Mapping[str, Any], test_sets: Sequence[TestSet], measure: Measure, outputs: Outputs
    ) -> None:
        self._given, self._test_sets, self._measure, self._outputs = given, test_sets, measure, outputs
        settings, options = shared.settings(given), shared.decoding_options(given)
        self._models_dir = settings.models_dir
        self._run = Run(test_sets, options, given["split"], settings, with_bar=not given["quiet"])
        self._pictured: list[Place] | None = None

    def evaluate(self) -> Evaluation:
        """Everything. Raises BundleError, OptionError, and what translating a file raises."""
        choices, runs = self._choices(), []
        for whose, (label, choice) in choices.items():
            runs.append(run_bundle(choice, label, self._run, self._places_to_picture))
            self._outputs.save_translations(whose, [one.texts for one in runs[-1].translations])
        with self._busy("scoring"):
            evaluation = self._evaluation(choices["system"][1], runs)
        if self._outputs.report is not None:
            with self._busy("drawing"):
                self._outputs.save_report(self._page(evaluation, dict(choices.values()), runs))
        return evaluation

    def _choices(self) -> dict[str, tuple[str, Choice]]:
        """Both and how they are called, before either is loaded: a name that is wrong is told at once."""
        from cli.model_choice import choose

        given = self._given
        system = choose(self._models_dir, given["bundle"], given["source"], given["target"])
        found = {"system": (f"{system.name} {system.version}", system)}
        if given["baseline"] is not None:
            other = choose(self._models_dir, given["baseline"], system.source, system.target)
            label = f"{other.name} {other.version}"
            if label == found["system"][0]:  # two trainings of one recipe
                label = f"{label} of {other.folder}"
            found["baseline"] = label, other
        return found

    def _places_to_picture(self, translated: Sequence[Translations]) -> list[Place]:
        """Chosen by the first bundle's translations; the second shows the same."""
        if self._pictured is None:
            self._pictured = self._chosen_places(translated) if self._outputs.report is not None else []
        return self._pictured

    def _chosen_places(self, translated: Sequence[Translations]) -> list[Place]:
        from training.report.attention_maps import choose_pictured
        from training.scoring import sentence_chrf

        places = []
        for number, (one, made) in enumerate(zip(self._test_sets, translated, strict=True)):
            scores = sentence_chrf(made.texts, *one.all_references)
            places += [(number, index) for index in choose_pictured(one.sources, scores, PICTURED)]
        return places

    def _evaluation(self, choice: Choice, runs: Sequence[BundleRun]) -> Evaluation:
        from training.evaluation_scores import Evaluation

        system, baseline = runs[0], runs[1] if len(runs) > 1 else None
        return Evaluation(
            system=system.system,
            baseline=None if baseline is None else baseline.system,
            source=choice.source,
            target=choice.target,
            split=self._given["split"],
            unit=self._given["length_unit"],
            copying=self._run.settings.copying,
            precision=system.precision,
            device=system.device,
            tests=tuple(
                self._measure.test(
                    one, system.translations[number], baseline.translations[number] if baseline else None
                )
                for number, one in enumerate(self._test_sets)
            ),
        )

    def _page(self, evaluation: Evaluation, choices: Mapping[str, Choice], runs: Sequence[BundleRun]) -> str:
        from training.report.curves import bundle_curves
        from training.report.page import Extras, page

        curves = bundle_curves({label: choice.folder for label, choice in choices.items()})
        return page(evaluation, Extras(curves, [run.attention for run in runs], EXAMPLES))

    @contextmanager
    def _busy(self, what: str) -> Iterator[None]:
        """Says so on a terminal: with TER and a thousand resamples it may take a minute."""
        if self._given["quiet"] or not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status(what):
            yield
