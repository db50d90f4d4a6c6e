"""One or two bundles over test sets: translated, saved, measured, reported, one bundle after the other.
A bundle's place may be taken by translations that are there already.

Knows in which order what is done; what each step does stands elsewhere. Only one bundle at a time is in
memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from cli import offline_options as shared
from cli.bundle_run import BundleRun, Place, Run, run_bundle
from cli.evaluation_files import Outputs
from cli.ready_translations import Ready

if TYPE_CHECKING:
    from cli.model_choice import Choice
    from training.evaluation_scores import Evaluation, Measure, Translations
    from training.test_set import TestSet

    Side = Choice | Ready

# The page has pictures of so many sentences of each test set, and so many examples in each of its lists.
PICTURED, EXAMPLES = 3, 10


class Evaluating:
    """`given` are the parameters of the command, `ready` the translations that are there, by whose."""

    def __init__(
        self,
        given: Mapping[str, Any],
        test_sets: Sequence[TestSet],
        measure: Measure,
        outputs: Outputs,
        ready: Mapping[str, Ready],
    ) -> None:
        self._given, self._test_sets, self._measure, self._outputs = given, test_sets, measure, outputs
        self._ready = ready
        settings, options = shared.settings(given), shared.decoding_options(given)
        self._models_dir = settings.models_dir
        self._run = Run(test_sets, options, given["split"], settings, with_bar=not given["quiet"])
        # Beside translations that came without attention another system's is no comparison.
        self._pictured: list[Place] | None = [] if "system" in ready else None

    def evaluate(self) -> Evaluation:
        """Everything. Raises BundleError, OptionError, and what translating a file raises."""
        sides, runs = self._sides(), list[BundleRun]()
        self._check_last([side for _, side in sides.values() if not isinstance(side, Ready)])
        for whose, (label, side) in sides.items():
            runs.append(self._run_of(label, side))
            self._outputs.save_translations(whose, [one.texts for one in runs[-1].translations])
            self._warn(label, runs[-1].translations)
        with self._busy("scoring"):
            evaluation = self._evaluation([side for _, side in sides.values()], runs)
        if self._outputs.report is not None:
            with self._busy("drawing"):
                self._outputs.save_report(self._page(evaluation, dict(sides.values()), runs))
        return evaluation

    def _sides(self) -> dict[str, tuple[str, Side]]:
        """Both and how they are called, before either is loaded: a name that is wrong is told at once."""
        from cli.model_choice import choose

        given, wanted = self._given, (self._given["source"], self._given["target"])
        system = self._ready.get("system") or choose(self._models_dir, given["bundle"], *wanted)
        found: dict[str, tuple[str, Side]] = {"system": (_label(system), system)}
        other: Side | None = self._ready.get("baseline")
        if given["baseline"] is not None:
            pair = wanted if isinstance(system, Ready) else (system.source, system.target)
            other = choose(self._models_dir, given["baseline"], *pair)
        if other is not None:
            alike = _label(other) == _label(system)  # as two trainings of one recipe
            found["baseline"] = _long_label(other) if alike else _label(other), other
        return found

    def _check_last(self, bundles: Sequence[Choice]) -> None:
        """The first is loaded at once; a fault of the second shows before the first has translated."""
        from cli.offline import check_bundle

        for bundle in bundles[1:]:
            check_bundle(bundle, self._run.options)

    def _warn(self, label: str, translated: Sequence[Translations]) -> None:
        """Of what makes scores lower, or higher, than those of others, and is easily mended."""
        from training.scoring import looks_tokenized

        if self._given["quiet"] or "bleu" not in self._measure.scorer.metrics:
            return
        for one, made in zip(self._test_sets, translated, strict=True):
            if looks_tokenized(made.texts):
                said = f"{one.label}: full stops stand apart: BLEU is meant for text that is not tokenised"
                typer.echo(f"verto: {label}, {said}; detokenise it before you compare", err=True)

    def _run_of(self, label: str, side: Side) -> BundleRun:
        if not isinstance(side, Ready):
            return run_bundle(side, label, self._run, self._places_to_picture)
        from training.evaluation_scores import System, Translations

        system = System(name=label, version="", label=label, decoding={}, files=side.names)
        return BundleRun(system, "", "", [Translations(texts=texts) for texts in side.texts], {})

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

    def _evaluation(self, sides: Sequence[Side], runs: Sequence[BundleRun]) -> Evaluation:
        from training.evaluation_scores import Evaluation

        system, baseline = runs[0], runs[1] if len(runs) > 1 else None
        translated = next((run for run in runs if not run.system.files), system)
        source, target = self._languages(sides)
        return Evaluation(
            system=system.system,
            baseline=None if baseline is None else baseline.system,
            source=source,
            target=target,
            split=self._given["split"],
            unit=self._given["length_unit"],
            copying=self._run.settings.copying,
            precision=translated.precision,
            device=translated.device,
            tests=tuple(
                self._measure.test(
                    one, system.translations[number], baseline.translations[number] if baseline else None
                )
                for number, one in enumerate(self._test_sets)
            ),
        )

    def _languages(self, sides: Sequence[Side]) -> tuple[str, str]:
        """A bundle knows its own; of files the command line may tell."""
        for side in sides:
            if not isinstance(side, Ready):
                return side.source, side.target
        told = self._given["source"], self._given["target"]
        return told if all(told) else ("", "")

    def _page(self, evaluation: Evaluation, sides: Mapping[str, Side], runs: Sequence[BundleRun]) -> str:
        from training.report.curves import bundle_curves
        from training.report.page import Extras, page

        folders = {label: side.folder for label, side in sides.items() if not isinstance(side, Ready)}
        return page(evaluation, Extras(bundle_curves(folders), [run.attention for run in runs], EXAMPLES))

    @contextmanager
    def _busy(self, what: str) -> Iterator[None]:
        """Says so on a terminal: with TER and a thousand resamples it may take a minute."""
        if self._given["quiet"] or not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status(what):
            yield


def _label(side: Side) -> str:
    return side.label if isinstance(side, Ready) else f"{side.name} {side.version}"


def _long_label(side: Side) -> str:
    return side.long_label if isinstance(side, Ready) else f"{_label(side)} of {side.folder}"
