"""`python -m loadtests.gpu`: all that is to be measured on a GPU, in under nine minutes, as often as it is
cut off.

Knows: legs and their order, processes, files, time. Must not know: what a leg does. Each leg is a process of
its own with its own time, so that one that fails, hangs or loses the device does not keep the others from
running; what it had found is in its file then. A leg whose file is whole is not run again. `--earlier` takes
the files of a run before from another folder. A leg imports what it needs: what is not installed costs that
leg alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from loadtests.gpu.setting import Found, Setting
from loadtests.gpu.tables import TABLES
from loadtests.machine import ROOT, run_facts
from loadtests.workload import workload
from model.devices import DeviceError, choose_device

# About how many seconds each leg takes: with less left it is not begun.
LEGS: Mapping[str, int] = {"correctness": 120, "steps": 60, "speed": 190, "served": 150, "training": 130}
PATIENCE = 1.3  # times as long as it is thought to take: then a leg is ended
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
    if asked.inside:
        return _inside(asked.inside, setting, results)
    _bring(asked.earlier, results)
    ends = time.monotonic() + asked.seconds
    outcomes = [_run(leg, asked, results, ends) for leg in asked.legs]
    report = _report(results)
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
    parser.add_argument("--earlier", type=Path, help="folder of what was measured before, not to be again")
    parser.add_argument("--inside", choices=list(LEGS), help=argparse.SUPPRESS)
    return parser


def _setting(asked: argparse.Namespace) -> Setting:
    """Raises DeviceError."""
    count = 24 if asked.tiny else 1000
    return Setting(choose_device(asked.device), asked.tiny, workload(asked.sentences, count))


def _bring(earlier: Path | None, results: Path) -> None:
    if earlier is None:
        return
    for leg in LEGS:
        file = _file(earlier, leg)
        if file.exists() and not _is_whole(_file(results, leg)):
            shutil.copyfile(file, _file(results, leg))


def _run(leg: str, asked: argparse.Namespace, results: Path, ends: float) -> bool:
    """Whether the leg's whole result is there now."""
    if _is_whole(_file(results, leg)):
        _say(f"{leg}: is there already, in {_file(results, leg).name}")
        return True
    takes, left = LEGS[leg], ends - time.monotonic()
    if not asked.tiny and left < takes:
        _say(f"{leg}: {left:.0f} s are left, it takes about {takes}: run again")
        return False
    _say(f"{leg}: begun")
    how = _ended(_command(leg, asked, results), 20 * takes if asked.tiny else min(left, PATIENCE * takes))
    if how != "0":
        kept = "what it found until then is kept" if _file(results, leg).exists() else "it found nothing"
        _say(f"{leg}: failed ({how}); {kept}")
    return _is_whole(_file(results, leg))


def _command(leg: str, asked: argparse.Namespace, results: Path) -> list[str]:
    """A process for one leg, of the same options."""
    command = [sys.executable, "-m", "loadtests.gpu", "--inside", leg, "--device", asked.device]
    command += ["--results", str(results.resolve()), *(["--tiny"] if asked.tiny else [])]
    return command + (["--sentences", str(asked.sentences.resolve())] if asked.sentences else [])


def _ended(command: Sequence[str], seconds: float) -> str:
    """How it ended: its status, or that it did not in time; nothing that it started goes on then."""
    with subprocess.Popen(command, cwd=ROOT, process_group=0) as process:
        try:
            return str(process.wait(seconds))
        except subprocess.TimeoutExpired:
            return f"not over after {seconds:.0f} s"
        finally:  # a leg that crashed leaves its server behind as well as one that hangs
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _inside(leg: str, setting: Setting, results: Path) -> int:
    """The leg itself: its file grows with what it finds."""
    began = time.monotonic()
    setting = setting if setting.tiny else replace(setting, ends=began + LEGS[leg])
    found: dict[str, Any] = {}
    for found in _work(leg)(setting):
        _keep(leg, setting, results, found, began, whole=False)
    _keep(leg, setting, results, found, began, whole=True)
    return 0


def _work(leg: str) -> Callable[[Setting], Found]:
    """Imported only now, by the process that needs it."""
    match leg:
        case "correctness":
            from loadtests.gpu.correctness import correctness as work
        case "steps":
            from loadtests.gpu.profile import steps as work
        case "speed":
            from loadtests.gpu.speed import speed as work
        case "served":
            from loadtests.gpu.served import served as work
        case _:
            from loadtests.gpu.training import training as work
    return work


def _keep(
    leg: str, setting: Setting, results: Path, found: Mapping[str, Any], began: float, *, whole: bool
) -> None:
    facts = run_facts(torch.get_num_threads()) | {"device": setting.name, "tiny": str(setting.tiny)}
    facts |= {"cuda": str(torch.version.cuda), "seconds": f"{time.monotonic() - began:.0f}"}
    _write(_file(results, leg), json.dumps({"facts": facts, "whole": whole, **found}, indent=1) + "\n")


def _file(results: Path, leg: str) -> Path:
    return results / f"gpu-{leg}.json"


def _is_whole(file: Path) -> bool:
    return file.exists() and bool(json.loads(file.read_text(encoding="utf-8"))["whole"])


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _write(file: Path, text: str) -> None:
    """All of it or nothing."""
    waiting = file.with_suffix(".tmp")
    waiting.write_text(text, encoding="utf-8")
    waiting.replace(file)


def _report(results: Path) -> str:
    parts = ["# Verto on a GPU\n"]
    for leg, tables in TABLES.items():
        if not _file(results, leg).exists():
            parts.append(f"{leg}: not measured yet.\n")
            continue
        data = json.loads(_file(results, leg).read_text(encoding="utf-8"))
        facts = data["facts"]
        said = f"{facts['device']}, torch {facts['torch']}, {facts['date']}, commit {facts['commit']}"
        cut = "" if data["whole"] else ", cut off: the rest is missing"
        parts.append(f"{leg}: {said}, {facts['seconds']} s{cut}.\n\n{tables(data)}")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
