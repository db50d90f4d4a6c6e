"""The one command for a GPU: resumed leg by leg, told what is missing, and floors that are sums by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from loadtests.gpu import __main__ as command_module
from loadtests.gpu import profile, served
from loadtests.gpu.floor import Ceiling, batch_floor, decoder_weights, step_floor
from loadtests.gpu.peers import generate, verto
from loadtests.gpu.setting import FORCED_TOKENS, Setting
from loadtests.gpu.speed import _cell, _sources
from loadtests.gpu.tables import training_tables
from loadtests.gpu.training import training, training_operations
from loadtests.workload import made_up
from tests.builders import tiny_config, tiny_model

SETTING = Setting(torch.device("cpu"), tiny=True, sentences=made_up(4))


@pytest.fixture
def legs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Legs whose processes write down their names; "steps" ends half way the first time, by a signal."""
    log, half = tmp_path / "log", tmp_path / "half"
    program = f"""
import json, os, pathlib, sys
leg, results = sys.argv[1], pathlib.Path(sys.argv[2])
with open({str(log)!r}, "a") as log:
    log.write(leg + " ")
is_half = leg == "steps" and not os.path.exists({str(half)!r})
facts = dict(device="none", torch="2", date="today", commit="c", seconds="1")
file = results / f"gpu-{{leg}}.json"
file.write_text(json.dumps(dict(facts=facts, whole=not is_half, found=leg)))
if is_half:
    open({str(half)!r}, "w").close()
    os.kill(os.getpid(), 11)
"""

    def command(leg: str, asked: object, results: Path) -> list[str]:
        return [sys.executable, "-c", program, leg, str(results)]

    monkeypatch.setattr(command_module, "_command", command)
    monkeypatch.setattr(
        command_module,
        "TABLES",
        {name: lambda data: f"table of {data['found']}" for name in command_module.LEGS},
    )
    return log


def run(folder: Path, *more: str) -> int:
    return command_module.main(["--device", "cpu", "--results", str(folder), *more])


def test_a_leg_that_was_cut_off_is_run_again_and_one_that_is_whole_is_not(
    tmp_path: Path, legs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert run(results, "--tiny") == 1
    told = capsys.readouterr()
    assert "steps: failed (-11); what it found until then is kept" in told.err
    assert "1 s, cut off: the rest is missing.\n\ntable of steps" in told.out
    assert run(results, "--tiny") == 0
    assert legs.read_text().split() == ["correctness", "steps", "speed", "served", "training", "steps"]
    assert "cut off" not in (results / "gpu.md").read_text()


def test_what_was_measured_before_is_brought_from_another_folder(tmp_path: Path, legs: Path) -> None:
    assert run(tmp_path / "first", "--tiny") == 1
    assert run(tmp_path / "second", "--tiny", "--earlier", str(tmp_path / "first")) == 0
    assert legs.read_text().split()[-2:] == ["training", "steps"]


def test_no_leg_begins_that_would_end_too_late(
    tmp_path: Path, legs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "results", "--seconds", "100") == 1
    assert legs.read_text().split() == ["steps"]
    assert "speed: 100 s are left, it takes about 190: run again" in capsys.readouterr().err


def test_a_leg_that_hangs_is_ended_with_all_that_it_started() -> None:
    hanging = "import subprocess, sys; print(subprocess.Popen(['sleep', '60.125']).wait())"
    assert command_module._ended([sys.executable, "-c", hanging], 1.0) == "not over after 1 s"
    crashing = "import os, subprocess; subprocess.Popen(['sleep', '60.125']); os.abort()"
    assert command_module._ended([sys.executable, "-c", crashing], 10.0) == "-6"
    assert "60.125" not in subprocess.run(["ps", "-A", "-o", "args"], capture_output=True, text=True).stdout


@pytest.mark.timeout(300)
def test_a_leg_runs_in_a_process_of_its_own_and_imports_what_it_needs(tmp_path: Path) -> None:
    assert run(tmp_path, "--tiny", "--legs", "steps") == 0
    data = json.loads((tmp_path / "gpu-steps.json").read_text())
    assert data["whole"]
    assert (data["facts"]["tiny"], data["facts"]["device"]) == ("True", "a processor (dry run)")
    assert "Ways: GatheredAttend, PlainBetween, PlainFinish." in (tmp_path / "gpu.md").read_text()
    loaded = "import sys, loadtests.gpu.__main__; print('pydantic' in sys.modules, 'fastapi' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert seen.split() == ["False", "False"]


def test_the_server_is_started_on_the_gpu_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*asked: str) -> None:
        raise RuntimeError(" ".join(asked))

    monkeypatch.setattr(served, "running_server", refused)
    with pytest.raises(RuntimeError, match="--device cuda:1 "):
        next(served.served(replace(SETTING, device=torch.device("cuda:1"))))


def test_nothing_is_timed_after_the_profiler_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[str]()

    def noting(name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*asked: Any) -> Any:
            done.append(name)
            return own(*asked)

        return noted

    for name in ("timed", "largest"):
        monkeypatch.setattr(profile._Prepared, name, noting(name, getattr(profile._Prepared, name)))
    *_, found = profile.steps(SETTING)
    assert (len(found["steps"]), len(found["kernels"])) == (6, 2)
    assert done == ["timed"] * 6 + ["largest"] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_module.main(["--results", str(tmp_path)]) == 2
    assert "got 'cuda'" in capsys.readouterr().err


def test_the_floor_of_a_step_is_the_larger_of_bytes_and_operations() -> None:
    config = tiny_config()
    weights = 2 * (6 * 32**2 + 2 * 32 * 64) + 32 * 24
    assert decoder_weights(config) == weights
    slow_memory, slow_products = Ceiling(1.0, 1e30), Ceiling(1e30, 1.0)
    positions = 8 * 5 + 2 * 7  # of rows and of sources
    num_bytes = 2 * (weights + 2 * 2 * 32 * positions)
    assert step_floor(config, slow_memory, 8, 2, 5, 7, 2) == pytest.approx(num_bytes)
    operations = 2 * weights * 8 + 2 * 2 * 2 * 32 * 8 * (5 + 7)
    assert step_floor(config, slow_products, 8, 2, 5, 7, 2) == pytest.approx(operations)
    assert batch_floor(config, slow_products, 2, 4, 3) > 3 * step_floor(config, slow_products, 8, 2, 1, 3, 2)


def test_a_cell_has_both_sides_with_the_same_answers_of_the_asked_length() -> None:
    model = SETTING.base().float()
    sides = {"verto": verto(model, SETTING, 8), "generate": generate(model, SETTING)}
    line = _cell(sides, model.config, SETTING, Ceiling(1e9, 1e9), 1, 2)
    assert not line["failed"]
    for side in line["sides"].values():
        assert side["tokens_of_first"] in (FORCED_TOKENS - 1, FORCED_TOKENS)
        assert side["tokens_per_second"] > 0
    assert line["sides"]["verto"]["same_as_verto"] == 1.0


def test_a_side_that_fails_leaves_the_others_their_figures() -> None:
    def broken(sources: object, width: int) -> list[tuple[int, ...]]:
        raise RuntimeError("out of memory")

    model = tiny_model(0)
    line = _cell({"peer": broken}, model.config, SETTING, Ceiling(1e9, 1e9), 1, 2)
    assert line["failed"] == {"peer": "RuntimeError: out of memory"}
    assert line["sides"] == {}


def test_sources_are_of_one_length_and_end() -> None:
    config = tiny_config()
    for source in _sources(config, 5):
        assert len(source) == FORCED_TOKENS
        assert source[-1] == config.eos_id
        assert config.pad_id not in source


def test_operations_of_a_training_step_are_thrice_those_of_its_products() -> None:
    """Six for each weight and token, and those of attention."""
    config = tiny_config()
    layer_weights = 4 * 32**2 + 2 * 32 * 64
    cross = 4 * 32**2
    weights = 2 * layer_weights + 2 * (layer_weights + cross) + 32 * 24
    attention = (2 + 2 + 2) * 2 * 32 * 7 * 7  # layers, and two products of each
    assert training_operations(config, 5, 7, 7) == 6 * 5 * (7 * weights + attention)


def test_a_cell_of_training_that_fails_leaves_the_others_their_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    *_, found = training(SETTING)
    assert [(line["shape"], line["compiled"]) for line in found["lines"]] == [("base", False), ("big", False)]
    assert found["failed"]["big, compiled"] == "RuntimeError: no compiler"
    assert "no compiler" in training_tables(found)
    assert all(line["share_of_rate"] > 0 for line in found["lines"])
