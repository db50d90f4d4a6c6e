"""`verto train`: what is printed, the exit code, and one clear line for each fault of the user's."""

import gzip
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from model.native.library import BuildSettings
from tests.training.runs import recipe
from training.loss import smoothed_cross_entropy
from training.monitor import Monitor
from training.recipe_text import as_yaml

GENERATE = {"kind": "digit-reversal", "train_pairs": 200, "held_out_pairs": 5}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a recipe that needs no data."""
    monkeypatch.chdir(tmp_path)
    write_recipe(generate=GENERATE, max_steps=3)
    return tmp_path


def write_recipe(**sections: Any) -> None:
    Path("my.yaml").write_text(as_yaml(recipe(**sections)), encoding="utf-8")


def verto(arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["verto", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_a_finished_run_prints_where_its_bundle_lies(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verto(["train", "my.yaml"], monkeypatch) == 0
    captured = capsys.readouterr()
    assert captured.out == "runs/tiny/bundle\n"
    assert "dev loss" in captured.err
    assert (here / "runs" / "tiny" / "bundle" / "manifest.json").is_file()


def test_settings_and_folders_are_taken_from_the_command_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(max_steps=3, tokenizer={"vocab_size": 365})
    (here / "texts").mkdir()
    for name in ("train.tsv", "dev.tsv"):
        lines = [f"word {number} here\t{number} Wort hier\n" for number in range(100)]
        (here / "texts" / name).write_text("".join(lines), encoding="utf-8")
    options = ["--data", "texts", "--output", "there", "--set", "max_steps=2", "--set", "version='7'"]
    assert verto(["train", "my.yaml", *options], monkeypatch) == 0
    assert capsys.readouterr().out == "there/bundle\n"
    assert "# tiny 7: en to de" in (here / "there" / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_every_setting_is_shown_and_nothing_is_trained(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verto(["train", "my.yaml", "--set", "max_steps=7", "--show-settings"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert {"max_steps: 7", "  beta2: 0.98", "  position_offset: 0"} <= set(shown.splitlines())
    assert [path.name for path in here.iterdir()] == ["my.yaml"]
    Path("shown.yaml").write_text(shown, encoding="utf-8")
    assert verto(["train", "shown.yaml", "--show-settings"], monkeypatch) == 0
    assert capsys.readouterr().out == shown


def test_the_kernels_that_score_a_run_are_those_that_the_server_keeps(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[BuildSettings | None] = []

    def train(
        config: object, data: Path, folder: Path, kernels: BuildSettings | None, *others: object
    ) -> bool:
        asked.append(kernels)
        return True

    monkeypatch.setattr("training.run.train", train)
    assert verto(["train", "my.yaml"], monkeypatch) == 0
    monkeypatch.setenv("VERTO_KERNELS", "auto")
    monkeypatch.setenv("VERTO_CACHE_DIR", str(here / "cache"))
    monkeypatch.setenv("VERTO_CXX", "g++-12")
    assert verto(["train", "my.yaml"], monkeypatch) == 0
    assert asked == [None, BuildSettings(cache_dir=here / "cache", compiler="g++-12")]


def test_ctrl_c_saves_and_says_how_to_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = Monitor.at

    def pressed(self: Monitor, step: int, note: str) -> None:
        at(self, step, note)
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Monitor, "at", pressed)
    assert verto(["train", "my.yaml"], monkeypatch) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("stopped; the same command goes on from runs/tiny\n")
    monkeypatch.setattr(Monitor, "at", at)
    assert verto(["train", "my.yaml"], monkeypatch) == 0
    assert "resumed at step 2" in capsys.readouterr().err


def write_texts(here: Path, count: int = 100) -> None:
    text = "".join(f"word {number}\tWort {number}\n" for number in range(count))
    for name in ("train.tsv", "dev.tsv"):
        (here / name).write_text(text, encoding="utf-8")


def files_of(here: Path) -> dict[str, Any]:
    """What a fault could change for the worse: saved states, bundles, half-written files."""
    names = ("state.pt", "bundle", "snapshots")
    found = [path for path in here.rglob("*") if path.name in names or path.suffix in (".tmp", ".partial")]
    return {str(path): path.stat().st_mtime_ns for path in found}


FAULTS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "unknown key": (
        {"max_step": 1},
        [],
        "my.yaml: max_step is not a known setting (did you mean max_steps?)",
    ),
    "unknown key of the network": (
        {"model": {"d_modle": 1}},
        [],
        "my.yaml: model.d_modle is not a known setting (did you mean d_model?)",
    ),
    "bad value": (
        {"optimizer": {"warmup_steps": 0}},
        [],
        "my.yaml: optimizer.warmup_steps: Input should be greater than or equal to 1, got 0",
    ),
    "bad override": ({}, ["--set", "seed=-1"], "my.yaml: seed: Input should be greater than or equal to 0"),
    "missing text": (
        {"data": {"dev": [{"tsv": "no.tsv"}]}},
        [],
        "no.tsv: No such file or directory; --data names",
    ),
    "missing bundle to start from": (
        {"start_from": "gone"},
        [],
        "start_from must be the folder of a bundle, got gone (gone/manifest.json: No such file or directory)",
    ),
    "unreadable gzip": ({"data": {"train": [{"tsv": "bad.gz"}]}}, [], "bad.gz: Not a gzipped file"),
    "cut gzip": ({"data": {"train": [{"tsv": "cut.gz"}]}}, [], "cut.gz: Compressed file ended before"),
    "unequal sides": (
        {"data": {"train": [{"source": "train.tsv", "target": "short"}]}},
        [],
        "short: ends after line 1, ",
    ),
    "too few columns": ({"data": {"train": [{"tsv": "short"}]}}, [], "short: line 1 has 1 columns"),
    "vocabulary too large": (
        {"tokenizer": {"vocab_size": 9000, "kind": "unigram"}},
        [],
        "tokenizer.vocab_size: must be at most ",
    ),
    "no such device": ({"device": "cuda:99"}, [], "device must be one that torch sees"),
    "divergence": ({}, ["--set", "optimizer.peak_learning_rate=1"], "step 2: loss nan"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_one_clear_line_and_leaves_nothing_half_done(
    case: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sections, options, fault = FAULTS[case]
    write_texts(here)
    (here / "bad.gz").write_text("no gzip\n", encoding="utf-8")
    (here / "cut.gz").write_bytes(gzip.compress(b"a\tb\n" * 1000)[:-9])
    (here / "short").write_text("one line\n", encoding="utf-8")
    write_recipe(**{"max_steps": 3, "tokenizer": {"vocab_size": 365}, **sections})
    if case == "divergence":
        monkeypatch.setattr("training.update.smoothed_cross_entropy", broken_at_second_call())
    assert verto(["train", "my.yaml", "--data", ".", *options], monkeypatch) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("verto: ")
    assert fault in last
    assert files_of(here) == {}


def test_wrong_data_leaves_no_folder_of_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recipe(data=FAULTS["missing text"][0]["data"])
    before = sorted(here.iterdir())
    assert verto(["train", "my.yaml", "--data", "nowhere"], monkeypatch) == 2
    assert sorted(here.iterdir()) == before


def broken_at_second_call() -> Any:
    calls: list[int] = []

    def broken(*arguments: Any) -> Any:
        calls.append(1)
        return smoothed_cross_entropy(*arguments) * (float("nan") if len(calls) == 2 else 1.0)

    return broken


def test_a_damaged_state_is_one_clear_line_and_is_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verto(["train", "my.yaml"], monkeypatch) == 0
    state = here / "runs" / "tiny" / "state.pt"
    state.write_bytes(state.read_bytes()[:-100])
    before = files_of(here)
    capsys.readouterr()
    assert verto(["train", "my.yaml"], monkeypatch) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("verto: runs/tiny/state.pt: cannot be read")
    assert files_of(here) == before


def test_a_recipe_that_is_not_there_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verto(["train", "nowhere.yaml"], monkeypatch) == 2
    assert capsys.readouterr().err == "verto: nowhere.yaml: No such file or directory\n"


def test_without_the_training_packages_it_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "training.run", raising=False)
    monkeypatch.setitem(sys.modules, "training.config", None)
    assert verto(["train", "my.yaml"], monkeypatch) == 2
    assert "training needs, from the root of the clone: pip install '.[training]'" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stage", ["_prepared", "release"])
def test_a_signal_where_there_are_no_steps_says_how_to_go_on(
    here: Path,
    stage: str,
    number: signal.Signals,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def asked(*arguments: object) -> None:
        signal.raise_signal(number)

    with monkeypatch.context() as patches:
        patches.setattr(f"training.run.{stage}", asked)
        assert verto(["train", "my.yaml"], monkeypatch) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("verto: stopped; the same command goes on from runs/tiny\n")
    assert verto(["train", "my.yaml"], monkeypatch) == 0


def test_a_signal_while_raw_files_are_fetched_says_so_too(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.train.prepare", lambda *arguments: signal.raise_signal(signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # not the end of all tests, at worst
    try:
        assert verto(["train", "my.yaml", "--fetch"], monkeypatch) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "verto: stopped; the same command goes on\n"


def test_nothing_half_prepared_is_left_by_sigterm(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list[bool]()

    def asked(*arguments: object) -> None:
        found.append((here / "runs" / "tiny" / "prepared.partial").is_dir())
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("training.training_pairs._encode", asked)
    assert verto(["train", "my.yaml"], monkeypatch) == 143
    assert found == [True]
    assert not list((here / "runs" / "tiny").glob("prepared*"))


def test_what_is_no_bundle_in_its_place_is_told_before_the_first_step(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = here / "runs" / "tiny" / "bundle"
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("mine", encoding="utf-8")
    assert verto(["train", "my.yaml"], monkeypatch) == 2
    fault = "verto: runs/tiny/bundle: exists and is not a bundle; not replaced\n"
    assert capsys.readouterr().err.endswith(fault)
    assert not (here / "runs" / "tiny" / "prepared").exists()
    assert (place / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_reader_that_has_gone_ends_it_as_any_command(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(message: object, *, err: bool = False) -> None:
        if not err:
            raise BrokenPipeError

    monkeypatch.setattr("cli.train.typer.echo", gone)
    assert verto(["train", "my.yaml"], monkeypatch) == 141
    assert (here / "runs" / "tiny" / "bundle" / "manifest.json").is_file()


def test_a_leg_ends_in_time_and_the_same_command_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(generate=GENERATE, max_steps=100_000)
    assert verto(["train", "my.yaml", "--leg-seconds", "1"], monkeypatch) == 3
    assert "stopped; the same command goes on from runs/tiny" in capsys.readouterr().err
    assert (here / "runs" / "tiny" / "state.pt").is_file()


def test_a_leg_of_no_time_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verto(["train", "my.yaml", "--leg-seconds", "0"], monkeypatch) == 2
    assert "--leg-seconds" in capsys.readouterr().err
