"""The comparison as tables, pictures and JSON, of those parts that have been measured.

Knows: the numbers of each part. Must not know: how they were measured, files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from loadtests.report import Figures, Report
from loadtests.why_transformers.pictures import (
    draw_ablations,
    draw_gradients,
    draw_lengths,
    draw_speed,
)
from loadtests.why_transformers.shapes import RECURRENT, TRANSFORMER
from loadtests.why_transformers.variants import TASKS, Task, ablations

Part = Mapping[str, Any]
NAME = "why-transformers"


def report(parts: Mapping[str, Part], facts: Mapping[str, str]) -> Report:
    """Raises `ValueError` when nothing has been measured."""
    if not parts:
        raise ValueError("no part has been measured; begin with: python -m loadtests.why_transformers speed")
    toy, captions = _scored(parts, "toy-"), _scored(parts, "captions-")
    tables, pictures = list[Figures](), dict[str, bytes]()
    if "speed" in parts:
        tables.append(speed_table(parts["speed"]))
        pictures[f"{NAME}-speed.png"] = draw_speed(parts["speed"]["lines"])
    for part, weights in (("gradients", "first weights"), ("gradients-trained", "after training on the toy")):
        if part in parts:
            tables.append(gradients_table(parts[part], weights))
            pictures[f"{NAME}-{part}.png"] = draw_gradients(parts[part]["lines"], weights)
    by_length = {"toy": toy, "captions": captions}
    tables += [lengths_table(title, lines) for title, lines in by_length.items() if lines]
    if toy or captions:
        pictures[f"{NAME}-lengths.png"] = draw_lengths(by_length)
    for task in TASKS.values():
        if ablated := _ablations(parts, task):
            tables.append(ablations_table(ablated, task))
            pictures[f"{NAME}-ablations-{task.name}.png"] = draw_ablations(ablated, task.name, task.exact)
    data = {"parts": dict(parts), "tables": [asdict(table) for table in tables]}
    return Report(NAME, "Why Transformers", facts, tables, data, pictures=pictures)


def _scored(parts: Mapping[str, Part], prefix: str) -> list[Part]:
    """What was scored by length, the Transformer first."""
    found = [part for name, part in parts.items() if name.startswith(prefix) and "lengths" in part]
    named = [{"network": part["says"], **part} if "says" in part else part for part in found]
    return sorted(named, key=lambda part: [TRANSFORMER, RECURRENT].index(part["network"]))


def _ablations(parts: Mapping[str, Part], task: Task) -> list[Part]:
    """In the order of the variants, then of the seeds."""
    order = [variant.name for variant in ablations(task)]
    ablated = [part for name, part in parts.items() if name.startswith("ablation-")]
    found = [part for part in ablated if part["task"] == task.name]
    return sorted(found, key=lambda part: (order.index(part["variant"]), part["seed"]))


def speed_table(part: Part) -> Figures:
    rows = []
    for length in dict.fromkeys(line["length"] for line in part["lines"]):
        here = {line["network"]: line for line in part["lines"] if line["length"] == length}
        speeds = [here[name]["tokens_per_processor_second"] for name in (TRANSFORMER, RECURRENT)]
        walls = [here[name]["tokens_per_second"] for name in (TRANSFORMER, RECURRENT)]
        rows.append([
            str(length), str(here[TRANSFORMER]["sentences"]), *(f"{speed:,.0f}" for speed in speeds),
            f"{speeds[0] / speeds[1]:.2f}", f"{walls[0] / walls[1]:.2f}",
        ])  # fmt: skip
    title = f"Training speed, {part['batch_tokens']:,} target tokens a batch ({part['device']})"
    columns = ["tokens a sentence", "sentences", f"{TRANSFORMER}, tokens/processor second",
               f"{RECURRENT}, tokens/processor second", "ratio", "ratio by the clock"]  # fmt: skip
    return Figures(title, columns, rows)


def gradients_table(part: Part, weights: str) -> Figures:
    rows = []
    for distance in dict.fromkeys(line["distance"] for line in part["lines"]):
        here = {line["network"]: line for line in part["lines"] if line["distance"] == distance}
        cells = [f"{here[name][of]:.2g}" for of in ("encoder", "loss") for name in (TRANSFORMER, RECURRENT)]
        rows.append([str(distance), *cells])
    columns = ["distance", f"encoder, {TRANSFORMER}", f"encoder, {RECURRENT}", f"loss, {TRANSFORMER}",
               f"loss, {RECURRENT}"]  # fmt: skip
    return Figures(f"Norm of the gradient at the first source token, {weights}", columns, rows)


def lengths_table(title: str, parts: Sequence[Part]) -> Figures:
    """A row for each bucket, BLEU of each network beside each other."""
    rows = []
    for index, line in enumerate(parts[0]["lengths"]):
        cells = [f"{part['lengths'][index]['bleu']:.1f}" for part in parts]
        rights = [f"{100 * part['lengths'][index]['right_share']:.0f} %" for part in parts]
        least, most = line["words"]
        rows.append([f"{least} to {most}", str(line["sentences"]), *cells, *rights])
    names = [part["network"] for part in parts]
    columns = [
        "words",
        "sentences",
        *(f"BLEU, {name}" for name in names),
        *(f"right, {name}" for name in names),
    ]
    return Figures(f"By length: {title}", columns, rows)


def ablations_table(parts: Sequence[Part], task: Task) -> Figures:
    rows = [
        [
            part["says"], str(part["seed"]),
            *(
                [f"{part['parameters']:,}", f"{part['dev_losses'][-1][1]:.3f}", f"{part['bleu']:.1f}",
                 f"{100 * part['right_share']:.1f} %"]
                if part["outcome"] == "finished" else ["-", "-", "-", part["outcome"].partition(":")[0]]
            ),
        ]
        for part in parts
    ]  # fmt: skip
    columns = ["network", "seed", "parameters", "dev loss", "test BLEU", "sentences right"]
    return Figures(f"Less a part: {task.name}, after the same steps", columns, rows)
