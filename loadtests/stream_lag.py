"""How much later beam search in `stable` mode sends a text than greedy search does, sentence by sentence.

`python -m loadtests.stream_lag`. Knows: searches step by step, what each step sends. Must not know: HTTP.

A sentence is decoded alone, so that steps and milliseconds are its own. Share q of a text is sent with the
first step after which at least q of the answer's tokens are. The lag in tokens after a step is how many more
greedy search had sent by then.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from loadtests.entry import run_program
from loadtests.machine import run_facts
from loadtests.measures import percentile
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.subject import SHIPPED, Subject, subject
from loadtests.workload import workload
from model.decoding import DecodingOptions, target_limit
from model.decoding.search import NewSegment, Search
from model.network import EagerNetwork
from model.transformer import Transformer

SHARES = {"first token": 0.0, "25 %": 0.25, "50 %": 0.5, "75 %": 0.75, "100 %": 1.0}


@dataclass(frozen=True, slots=True)
class Streamed:
    """After each step: tokens sent in all, and milliseconds since the start."""

    sent: tuple[int, ...]
    at_ms: tuple[float, ...]

    @property
    def num_tokens(self) -> int:
        return self.sent[-1]

    def step_of(self, share: float) -> int:
        """The step (from 1) that completes this share of the answer; share 0 is its first token."""
        wanted = max(1, math.ceil(share * self.num_tokens))
        return next((step for step, sent in enumerate(self.sent, 1) if sent >= wanted), len(self.sent))


@torch.inference_mode()
def stream_alone(model: Transformer, source_ids: Sequence[int], options: DecodingOptions) -> Streamed:
    began, search = time.perf_counter(), Search(EagerNetwork(model))
    limit = target_limit(options, model.config, len(source_ids))
    search.join([NewSegment(0, source_ids, options, limit, stream=True)])
    sent, at_ms = [0], [0.0]
    while search.keys:
        sent.append(sent[-1] + len(search.step().stable.get(0, ())))
        at_ms.append(1000 * (time.perf_counter() - began))
    return Streamed(tuple(sent[1:]), tuple(at_ms[1:]))


def lags(beam: Streamed, greedy: Streamed) -> list[int]:
    """In tokens, after every step of the beam search; what greedy search has sent stays sent when it ends."""
    greedy_sent = [*greedy.sent, *[greedy.num_tokens] * len(beam.sent)]
    return [greedy_sent[step] - sent for step, sent in enumerate(beam.sent)]


def measure(what: Subject, beam_size: int, done: Callable[..., None]) -> list[tuple[Streamed, Streamed]]:
    """Beam and greedy, in turn, for every sentence."""
    defaults = what.bundle.info.decoding
    beam = DecodingOptions.with_defaults({"strategy": "beam", "beam_size": beam_size}, defaults)
    greedy = DecodingOptions.with_defaults({"strategy": "greedy"}, defaults)
    pairs = []
    for source_ids in what.source_ids:
        pairs.append(tuple(stream_alone(what.bundle.model, source_ids, one) for one in (beam, greedy)))
        done()
    return pairs  # type: ignore[return-value]


def shares(pairs: Sequence[tuple[Streamed, Streamed]]) -> list[dict[str, Any]]:
    """For each share: when both have sent it, in steps and milliseconds, and how much later beam is."""
    lines = []
    for name, share in SHARES.items():
        steps = [tuple(one.step_of(share) for one in pair) for pair in pairs]
        times = [
            tuple(one.at_ms[step - 1] for one, step in zip(pair, both, strict=True))
            for pair, both in zip(pairs, steps, strict=True)
        ]
        lines.append({
            "share": name,
            **_quantiles("beam_steps", [beam for beam, _ in steps]),
            **_quantiles("greedy_steps", [greedy for _, greedy in steps]),
            **_quantiles("lag_steps", [beam - greedy for beam, greedy in steps]),
            **_quantiles("beam_ms", [beam for beam, _ in times]),
            **_quantiles("greedy_ms", [greedy for _, greedy in times]),
            **_quantiles("lag_ms", [beam - greedy for beam, greedy in times]),
        })  # fmt: skip
    return lines


def _quantiles(name: str, samples: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p{round(100 * q)}": percentile(samples, q) for q in (0.5, 0.9, 0.99)}


def figures(lines: Sequence[dict[str, Any]], all_lags: Sequence[int]) -> list[Figures]:
    columns = [
        "sent",
        "beam: step p50",
        "p90",
        "greedy: step p50",
        "p90",
        "lag in steps p50",
        "p90",
        "p99",
        "lag in ms p50",
        "p90",
    ]
    names = [
        "beam_steps_p50",
        "beam_steps_p90",
        "greedy_steps_p50",
        "greedy_steps_p90",
        "lag_steps_p50",
        "lag_steps_p90",
        "lag_steps_p99",
        "lag_ms_p50",
        "lag_ms_p90",
    ]
    rows = [[line["share"], *(f"{line[name]:.0f}" for name in names)] for line in lines]
    quantiles = [
        (f"p{round(100 * q)}", f"{percentile(all_lags, q):.0f}") for q in (0.25, 0.5, 0.75, 0.9, 0.99)
    ]
    mean = ("mean", f"{sum(all_lags) / len(all_lags):.2f}")
    return [
        Figures(
            "Lag of beam streaming, in tokens behind greedy, over all steps",
            ["", "tokens"],
            [*quantiles, mean],
        ),
        Figures("When each share of a text has been sent", columns, rows),
    ]


def picture(pairs: Sequence[tuple[Streamed, Streamed]], all_lags: Sequence[int]) -> bytes:
    """Two plots as PNG: the distribution of the lag in tokens, and how much of a text is sent when."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    highest = max(1, int(percentile(all_lags, 0.995)))
    left.hist(all_lags, bins=range(min(all_lags), highest + 2), density=True, align="left", color="#4477aa")
    left.set(
        xlabel="tokens behind greedy search, after each step", ylabel="share of steps", title="Lag in tokens"
    )
    parts = [part / 20 for part in range(21)]
    for name, index, colour in (("beam, stable", 0, "#4477aa"), ("greedy", 1, "#cc6677")):
        sent = [sum(_sent_by(pair[index], pair[0], part) for pair in pairs) / len(pairs) for part in parts]
        right.plot([100 * part for part in parts], [100 * one for one in sent], label=name, color=colour)
    right.set(
        xlabel="part of the beam search's steps, %", ylabel="sent of the text, %, mean", title="Text sent"
    )
    right.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _sent_by(one: Streamed, beam: Streamed, part: float) -> float:
    """The share of `one`'s text that is sent after this part of the beam search's steps."""
    step = min(round(part * len(beam.sent)), len(one.sent))
    return one.sent[step - 1] / max(1, one.num_tokens) if step else 0.0


def main(
    limit: Annotated[int, typer.Option(help="Sentences.")] = 2000,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, plain or gzip; else made up.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to ask.")] = SHIPPED,
    beam_size: Annotated[int, typer.Option(help="Of the beam search.")] = 4,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Stream every sentence with beam and with greedy search, and compare when text is sent."""
    what = subject(bundle, workload(sentences, limit), threads)
    with progress_bar("sentences", len(what.source_ids)) as done:
        pairs = measure(what, beam_size, done)
    pairs = [pair for pair in pairs if min(one.num_tokens for one in pair)]
    all_lags = [lag for beam, greedy in pairs for lag in lags(beam, greedy)]
    lines = shares(pairs)
    facts = run_facts(threads) | {
        "bundle": what.bundle.info.name,
        "workload": what.workload.name,
        "beam": f"{beam_size} rows, stable mode",
    }
    data = {"shares": lines, "lag_tokens_mean": sum(all_lags) / len(all_lags), "sentences": len(pairs)}
    name, title = "stream-lag", "Lag of beam streaming behind greedy streaming"
    pictures = {f"{name}.png": picture(pairs, all_lags)}
    publish(Report(name, title, facts, figures(lines, all_lags), data, pictures=pictures), results)


if __name__ == "__main__":
    run_program(main)
