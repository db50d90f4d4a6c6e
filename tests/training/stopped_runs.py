"""Runs of two processes that end before their time; test_stopped_runs.py reads what they leave behind.

This process plays torchrun: it starts two, passes signals on, and asks the other one to end when one has
failed. It forks them, for torch takes seconds to import. Run: python -m tests.training.stopped_runs FOLDER
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch._dynamo  # imported once, here, and not by every process
import torch.utils.tensorboard  # noqa: F401
import yaml
from torch.distributed import TCPStore

import training.run  # noqa: F401
from cli.main import main as verto
from tests.training.shared_runs import whole_recipe
from training.trainer import Trainer

LIMIT_SECONDS = 25.0  # torchrun kills after 30


@dataclass(frozen=True)
class Case:
    """Process `rank` waits, or dies, in the function `stage`; both are `sent` signals while it waits."""

    stage: str
    sent: tuple[signal.Signals, ...] = ()
    rank: int = 0
    call: int = 1  # of the stage: the first, the second ...
    seconds: float = 60.0
    dies: bool = False  # without a word
    fails: bool = False  # for want of memory


CTRL_C = (signal.SIGINT, signal.SIGINT)  # the terminal's, and torchrun's own
CASES = {
    "preparing": Case("training.training_pairs._encode", (signal.SIGTERM,)),
    "the other opens what is prepared": Case("training.run.prepare", CTRL_C, rank=1),
    "last look": Case("training.trainer.look", CTRL_C, seconds=1),
    "saving": Case("training.trainer.save_state", CTRL_C, call=2, seconds=1),
    "scoring": Case("training.release.score_text", CTRL_C),
    "writing the bundle": Case("model.checkpoint.write_manifest", (signal.SIGTERM,)),
    "the other is killed in a step": Case("training.trainer.Trainer._step", rank=1, call=2, dies=True),
    "the other fails before they meet": Case("training.run._device", rank=1, fails=True),
}


def lies_in_wait(case: Case, at_stage: int) -> None:
    """From now on the stage tells that it is reached, and waits or dies there."""
    owner, name = case.stage.rsplit(".", 1)
    place: Any = Trainer if owner.endswith(".Trainer") else importlib.import_module(owner)
    real, calls = getattr(place, name), list[None]()

    def met(*arguments: Any, **options: Any) -> Any:
        calls.append(None)
        if len(calls) == case.call:
            os.write(at_stage, b".")
            if case.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            if case.fails:
                raise MemoryError
            time.sleep(case.seconds)
        return real(*arguments, **options)

    setattr(place, name, met)


def train(rank: int, port: int, run_folder: Path, case: Case | None, at_stage: int) -> None:
    """What torchrun's process `rank` does, to its end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    own |= {"TORCHELASTIC_RUN_ID": 1, "TORCHELASTIC_USE_AGENT_STORE": True}
    os.environ |= {name: str(value) for name, value in own.items()}
    for number, name in enumerate(("out", "err"), 1):
        file = run_folder.with_name(f"{run_folder.name}.{rank}.{name}").open("a", encoding="utf-8")
        os.dup2(file.fileno(), number)
        setattr(sys, f"std{name}", file)
    if case is not None and case.rank == rank:
        lies_in_wait(case, at_stage)
    sys.argv = ["verto", "train", str(run_folder.with_name("recipe.yaml")), "--output", str(run_folder)]
    verto()


def ended(run_folder: Path, case: Case | None) -> dict[str, Any]:
    """The exit codes of two processes, and the seconds from the signal, or the first end, to the last."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    stage, at_stage = os.pipe()
    pids = [forked(rank, store.port, run_folder, case, at_stage) for rank in (0, 1)]
    os.close(at_stage)
    if case is not None:
        os.read(stage, 1)
        time.sleep(0.2)  # the other one has nothing else to do than to wait
        for number in case.sent:
            tell(pids, number)
            time.sleep(0.01)
    os.close(stage)
    started = time.monotonic()
    codes = waited_for(pids, started + LIMIT_SECONDS if case is not None else started + 200)
    return {"codes": codes, "seconds": time.monotonic() - started}


def forked(rank: int, port: int, run_folder: Path, case: Case | None, at_stage: int) -> int:
    pid = os.fork()
    if not pid:
        code: Any = 99
        try:
            train(rank, port, run_folder, case, at_stage)
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return pid


def tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        if pid:
            os.kill(pid, number)


def waited_for(pids: list[int], limit: float) -> list[int]:
    """As torchrun does: when one has failed, the others are asked to end, and killed when they do not."""
    codes = [0, 0]
    left, told = list(pids), False
    while any(left):
        for rank, pid in enumerate(left):
            if pid and (status := os.waitpid(pid, os.WNOHANG))[0]:
                codes[rank], left[rank] = os.waitstatus_to_exitcode(status[1]), 0
        if any(codes) and not told:
            told = True
            tell(left, signal.SIGTERM)
        if time.monotonic() > limit:
            tell(left, signal.SIGKILL)
        time.sleep(0.02)
    return codes


def report(folder: Path, name: str, case: Case) -> dict[str, Any]:
    """How the run ended, what it left, and what the same command made of that."""
    run_folder = folder / name.replace(" ", "-")
    first = ended(run_folder, case)
    names = [path.name for path in run_folder.rglob("*")] if run_folder.is_dir() else []
    said = [run_folder.with_name(f"{run_folder.name}.{rank}.err").read_text("utf-8") for rank in (0, 1)]
    left = {"said": said, "left": names}
    return first | left | {"resumed": ended(run_folder, None)["codes"]} | made(run_folder)


def made(run_folder: Path) -> dict[str, str]:
    return {"weights": hashlib.sha256((run_folder / "bundle" / "model.safetensors").read_bytes()).hexdigest()}


def main(folder: Path) -> None:
    recipe = whole_recipe() | {"test": [{"name": "test", "tsv": "test.tsv"}]}
    recipe["model"] = recipe["model"] | {"dropout": 0.3}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    straight = ended(folder / "straight", None) | made(folder / "straight")
    reports = {name: report(folder, name, case) for name, case in CASES.items()}
    (folder / "reports.json").write_text(json.dumps({"straight": straight} | reports), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
