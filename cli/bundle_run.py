"""One bundle over all test sets: its translations, how fast they came, and where it looked in some sentences.

Knows bundles and the translator of offline commands; must not know scores, options or what is shown.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cli.line_feed import Line
from cli.line_progress import LineProgress
from cli.stopping import CommandFailed

if TYPE_CHECKING:
    from cli.line_translation import Ready
    from cli.model_choice import Choice
    from cli.offline import OfflineTranslator
    from service.settings import Settings
    from training.evaluation_scores import System, Translations
    from training.report.attention_maps import AttentionMap
    from training.test_set import TestSet

Place = tuple[int, int]  # a test set and a sentence of it
# From the translations of all test sets, the sentences whose attention is asked for.
ChoosePictured = Callable[[Sequence["Translations"]], Sequence[Place]]


@dataclass(frozen=True, slots=True)
class Run:
    """What all bundles of an evaluation have in common. `options` are those that were named."""

    test_sets: Sequence[TestSet]
    options: Mapping[str, Any]
    split: Literal["sentences", "lines", "none"]
    settings: Settings
    with_bar: bool


@dataclass(frozen=True, slots=True)
class BundleRun:
    """By test set the translations; by sentence its maps, one for each segment. `precision` and `device` are
    what the network computed in, which `auto` leaves open."""

    system: System
    precision: str
    device: str
    translations: list[Translations]
    attention: dict[Place, list[AttentionMap]]


def run_bundle(choice: Choice, label: str, run: Run, choose_pictured: ChoosePictured) -> BundleRun:
    """Load the bundle, which is shown as `label`, translate everything, unload it.

    Raises what translating a file raises.
    """
    from cli.offline import offline_translator
    from training.evaluation_scores import System

    with offline_translator(choice, run.options, run.split, run.settings) as translator:
        translations = [_translated(translator, run, one, label) for one in run.test_sets]
        attention = _attention(translator, run.test_sets, choose_pictured(translations))
        decoding, network = translator.options.to_dict(), translator.route.model
    system = System(name=choice.name, version=choice.version, label=label, decoding=decoding)
    return BundleRun(system, network.dtype, network.device, translations, attention)


def _translated(translator: OfflineTranslator, run: Run, test_set: TestSet, label: str) -> Translations:
    from cli.line_translation import translate_lines
    from cli.offline import window_size
    from training.evaluation_scores import Translations

    texts: list[str] = []
    with LineProgress(
        len(test_set), bar=run.with_bar and sys.stderr.isatty(), label=f"{label}, {test_set.label}"
    ) as progress:
        take = _collector(texts, progress)
        lines = _lines(test_set)
        translate_lines(lines, test_set.names[:1], translator, take, window_size(run.settings))
    return Translations(
        texts=texts,
        cut_at_length_limit=progress.cut_lines,
        seconds=progress.seconds,
        sentences_per_second=progress.lines_per_second,
        target_tokens_per_second=progress.tokens_per_second,
    )


def _lines(test_set: TestSet) -> Iterator[Line]:
    return (Line(0, number, text) for number, text in enumerate(test_set.sources, 1))


def _collector(texts: list[str], progress: LineProgress) -> Callable[[Ready], None]:
    from cli.line_translation import one_line, tally

    def take(ready: Ready) -> None:
        texts.extend(one_line(translated.answer) for _, translated in ready)
        progress.advance(*tally(ready))

    return take


def _attention(
    translator: OfflineTranslator, test_sets: Sequence[TestSet], places: Collection[Place]
) -> dict[Place, list[AttentionMap]]:
    """Of each sentence, translated once more; none of one that is too long for an answer with attention."""
    texts = {(test, index): test_sets[test].sources[index] for test, index in places}
    return asyncio.run(_maps(translator, texts))


async def _maps(translator: OfflineTranslator, texts: Mapping[Place, str]) -> dict[Place, list[AttentionMap]]:
    from service.errors import InvalidRequest, ServiceError
    from training.report.attention_maps import AttentionMap

    found: dict[Place, list[AttentionMap]] = {}
    for place, text in texts.items():
        try:
            answer = (await translator.translate(text, with_attention=True)).answer
        except InvalidRequest:
            continue
        except ServiceError as error:
            raise CommandFailed(f"attention of {text!r}: {error.detail}") from error
        found[place] = [
            AttentionMap(
                one.source_tokens, one.target_tokens, one.values, translator.alignment_layer % len(one.values)
            )
            for one in answer.attention or ()
        ]
    return found
