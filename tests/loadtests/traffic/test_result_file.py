"""A run comes back from its file, and whatever else is given is told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.traffic.columns import decoded, encoded
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import BATCH, TRANSLATE
from loadtests.traffic.result_file import read_run, to_json
from loadtests.traffic.samples import OUTCOMES, Sample
from tests.loadtests.traffic.builders import run_of, sample, stream, window

milliseconds = st.integers(0, 50_000).map(lambda tenths: tenths / 10_000)
some = st.one_of(
    st.builds(
        sample,
        due=milliseconds,
        sent=milliseconds,
        latency=milliseconds,
        outcome=st.sampled_from(OUTCOMES),
        kind=st.sampled_from([TRANSLATE, BATCH]),
    ),
    st.builds(stream, milliseconds, milliseconds, milliseconds),
)


@given(st.lists(some, max_size=8))
def test_samples_come_back_from_columns_to_a_tenth_of_a_millisecond(samples: list[Sample]) -> None:
    found = decoded(json.loads(json.dumps(encoded(samples))))
    assert [(a.kind, a.verdict, a.status, a.characters) for a in found] == [
        (b.kind, b.verdict, b.status, b.characters) for b in samples
    ]
    for one, other in zip(found, samples, strict=True):
        assert one.latency == pytest.approx(other.latency, abs=1e-4)
        assert one.lateness == pytest.approx(other.lateness, abs=1e-4)
        assert one.arrivals == pytest.approx(other.arrivals, abs=2e-4)


def written(folder: Path) -> Path:
    path = folder / "a.json"
    path.write_text(to_json(run_of([window([sample(), stream(0.1, 0.2, 0.3)]), window([], number=1)])))
    return path


def test_a_run_comes_back_from_its_file(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    assert run.plan == run_of(run.windows).plan
    assert [len(one.samples) for one in run.windows] == [2, 0]
    assert run.windows[0].scrapes[0].values == {"running_rows": 3.0, "backlog_seconds": 0.1}
    assert json.loads(to_json(run)) == json.loads(written(tmp_path).read_text())


def test_the_file_holds_figures_to_read_and_no_number_that_json_lacks(tmp_path: Path) -> None:
    content = json.loads(
        written(tmp_path).read_text(), parse_constant=lambda name: pytest.fail(f"{name} in the file")
    )
    figures = content["figures"]["10/s"]
    assert (figures["all"]["done"], figures["stream"]["done"]) == (2, 1)
    assert figures["translate"]["first text p50"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: "{", "is no JSON"),
        (lambda content: "[1]", "is no result of a load test"),
        (lambda content: "{}", "is no result of a load test"),
        (lambda content: json.dumps(content | {"version": 99}), "has version 99 of the format, this is 1"),
        (lambda content: json.dumps(content | {"windows": 3}), "is damaged (TypeError"),
        (lambda content: json.dumps({k: v for k, v in content.items() if k != "scenario"}), "'scenario'"),
        (lambda content: json.dumps(content | {"windows": [{"level": {}}]}), "is damaged"),
    ],
    ids=["half", "list", "other", "newer", "number", "less", "window"],
)
def test_another_file_is_refused_by_name_with_the_next_step(change: Any, words: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(LoadTestError) as error:
        read_run(path)
    assert words in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "give files that `verto loadtest run` has written" in str(error.value)
