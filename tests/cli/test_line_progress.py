"""The line at the end says what was done; the bar moves on standard error and leaves nothing behind."""

import time

import pytest

from cli.line_progress import LineProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that a test sets."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_summary_counts_lines_tokens_and_time(clock: list[float]) -> None:
    with LineProgress(None, bar=False) as progress:
        progress.advance(1_500, 12_000, 0)
        progress.advance(500, 4_000, 3)
        clock[0] += 10
    clock[0] += 50
    text = "2,000 lines in 10.0 s: 200.0 lines/s, 1,600 tokens/s; 3 cut at a length limit"
    assert progress.summary() == text


def test_the_summary_of_nothing_has_no_rates(clock: list[float]) -> None:
    with LineProgress(0, bar=False) as progress:
        pass
    assert progress.summary() == "0 lines in 0.0 s"
    progress.advance(1, 0, 0)
    assert progress.summary().startswith("1 line in ")


def test_the_bar_shows_lines_and_rates_on_standard_error_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with LineProgress(20, bar=True, label="[news]") as progress:
        progress.advance(10, 100, 0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "[news]: 10 of 20 lines" in printed.err
    assert "lines/s" in printed.err
