"""Writes the tables of docs/performance.md that come from `loadtests/results/`, between their marks.

Run it from anywhere after a measurement: `python scripts/result_tables.py`. A test holds the page to what it
would write. Knows: the JSON of reports, the page's marks. Must not know: how anything is measured.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "loadtests" / "results"
BATCHES = (1, 8, 32, 64)
_TEXTS = {"forced": "25 tokens each", "real": "sentences"}
_SHAPES = {"opus-base": "OPUS-MT base", "shipped": "shipped"}

Report = Mapping[str, Any]


def bench(report: Report) -> list[str]:
    """Ratios by batch, then means, then what falls short and why."""
    cells = report["cells"]
    lines = ["| network, text | over | precision | search | " + " | ".join(f"{b}" for b in BATCHES) + " |"]
    lines.append("|---" * (4 + len(BATCHES)) + "|")
    keys = dict.fromkeys((c["shape"], c["text"], c["peer"], c["precision"], c["strategy"]) for c in cells)
    for key in keys:
        ratios = {c["batch"]: c for c in cells if _key(c) == key}
        shape, text, peer, precision, strategy = key
        name = f"{_SHAPES.get(shape, shape)}, {_TEXTS[text]}"
        search = "beam 4" if strategy == "beam" else strategy
        shown = " | ".join(_ratio(ratios.get(batch)) for batch in BATCHES)
        lines.append(f"| {name} | {peer} | {precision} | {search} | {shown} |")
    means = ", ".join(f"{name} {value:.2f}" for name, value in report["means"].items())
    alike = _alike(cells)
    lines += [
        "",
        f"Geometric means over CTranslate2: {means}. {alike}",
        "",
        *_short(cells),
        _source(report, "bench"),
    ]
    return lines


def _key(cell: Report) -> tuple[str, str, str, str, str]:
    return cell["shape"], cell["text"], cell["peer"], cell["precision"], cell["strategy"]


def _ratio(cell: Report | None) -> str:
    if cell is None:
        return "-"
    shown = f"{cell['ratio']:.2f}"
    return shown if cell["ratio"] >= cell["target"] else f"*{shown}*"


def _alike(cells: list[Report]) -> str:
    """How many answers to real sentences are the same on both sides."""
    parts = []
    for precision in dict.fromkeys(cell["precision"] for cell in cells):
        for strategy, name in (("greedy", "greedy"), ("beam", "beam 4")):
            chosen = [c for c in cells if c["text"] == "real" and _key(c)[3:] == (precision, strategy)]
            if chosen:
                same = sum(cell["identical"] for cell in chosen)
                parts.append(f"{same} of {sum(cell['sentences'] for cell in chosen)} ({precision}, {name})")
    return f"The same answer to real sentences: {', '.join(parts)}." if parts else ""


def _short(cells: list[Report]) -> list[str]:
    """A list of the cells under their target, or nothing."""
    short = [cell for cell in cells if cell["ratio"] < cell["target"]]
    if not short:
        return []
    lines = ["Under its target (in italics above), and where Verto's time goes there:", ""]
    for cell in short:
        name = f"{_SHAPES.get(cell['shape'], cell['shape'])}, {_TEXTS[cell['text']]}, {cell['precision']}"
        search = "beam 4" if cell["strategy"] == "beam" else cell["strategy"]
        ratio = f"{cell['ratio']:.2f} of {cell['target']:g}"
        lines.append(f"- {name}, {search}, batch {cell['batch']}: {ratio}; {cell['reason']}")
    return [*lines, ""]


def precision(report: Report) -> list[str]:
    lines = ["| search | precision | sentences equal | tokens equal | BLEU | chrF |", "|---" * 6 + "|"]
    for one in report["lines"]:
        search = "beam 4" if one["strategy"] == "beam" else one["strategy"]
        equal = [f"{100 * one[f'equal_{of}_share']:.1f} %" for of in ("sentences", "tokens")]
        scores = [_score(one, name) for name in ("bleu", "chrf")]
        lines.append(f"| {' | '.join([search, one['precision'], *equal, *scores])} |")
    count = f"{report['lines'][0]['sentences']:,} sentences."
    return [*lines, "", f"{count} {_source(report, 'precision')}"]


def _score(line: Report, name: str) -> str:
    """With its difference from that of float32; a dash where there were no references."""
    if line[name] is None:
        return "-"
    difference = "" if line["precision"] == "float32" else f" ({line[f'{name}_difference']:+.2f})"
    return f"{line[name]:.2f}{difference}"


def live_load(report: Report) -> list[str]:
    bound = report["bound_ms"]
    lines = [f"| server | highest rate with p99 under {bound:.0f} ms | Verto over it |", "|---|---|---|"]
    for name, server in report["servers"].items():
        ratio = report["rate_ratios"].get(name)
        lines.append(f"| {name} | {server['rate']:.1f} requests/s | {f'{ratio:.2f}' if ratio else ''} |")
    lines += ["", *_calm(report), _source(report, "live-load")]
    return lines


def _calm(report: Report) -> list[str]:
    calm = {name: windows for name, windows in report["calm"].items() if windows}
    if not calm:
        return []
    rate = next(iter(calm.values()))[0]["rate"]
    times = ", ".join(f"{name} {_median(windows):.0f} ms" for name, windows in calm.items())
    told = f"At {rate:.1f} requests/s (70 % of the highest rate of ctranslate2) the median is {times}"
    return [f"{told}: {report['calm_p50_ratio']:.2f} of the peer's.", ""]


def _median(windows: list[Report]) -> float:
    ordered = sorted(float(one["p50_ms"]) for one in windows)
    return ordered[len(ordered) // 2]


def cost_model(report: Report) -> list[str]:
    lines = [f"    {report['facts']['formula']}", ""]
    lines.append(
        "| precision | a, µs | f, µs per 1,000 | b, µs | c, ns | d, ns | e, µs per 1,000 | median error |"
    )
    lines.append("|---" * 8 + "|")
    for name in ("float32", "int8"):
        found = report[name]
        scales = {"a": 1e6, "f": 1e9, "b": 1e6, "c": 1e9, "d": 1e9, "e": 1e9}
        values = " | ".join(f"{scale * found['coefficients'][key]:.2f}" for key, scale in scales.items())
        lines.append(f"| {name} | {values} | {100 * found['median_error']:.0f} % |")
    return [*lines, "", _source(report, "cost-model")]


def training_speed(report: Report) -> list[str]:
    """A line for each side of each network and precision, Verto's first."""
    lines = ["| network | precision | side | target tokens a second | Verto over it | most memory |"]
    lines.append("|---" * 6 + "|")
    for cell in report["cells"]:
        for side, found in cell["sides"].items():
            over = "" if side == "Verto" else f"{found['ratio']:.2f}"
            peak = max(one["peak_bytes"] for one in cell["rounds"][side]) / 2**20
            network = _SHAPES.get(cell["shape"], cell["shape"])
            shown = f"{found['rate']:,.0f} | {over} | {peak:,.0f} MiB"
            lines.append(f"| {network} | {cell['precision']} | {side} | {shown} |")
    return [*lines, "", _source(report, "training-speed")]


def server_start(report: Report) -> list[str]:
    """Medians of the starts of each way, in the order in which ways first come."""
    lines = [
        "| precision | kernels | ready | first translation | API process | engine | together |",
        "|---" * 7 + "|",
    ]
    for precision, kernels in dict.fromkeys((one["precision"], one["kernels"]) for one in report["starts"]):
        ours = [one for one in report["starts"] if (one["precision"], one["kernels"]) == (precision, kernels)]
        names = ("ready_seconds", "first_seconds", "api_mb", "engine_mb")
        ready, first, api, engine = (statistics.median(one[name] for one in ours) for name in names)
        memory = f"{api:.0f} MB | {engine:.0f} MB | {api + engine:.0f} MB"
        lines.append(f"| {precision} | {kernels} | {ready:.1f} s | {first:.1f} s | {memory} |")
    return [*lines, "", _source(report, "server-start")]


def _source(report: Report, name: str) -> str:
    facts = report["facts"]
    threads = f"threads of the network: {facts['threads of the network']}"
    return (
        f"{facts['machine']}, {threads}, {facts['date']}, commit {facts['commit']}, `{facts['command']}` "
        f"([{name}.md](../loadtests/results/{name}.md))."
    )


TABLES: Mapping[str, Callable[[Report], list[str]]] = {
    "precision": precision,
    "bench": bench,
    "live-load": live_load,
    "cost-model": cost_model,
    "training-speed": training_speed,
    "server-start": server_start,
}


def with_tables(page: str, results: Path = RESULTS) -> str:
    """The page with every table between its marks made anew; empty where nothing has been measured yet."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = page.split(begin)
        path = results / f"{name}.json"
        lines = table(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []
        page = "\n".join([f"{before}{begin}", *lines, f"{end}{rest.split(end)[1]}"])
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
