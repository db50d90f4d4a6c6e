"""Two processes learn what one learns from the same batches, stop together, and can be one again.

The processes are torchrun's, on this machine, over gloo; `shared_runs` is what they do.
"""

import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.distributed.run import get_args_parser

from cli.main import main as verto
from model.checkpoint import load_bundle
from tests.contracts.project import ROOT
from tests.training.runs import ListeningMonitor, config
from tests.training.shared_runs import SHARED, STOPPED_AFTER, curve_of, made, whole_recipe
from training.distributed import World
from training.errors import RecipeError
from training.monitor import read_metrics
from training.trainer import Trainer

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Shared:
    """What two processes left behind."""

    folder: Path
    reports: list[dict[str, Any]]
    printed: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(whole_recipe()), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.shared_runs", str(folder)]
    code, printed, errors = outcome(command)
    assert code == 0, errors
    reports = [json.loads((folder / f"report-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
    return Shared(folder, reports, printed)


def outcome(command: list[str], limit_seconds: float = 240) -> tuple[int, str, str]:
    """Exit code and output. At its limit torchrun is asked to end, as only it can end its processes."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as torchrun:
        try:
            printed, errors = torchrun.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            torchrun.terminate()
            printed, errors = torchrun.communicate()
    return torchrun.returncode, printed, errors


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, list[tuple[float, float, int]]]:
    """The same run in one process: the same batches make a step."""
    run = made(tmp_path_factory.mktemp("alone"), World(), SHARED, ListeningMonitor())
    curve = curve_of(run)
    assert run.run()
    return run, curve


def test_two_processes_have_the_loss_curve_of_one(
    shared: Shared, alone: tuple[Trainer, list[tuple[float, float, int]]]
) -> None:
    for report in shared.reports:
        assert len(report["curve"]) == SHARED["max_steps"]
        for (loss, norm, tokens), (own_loss, own_norm, own_tokens) in zip(
            report["curve"], alone[1], strict=True
        ):
            assert tokens == own_tokens
            assert loss == pytest.approx(own_loss, rel=1e-5)
            assert norm == pytest.approx(own_norm, rel=1e-4)
        assert report["target_tokens"] == alone[0].progress.target_tokens


def test_every_process_ends_with_the_same_weights_bit_for_bit(shared: Shared) -> None:
    first, second = shared.reports
    assert first["weights"] == second["weights"]


def test_a_shared_run_that_one_process_was_asked_to_stop_resumes_bit_for_bit(shared: Shared) -> None:
    for report in shared.reports:
        assert report["resumed"] == report["weights"]


def test_one_process_goes_on_with_what_two_began(
    shared: Shared, alone: tuple[Trainer, list[tuple[float, float, int]]], tmp_path: Path
) -> None:
    shutil.copy(shared.folder / "resumed" / "stopped.pt", tmp_path / "state.pt")
    run = made(tmp_path, World(), SHARED, ListeningMonitor())
    assert run.progress.step == STOPPED_AFTER
    curve = curve_of(run)
    assert run.run()
    for (loss, _, tokens), (own_loss, _, own_tokens) in zip(curve, alone[1][STOPPED_AFTER:], strict=True):
        assert tokens == own_tokens
        assert loss == pytest.approx(own_loss, rel=1e-4)


def test_all_processes_end_when_the_first_one_sees_no_progress(shared: Shared) -> None:
    (ended, step), other = (report["early"] for report in shared.reports)
    assert ended
    assert 1 < step < 200
    assert other == [ended, step]


def test_a_step_that_cannot_be_shared_evenly_is_refused(shared: Shared) -> None:
    for report in shared.reports:
        assert report["refused"] == (
            "batch.batches_per_update must be a multiple of the 2 processes, got 3; a step is shared evenly"
        )


def test_a_whole_run_by_two_processes_leaves_one_bundle_and_says_so_once(shared: Shared) -> None:
    folder = shared.folder / "whole"
    assert shared.printed.splitlines() == [str(folder / "bundle")]
    assert load_bundle(folder / "bundle").info.name == "tiny"
    assert [line["step"] for line in read_metrics(folder)] == [2]


def test_no_thread_of_the_group_outlives_it(shared: Shared) -> None:
    """One that does may abort the process, which ends meanwhile."""
    for rank in (0, 1):
        assert json.loads((shared.folder / f"threads-{rank}.json").read_text(encoding="utf-8")) == []


# Alone


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # as other launchers set it
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    world = World.of_torchrun()
    assert world == World(0, 1, 0)
    with world.joined(torch.device("cpu")):
        assert not torch.distributed.is_initialized()
        assert world.total(7) == 7
        assert world.from_main("a") == "a"
        assert math.isnan(world.sum(torch.tensor(math.nan)))
        world.wait()


def test_a_process_of_torchrun_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"TORCHELASTIC_RUN_ID": "1", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    world = World.of_torchrun()
    assert world == World(3, 4, 1)
    assert not world.is_main


def test_each_process_takes_the_gpu_of_its_number() -> None:
    world = World(rank=3, size=4, local_rank=1)
    assert world.device("cuda") == torch.device("cuda:1")
    assert world.device("cpu") == torch.device("cpu")
    assert World().device("cuda:2") == torch.device("cuda:2")
    with pytest.raises(RecipeError, match=r"device must be cuda with 4 processes .*got cuda:0"):
        world.device("cuda:0")


def test_the_recipe_of_a_shared_run_is_one_of_one_process_too() -> None:
    assert config(**SHARED).batch.batches_per_update == 4


def test_torchrun_and_verto_understand_the_command_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"```sh\n(torchrun .*)\n```", page)
    arguments = get_args_parser().parse_args(shlex.split(command)[1:])
    assert (arguments.nproc_per_node, arguments.no_python, arguments.training_script) == ("2", True, "verto")
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)[0], encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["verto", *arguments.training_script_args, "--show-settings"])
    with pytest.raises(SystemExit) as ended:
        verto()
    assert not ended.value.code
    assert "batches_per_update: 2" in capsys.readouterr().out
