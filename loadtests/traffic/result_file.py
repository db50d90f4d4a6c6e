"""A run as a JSON file: figures to read, samples to compare by.

Knows: the file's format. Must not know: how a run is made or shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtests.traffic.columns import decoded, encoded
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.figures import ALL, figures, tally
from loadtests.traffic.kinds import read_mix
from loadtests.traffic.plan import Plan, read_plan
from loadtests.traffic.run import Run
from loadtests.traffic.windows import Level, Scrape, Window

FORMAT, VERSION = "verto-loadtest", 1


def to_json(run: Run) -> str:
    """Times in milliseconds but where a name says seconds; null where there was nothing."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "facts": dict(run.facts),
        "notes": list(run.notes),
        "stopped": run.stopped,
        "scenario": run.plan.scenario(),
        "figures": {level.name: _figures(run, level) for level in run.levels},
        "windows": [_window(one) for one in run.windows],
    }
    return json.dumps(_without_nan(content), separators=(",", ":"), ensure_ascii=False) + "\n"


def kinds_of(plan: Plan) -> list[str]:
    """All together, then each where there are several."""
    kinds = read_mix(plan.asking.traffic).kinds
    return [ALL, *kinds] if len(kinds) > 1 else [ALL]


def _figures(run: Run, level: Level) -> dict[str, Any]:
    windows, limits = run.at(level), run.plan.limits
    return {
        kind: {
            **asdict(tally(windows, limits, kind)),
            **{one.name: round(one.of(windows, kind), 2) for one in figures(limits)},
        }
        for kind in kinds_of(run.plan)
    }


def _window(one: Window) -> dict[str, Any]:
    scrapes = {name: [scrape.values.get(name) for scrape in one.scrapes] for name in _names(one.scrapes)}
    return {
        "level": asdict(one.level),
        "round": one.round,
        "began_at": round(one.began_at, 3),
        "seconds": one.seconds,
        "metrics": {"at_seconds": [scrape.at for scrape in one.scrapes], **scrapes},
        "samples": encoded(one.samples),
    }


def _names(scrapes: Sequence[Scrape]) -> list[str]:
    return list(dict.fromkeys(name for scrape in scrapes for name in scrape.values))


def _without_nan(value: Any) -> Any:
    """JSON has no such number."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def read_run(path: Path) -> Run:
    """Of a file that `to_json` has filled. Raises LoadTestError, `OSError`."""
    hint = "give files that `verto loadtest run` has written"
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise LoadTestError(f"{path} is no JSON ({error}); {hint}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LoadTestError(f'{path} is no result of a load test (no "format": "{FORMAT}"); {hint}')
    if content.get("version") != VERSION:
        raise LoadTestError(
            f"{path} has version {content.get('version')!r} of the format, this is {VERSION}; {hint}"
        )
    try:
        windows = [_read_window(one) for one in content["windows"]]
        plan, stopped = read_plan(content["scenario"]), str(content["stopped"])
        return Run(plan, content["facts"], windows, content["notes"], stopped)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise LoadTestError(f"{path} is damaged ({type(error).__name__}: {error}); {hint}") from None


def _read_window(content: Mapping[str, Any]) -> Window:
    metrics = dict(content["metrics"])
    moments = metrics.pop("at_seconds")
    scrapes = [
        Scrape(at, {name: row[place] for name, row in metrics.items() if row[place] is not None})
        for place, at in enumerate(moments)
    ]
    return Window(
        Level(**content["level"]),
        content["round"],
        content["began_at"],
        content["seconds"],
        decoded(content["samples"]),
        scrapes,
    )
