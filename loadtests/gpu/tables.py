"""What the legs found, as tables. Knows: their data. Must not know: how it was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]


def markdown(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def correctness_tables(data: Data) -> str:
    against = [
        [
            line["precision"], line["search"], f"{line['equal_sentences']} of {line['of']}",
            f"{100 * line['equal_tokens_share']:.3f} %", f"{line['bleu_against_cpu']:.2f}",
            _number(line["bleu_difference"], "+.2f"),
        ]
        for line in data["against_cpu_float32"]
    ]  # fmt: skip
    ways = [
        [
            line["precision"],
            line["path"],
            *(f"{line[way]} of {line['of']}" for way in ("called", "one step at a time")),
        ]
        for line in data["ways"]
    ]
    waits = [
        [line["search"], str(line["steps"]), str(line["waits"]), str(line["hidden_waits"])]
        for line in data["waits"]
    ]
    columns = ["precision", "search", "sentences equal", "tokens equal", "BLEU against it", "BLEU difference"]
    ways_taken = "; ".join(f"{names} ({precision})" for precision, names in data["ways_taken"].items())
    return "\n".join((
        f"Ways: {ways_taken}.\n",
        markdown("Against the processor in float32", columns, against),
        markdown("Equal answers of two ways", ["precision", "path", "called", "one step at a time"], ways),
        markdown("Waits for the device", ["search", "steps", "waits", "hidden waits"], waits),
    ))  # fmt: skip


def steps_tables(data: Data) -> str:
    lines = [
        [
            line["shape"], str(line["width"]), str(line["rows"]), f"{line['step_microseconds']:,.0f}",
            f"{line['floor_microseconds']:,.1f}", f"{line['over_floor']:.1f}",
        ]
        for line in data["steps"]
    ]  # fmt: skip
    kernels = [
        [
            cost["shape"], str(cost["rows"]), f"`{one['kernel'][:60]}`", f"{100 * one['share']:.0f} %",
            f"{one['microseconds']:.0f}", f"{one['calls']:.0f}", one["remedy"],
        ]
        for cost in data["kernels"]
        for one in cost["largest"]
    ]  # fmt: skip
    columns = ["shape", "rows", "kernel", "share", "us a step", "calls", "what would remove it"]
    return "\n".join((
        f"Ways: {data['ways_taken']}.\n",
        markdown("One step, bf16", ["shape", "beam", "rows", "us", "floor us", "over it"], lines),
        markdown("The largest kernels of a step", columns, kernels),
    ))  # fmt: skip


def speed_tables(data: Data) -> str:
    names = list(dict.fromkeys(name for cell in data["cells"] for name in cell["sides"]))
    rows = [
        [
            cell["shape"], cell["search"], str(cell["batch"]),
            *(_side(cell["sides"].get(name)) for name in names), f"{cell['floor_tokens_per_second']:,.0f}",
            *(_ratio(cell["sides"], name) for name in names if name != "verto"),
        ]
        for cell in data["cells"]
    ]  # fmt: skip
    ratios = [f"verto over {name}" for name in names if name != "verto"]
    columns = ["shape", "search", "batch", *(f"{name} (over floor)" for name in names), "floor", *ratios]
    missing = "\n".join(f"- not measured: {name}: {why}" for name, why in data["missing"].items())
    ceiling = data["ceiling"]
    found = f"Measured: {ceiling['bandwidth'] / 1e12:.2f} TB/s, {ceiling['rate'] / 1e12:.0f} TFLOP/s in bf16."
    return "\n\n".join((markdown("Tokens a second", columns, rows), found, missing)).strip() + "\n"


def served_tables(data: Data) -> str:
    rows = [
        [
            line["search"], str(line["users"]), f"{line['sentences_per_second']:,.0f}",
            f"{line['tokens_per_second']:,.0f}", f"{line['p50_ms']:.0f}", f"{line['p99_ms']:.0f}",
            f"{line['first_token_mean_ms']:.0f}",
            ", ".join(f"{phase} {100 * share:.0f} %" for phase, share in line["share_of_time"].items()),
        ]
        for line in data["lines"]
    ]  # fmt: skip
    columns = [
        "search",
        "users",
        "sentences/s",
        "tokens/s",
        "p50 ms",
        "p99 ms",
        "first token ms",
        "of the time",
    ]
    return markdown(f"verto serve, {data['precision']}, {data['max_rows']} rows", columns, rows)


def training_tables(data: Data) -> str:
    rows = [
        [
            line["shape"], "compiled" if line["compiled"] else "eager", f"{1000 * line['step_seconds']:.1f}",
            f"{line['tokens_per_second']:,.0f}", f"{line['operations_per_second'] / 1e12:.0f}",
            f"{100 * line['share_of_rate']:.0f} %",
        ]
        for line in data["lines"]
    ]  # fmt: skip
    columns = ["shape", "steps", "ms a step", "target tokens/s", "TFLOP/s", "of the rate of products"]
    failed = "\n".join(f"- not measured: {name}: {why}" for name, why in data["failed"].items())
    ways = ", ".join(sorted({line["loss"] for line in data["lines"]}))
    found = (
        f"Measured in the same run: {data['ceiling']['rate'] / 1e12:.0f} TFLOP/s in bf16. Loss by: {ways}."
    )
    return "\n\n".join((markdown("Training steps, bf16", columns, rows), found, failed)).strip() + "\n"


TABLES: Mapping[str, Callable[[Data], str]] = {
    "correctness": correctness_tables,
    "steps": steps_tables,
    "speed": speed_tables,
    "served": served_tables,
    "training": training_tables,
}


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _side(side: Data | None) -> str:
    return "-" if side is None else f"{side['tokens_per_second']:,.0f} ({side['over_floor']:.1f})"


def _ratio(sides: Mapping[str, Data], name: str) -> str:
    if name not in sides or "verto" not in sides:
        return "-"
    return f"{sides['verto']['tokens_per_second'] / sides[name]['tokens_per_second']:.2f}"
