"""The picture of a run: drawn from whatever was recorded, as a PNG."""

import io

from matplotlib import image, pyplot

from training.curves import draw_curves


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


def test_a_run_too_short_for_any_record_is_drawn_too() -> None:
    assert draw_curves([], "short").startswith(b"\x89PNG")
