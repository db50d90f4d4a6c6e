"""`python -m loadtests.gpu`: all that is to be measured on a GPU, in under nine minutes, as often as it is
cut off.

Knows: legs and their order, files, time. Must not know: what a leg does. A leg whose file is there is not
run again; one that fails leaves its reason, is run again next time, and does not keep the others from
running. Needs torch, sentencepiece, safetensors and sacrebleu; `transformers`, `ctranslate2` and what the
server needs where they are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from loadtests.gpu.correctness import correctness
from loadtests.gpu.profile import steps
from loadtests.gpu.served import served
from loadtests.gpu.setting import Setting
from loadtests.gpu.speed import speed
from loadtests.gpu.tables import TABLES
from loadtests.gpu.training import training
from loadtests.machine import run_facts
from loadtests.workload import workload
from model.devices import DeviceError, choose_device

LEGS: Mapping[str, Callable[[Setting], dict[str, Any]]] = {
    "correctness": correctness,
    "steps": steps,
    "speed": speed,
    "served": served,
    "training": training,
}
SECONDS = {
    "correctness": 150,
    "steps": 60,
    "speed": 240,
    "served": 160,
    "training": 150,
}  # about; else not begun
RESULTS = Path(__file__).resolve().parents[1] / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        setting = _setting(asked)
    except DeviceError as error:
        _say(str(error))
        return 2
    results: Path = asked.results
    results.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + asked.seconds
    outcomes = [_run(leg, setting, results, ends) for leg in asked.legs]
    report = _report(setting, results)
    _write(results / "gpu.md", report)
    sys.stdout.write(report)
    return 0 if all(outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a dry run")
    parser.add_argument("--tiny", action="store_true", help="small sizes: only to see that all legs run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--sentences", type=Path, help="text or TSV, references in column 2")
    parser.add_argument("--seconds", type=float, default=520, help="no leg is begun that would end later")
    parser.add_argument("--legs", nargs="+", choices=list(LEGS), default=list(LEGS), help="which, in order")
    return parser


def _setting(asked: argparse.Namespace) -> Setting:
    """Raises DeviceError."""
    count = 24 if asked.tiny else 1000
    return Setting(choose_device(asked.device), asked.tiny, workload(asked.sentences, count))


def _run(leg: str, setting: Setting, results: Path, ends: float) -> bool:
    """Whether the leg's result is there now."""
    file = results / f"gpu-{leg}.json"
    if file.exists():
        _say(f"{leg}: is there already, in {file.name}")
        return True
    left = ends - time.monotonic()
    if not setting.tiny and left < SECONDS[leg]:
        _say(f"{leg}: {left:.0f} s are left, it takes about {SECONDS[leg]}: run again")
        return False
    _say(f"{leg}: begun")
    began = time.monotonic()
    try:
        found = LEGS[leg](setting)
    except Exception:  # the other legs are still worth their time
        _say(f"{leg}: failed\n{traceback.format_exc()}")
        return False
    facts = run_facts(torch.get_num_threads()) | {"device": setting.name, "tiny": str(setting.tiny)}
    facts |= {"cuda": str(torch.version.cuda), "seconds": f"{time.monotonic() - began:.0f}"}
    _write(file, json.dumps({"facts": facts, **found}, indent=1) + "\n")
    return True


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _write(file: Path, text: str) -> None:
    """All of it or nothing."""
    waiting = file.with_suffix(".tmp")
    waiting.write_text(text, encoding="utf-8")
    waiting.replace(file)


def _report(setting: Setting, results: Path) -> str:
    parts = ["# Verto on a GPU\n"]
    for leg, tables in TABLES.items():
        file = results / f"gpu-{leg}.json"
        if not file.exists():
            parts.append(f"{leg}: not measured yet.\n")
            continue
        data = json.loads(file.read_text(encoding="utf-8"))
        facts = data["facts"]
        said = f"{facts['device']}, torch {facts['torch']}, {facts['date']}, commit {facts['commit']}"
        parts.append(f"{leg}: {said}, {facts['seconds']} s.\n\n{tables(data)}")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
