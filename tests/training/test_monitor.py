"""Records, log lines and the bar: what is kept, what a resumed run forgets, what a log file shows."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from training.monitor import Monitor, read_metrics


def test_records_come_back_in_order_of_steps(tmp_path: Path) -> None:
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(0)
        monitor.record(20, loss=2.0)
        monitor.record(10, loss=3.0)
        monitor.record(20, dev_loss=1.5)
    assert read_metrics(tmp_path) == [
        {"step": 10, "loss": 3.0},
        {"step": 20, "loss": 2.0, "dev_loss": 1.5},
    ]


def test_of_a_step_that_was_made_twice_the_later_record_counts(tmp_path: Path) -> None:
    for loss in (2.0, 1.0):
        with Monitor(tmp_path, 100) as monitor:
            monitor.record(10, loss=loss)
    assert read_metrics(tmp_path) == [{"step": 10, "loss": 1.0}]


def test_a_resumed_run_keeps_its_past_and_forgets_what_was_ahead(tmp_path: Path) -> None:
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(0)
        for step in (10, 20, 30):
            monitor.record(step, loss=step / 10)
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(20)
        monitor.record(25, loss=7.0)
    assert [line["step"] for line in read_metrics(tmp_path)] == [10, 20, 25]


def test_a_run_that_starts_anew_has_no_past(tmp_path: Path) -> None:
    with Monitor(tmp_path, 100) as monitor:
        monitor.record(10, loss=1.0)
        monitor.start_at(0)
    assert read_metrics(tmp_path) == []


def test_a_line_that_a_crash_cut_off_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 2}\n[1]\n{"step": "x"}\n{"step": 2, "lo', encoding="utf-8"
    )
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2}]
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(5)
        monitor.record(6, loss=1.0)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 6]


def test_a_folder_without_records_has_none(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


def test_tensorboard_shows_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The files' names end with a number counted in the process; "10" sorts before "9".
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(0)
        for step in (10, 20):
            monitor.record(step, loss=step / 10, dev_bleu=5.0)
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(10)
        monitor.record(30, loss=9.0)
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert [(event.step, event.value) for event in shown.Scalars("loss")] == [(10, 1.0), (30, 9.0)]
    assert "dev_bleu" in shown.Tags()["scalars"]


def test_a_log_file_gets_plain_dated_lines_and_no_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(0)
        monitor.say("loss [bold]1.5[/bold] :cat: " + "x" * 300)
        monitor.at(50, "loss 1.5")
        with monitor.counting("translating", 10) as done:
            done(5)
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line[8:] == " loss [bold]1.5[/bold] :cat: " + "x" * 300
    assert "\x1b" not in line


def test_a_terminal_gets_a_bar_with_the_step_and_the_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, highlight=False, markup=False)
    monkeypatch.setattr("training.monitor.Console", lambda **options: terminal)
    with Monitor(tmp_path, 100) as monitor:
        monitor.start_at(20)
        monitor.at(50, "loss [1.5]")
        with monitor.counting("translating dev", 10) as done:
            done(4)
            done(3)
            assert monitor._bar.tasks[-1].completed == 7
            monitor.say("a line above")
    assert "loss [1.5]" in screen.getvalue()
    assert "50/100" in screen.getvalue()
    assert "a line above" in screen.getvalue()
    assert "translating dev" in screen.getvalue()
