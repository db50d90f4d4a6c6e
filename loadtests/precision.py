"""How far bfloat16 and int8 stray from float32: equal answers, BLEU and chrF, on the same sentences.

`python -m loadtests.precision`. Knows: networks as serving has them, scores. Must not know: engines, HTTP.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtests.entry import run_program
from loadtests.kernels import served, serving_library
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.subject import SHIPPED, Subject, subject, target_texts
from loadtests.workload import workload
from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from model.native.binding import Library
from model.network import Network
from model.transformer import Transformer
from training.evaluation import Scores, score

CHUNK = 64  # sentences between two signs of progress
STRATEGIES = ("beam", "greedy")
PRECISIONS = ("float32", "bfloat16", "int8")  # of a processor; the first is what the others are held against


@dataclass(frozen=True, slots=True)
class Outcome:
    """One precision's answers, and how long the processor worked for them."""

    precision: str
    strategy: str
    answers: list[tuple[int, ...]]
    seconds: float


def variants(model: Transformer, threads: int, library: Library | None) -> dict[str, Network]:
    """The same weights in each precision, as serving computes with them."""
    return {name: served(model, name, threads, library) for name in PRECISIONS}


def outcomes(what: Subject, networks: Mapping[str, Network], done: Callable[..., None]) -> list[Outcome]:
    found: list[Outcome] = []
    for strategy in STRATEGIES:
        options = DecodingOptions.with_defaults({"strategy": strategy}, what.bundle.info.decoding)
        for precision, network in networks.items():
            began = time.process_time()
            answers = _decode(network, what.source_ids, options, done)
            found.append(Outcome(precision, strategy, answers, time.process_time() - began))
    return found


def _decode(
    network: Network,
    sources: Sequence[tuple[int, ...]],
    options: DecodingOptions,
    done: Callable[..., None],
) -> list[tuple[int, ...]]:
    answers: list[tuple[int, ...]] = []
    for start in range(0, len(sources), CHUNK):
        part = sources[start : start + CHUNK]
        found = decode_batch(network, part, options, max_rows=64)
        answers += [hypotheses[0].token_ids for hypotheses in found]
        done(len(part))
    return answers


def compared(what: Subject, found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """A line for each outcome, against float32 with the same strategy."""
    exact = {one.strategy: one for one in found if one.precision == "float32"}
    lines = []
    for one in found:
        base = exact[one.strategy]
        scores, base_scores = (_scores(what, outcome.answers) for outcome in (one, base))
        lines.append({
            "strategy": one.strategy,
            "precision": one.precision,
            "sentences": len(one.answers),
            "equal_sentences_share": _share(zip(one.answers, base.answers, strict=True)),
            "equal_tokens_share": token_equality(one.answers, base.answers),
            "bleu": scores.bleu if scores else None,
            "bleu_difference": scores.bleu - base_scores.bleu if scores and base_scores else None,
            "chrf": scores.chrf if scores else None,
            "chrf_difference": scores.chrf - base_scores.chrf if scores and base_scores else None,
            "chrf_against_float32": score(
                target_texts(what.bundle, one.answers), target_texts(what.bundle, base.answers)
            ).chrf,
            "processor_seconds": one.seconds,
            "speed_over_float32": base.seconds / one.seconds,
            "bleu_signature": scores.bleu_signature if scores else None,
            "chrf_signature": scores.chrf_signature if scores else None,
        })  # fmt: skip
    return lines


def token_equality(answers: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> float:
    """The share of positions that hold the same token, of the longer answer's, its end counted as one."""
    same = positions = 0
    for one, other in zip(answers, exact, strict=True):
        same += sum(a == b for a, b in zip(one, other, strict=False)) + (len(one) == len(other))
        positions += max(len(one), len(other)) + 1
    return same / positions if positions else math.nan


def _share(pairs: Any) -> float:
    equal = [a == b for a, b in pairs]
    return sum(equal) / len(equal) if equal else math.nan


def _scores(what: Subject, answers: Sequence[Sequence[int]]) -> Scores | None:
    """None where the workload has no references."""
    references = what.workload.references
    return score(target_texts(what.bundle, answers), references) if references else None


def figures(lines: Sequence[dict[str, Any]]) -> Figures:
    columns = [
        "strategy",
        "precision",
        "sentences equal",
        "tokens equal",
        "BLEU",
        "difference",
        "chrF",
        "difference",
        "chrF against float32",
        "speed over float32",
    ]
    rows = [
        [
            line["strategy"], line["precision"],
            f"{100 * line['equal_sentences_share']:.2f} %", f"{100 * line['equal_tokens_share']:.2f} %",
            _told(line["bleu"], ".2f"), _told(line["bleu_difference"], "+.2f"),
            _told(line["chrf"], ".2f"), _told(line["chrf_difference"], "+.2f"),
            f"{line['chrf_against_float32']:.2f}", f"{line['speed_over_float32']:.2f}",
        ]
        for line in lines
    ]  # fmt: skip
    return Figures("Precision against float32", columns, rows)


def _told(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def main(
    limit: Annotated[int, typer.Option(help="Sentences.")] = 2000,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, references in column 2.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to ask.")] = SHIPPED,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Decode the same sentences in float32, bfloat16 and int8, and compare."""
    what, library = subject(bundle, workload(sentences, limit), threads), serving_library()
    networks = variants(what.bundle.model, threads, library)
    total = len(STRATEGIES) * 3 * len(what.source_ids)
    with progress_bar("sentences", total) as done:
        lines = compared(what, outcomes(what, networks, done))
    facts = run_facts(threads) | {"bundle": what.bundle.info.name, "workload": what.workload.name}
    facts["kernels"] = library.level
    notes = [
        "Speeds are of processor time in batches of at most 64 rows, without an engine. Networks are those "
        "that serving has with this setting of `precision`."
    ]
    publish(
        Report(
            "precision", "bfloat16 and int8 against float32", facts, [figures(lines)], {"lines": lines}, notes
        ),
        results,
    )


if __name__ == "__main__":
    run_program(main)
