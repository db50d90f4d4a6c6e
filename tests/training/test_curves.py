"""The picture of a run: drawn from whatever was recorded, as a PNG."""

import io
import json
from pathlib import Path

from matplotlib import image, pyplot

from training.curves import METRICS_FILE, draw_curves, draw_runs, kept_metrics
from training.monitor import Monitor, read_metrics


def test_a_run_is_drawn_as_a_png_and_no_figure_stays_open() -> None:
    metrics = [
        {"step": 100, "loss": 5.0, "learning_rate": 1e-3, "tokens_per_second": 2000.0},
        {"step": 200, "loss": 4.0, "dev_loss": 3.5, "dev_bleu": 12.0, "dev_chrf": 30.0},
    ]
    picture = draw_curves(metrics, "en-de")
    pixels = image.imread(io.BytesIO(picture), format="png")
    assert pixels.shape[0] > 400
    assert pixels.shape[1] > 600
    assert pixels.std() > 0.01  # something is drawn
    assert pyplot.get_fignums() == []


def test_more_records_are_another_picture() -> None:
    one, two = [{"step": 100, "loss": 5.0}], [{"step": 100, "loss": 5.0}, {"step": 200, "loss": 1.0}]
    assert draw_curves(one, "x") != draw_curves(two, "x")


def test_what_was_recorded_once_is_seen() -> None:
    metrics = [{"step": 100, "loss": 5.0}, {"step": 200, "loss": 4.0, "dev_bleu": 12.0}]
    figure = draw_runs({"short": metrics}, ("red",))
    loss, score, *_ = figure.axes
    assert [line.get_marker() for line in (*loss.lines, *score.lines)] == ["", "o"]
    pyplot.close(figure)


def test_a_run_too_short_for_any_record_is_drawn_too() -> None:
    assert draw_curves([], "short").startswith(b"\x89PNG")


def test_several_runs_share_the_panels_and_are_told_apart() -> None:
    runs = {"new": [{"step": 1, "loss": 5.0, "dev_bleu": 2.0}], "old": [{"step": 1, "loss": 6.0}]}
    figure = draw_runs(runs, ("red", "blue"))
    loss, score, _, rate, *_ = figure.axes
    assert [line.get_label() for line in loss.lines] == [
        "new: training (label-smoothed)",
        "old: training (label-smoothed)",
    ]
    assert [line.get_color() for line in loss.lines] == ["red", "blue"]
    assert [line.get_label() for line in score.lines] == ["new: BLEU"]
    assert list(rate.lines) == []
    pyplot.close(figure)


def test_a_bundle_keeps_what_a_run_recorded(tmp_path: Path) -> None:
    with Monitor(tmp_path, 3) as monitor:
        monitor.start_at(0)
        monitor.record(1, loss=2.5)
    recorded = read_metrics(tmp_path)
    (tmp_path / METRICS_FILE).unlink()  # the name under which it was recorded
    (tmp_path / METRICS_FILE).write_bytes(kept_metrics(recorded))
    assert read_metrics(tmp_path) == recorded == [{"step": 1, "loss": 2.5}]


def test_of_a_long_run_some_records_are_kept_and_all_dev_scores() -> None:
    metrics = [{"step": n, "loss": 1.0} | ({"dev_loss": 2.0} if n % 7 == 6 else {}) for n in range(40)]
    kept = [json.loads(line) for line in kept_metrics(metrics, most=10).decode().splitlines()]
    assert {one["step"] for one in kept} == set(range(0, 40, 4)) | set(range(6, 40, 7))
    assert kept_metrics([]) == b""
