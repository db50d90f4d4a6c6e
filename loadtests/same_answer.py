"""Same text, same answer: one network's tokens alone, in full batches, among random neighbours, by reference.

`python -m loadtests.same_answer` compares all four and reports every difference with its margin. With
`--kernels native` it asks the network of the native kernels, and holds it against the eager one in place of
the reference.
Knows: ways and how answers compare. Must not know: engines, searches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from loadtests.comparison import Agreement, Judge, compare
from loadtests.entry import run_program
from loadtests.kernels import served, serving_library
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.subject import SHIPPED, Subject, subject
from loadtests.ways import Answers, Asked, alone, among_random_neighbours, by_reference, in_full_batches
from loadtests.workload import workload
from model.decoding import DecodingOptions
from model.network import EagerNetwork, Network

# How many of the sentences are asked for in each kind: all, every second ...
KINDS: dict[str, tuple[int, DecodingOptions]] = {
    "beam 4": (1, DecodingOptions(beam_size=4, max_length_ratio=4.0)),
    "greedy": (1, DecodingOptions(strategy="greedy", max_length_ratio=4.0)),
    "beam 2, alpha 0.6": (4, DecodingOptions(beam_size=2, length_penalty=0.6, max_length_ratio=4.0)),
    "beam 8": (8, DecodingOptions(beam_size=8, max_length_ratio=4.0)),
    "sample, top-p 0.9": (4, DecodingOptions(strategy="sample", seed=1, top_p=0.9, max_length_ratio=4.0)),
}


Kernels = Literal["eager", "native"]
OF_REFERENCE = ("beam 4", "greedy")


def questions(source_ids: Sequence[tuple[int, ...]]) -> list[Asked]:
    """Every sentence in every kind that it has a part in; kinds one after the other."""
    return [
        Asked(index, ids, options, kind)
        for kind, (share, options) in KINDS.items()
        for index, ids in enumerate(source_ids)
        if index % share == 0
    ]


def measure_eager(what: Subject, num_threads: int, num_reference: int) -> list[Agreement]:
    """Every way against each segment alone, the reference too."""
    model, asked, judge = what.bundle.model, questions(what.source_ids), Judge(what.bundle.model)
    network = EagerNetwork(model)
    expected = _with_bar("alone", len(asked), lambda done: alone(network, asked, done))
    agreements = _among_others(network, judge, asked, expected, num_threads)
    first = [i for i, one in enumerate(asked) if one.sentence < num_reference and one.kind in OF_REFERENCE]
    some = [asked[i] for i in first]
    found = _with_bar("reference", len(some), lambda done: by_reference(model, some, done))
    return agreements + compare(judge, "reference", some, [expected[i] for i in first], found)


def measure_native(what: Subject, num_threads: int) -> list[Agreement]:
    """Every way of the native kernels against each segment alone there, and the eager network alone."""
    model, asked, judge = what.bundle.model, questions(what.source_ids), Judge(what.bundle.model)
    native = served(model, "float32", num_threads, serving_library())
    expected = _with_bar("alone", len(asked), lambda done: alone(native, asked, done))
    agreements = _among_others(native, judge, asked, expected, num_threads)
    found = _with_bar("eager", len(asked), lambda done: alone(EagerNetwork(model), asked, done))
    return agreements + compare(judge, "eager network", asked, expected, found)


def _among_others(
    network: Network, judge: Judge, asked: Sequence[Asked], expected: Answers, num_threads: int
) -> list[Agreement]:
    ways: dict[str, Callable[[Callable[..., None]], Answers]] = {
        "full batches": lambda done: in_full_batches(network, asked, num_threads, done),
        "random neighbours": lambda done: among_random_neighbours(network, asked, num_threads, done),
    }
    agreements: list[Agreement] = []
    for way, run in ways.items():
        agreements += compare(judge, way, asked, expected, _with_bar(way, len(asked), run))
    return agreements


def _with_bar(way: str, total: int, run: Callable[[Callable[..., None]], Answers]) -> Answers:
    with progress_bar(way, total) as done:
        return run(done)


def figures(agreements: Sequence[Agreement]) -> Figures:
    columns = [
        "against alone",
        "kind",
        "answers",
        "differ",
        "margins",
        "same bits",
        "largest deviation",
    ]
    return Figures("Answers that differ", columns, [_row(agreement) for agreement in agreements])


def _row(agreement: Agreement) -> list[str]:
    margins = sorted(difference.score_margin for difference in agreement.differences)
    return [
        agreement.way,
        agreement.kind,
        str(agreement.count),
        str(len(agreement.differences)),
        f"{margins[0]:.1e} to {margins[-1]:.1e}" if margins else "-",
        "-" if agreement.largest_deviation is None else str(agreement.same_bits),
        "-" if agreement.largest_deviation is None else f"{agreement.largest_deviation:.1e}",
    ]


def main(
    limit: Annotated[int, typer.Option(help="Sentences.")] = 2000,
    reference: Annotated[int, typer.Option(help="Sentences for the slow reference.")] = 200,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, plain or gzip; else made up.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to ask.")] = SHIPPED,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    seed: Annotated[int, typer.Option(help="Of sentences.")] = 0,
    kernels: Annotated[Kernels, typer.Option(help="Which network is asked.")] = "eager",
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Compare answers alone, in full batches, among random neighbours and by the reference, in float32."""
    what = subject(bundle, workload(sentences, limit, seed), threads)
    is_native = kernels == "native"
    agreements = measure_native(what, threads) if is_native else measure_eager(what, threads, reference)
    data = {
        "workload": what.workload.name,
        "agreements": [
            {
                "way": found.way,
                "kind": found.kind,
                "answers": found.count,
                "same_bits": found.same_bits,
                "largest_deviation": found.largest_deviation,
                "differences": [difference.to_dict() for difference in found.differences],
            }
            for found in agreements
        ],
    }
    facts = run_facts(threads) | {"bundle": what.bundle.info.name, "workload": what.workload.name}
    name, title = "same-answer", "Same text, same answer"
    if is_native:
        name, title = f"{name}-native", f"{title}: native kernels"
    publish(Report(name, title, facts, [figures(agreements)], data), results)


if __name__ == "__main__":
    run_program(main)
