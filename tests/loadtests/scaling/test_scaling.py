"""Inputs are read and not made up, scenarios say what they must, and the whole program writes its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.report import RESULTS
from loadtests.scaling import __main__ as program
from loadtests.scaling import findings
from loadtests.scaling.capacity import cache_bytes, million_characters
from loadtests.scaling.fleet import Assumptions
from loadtests.scaling.inputs import InputFault, hpa_rules, live_load, server_start, step_times
from loadtests.scaling.replica import Speed
from loadtests.scaling.scenarios import rolling_update, steady_load, zone_lost
from loadtests.scaling.subjects import Subject, opus, rows, shipped
from loadtests.scaling.traffic import arrivals, mean_tokens, steady
from loadtests.subject import SHIPPED
from model.checkpoint import load_bundle, load_bundle_head
from model.network import EagerNetwork

SMALL = Subject("small", Speed([0.0, 0.020, 0.022, 0.024, 0.026], 0.001, 0.0001), 13.0)
ASSUMED = Assumptions()


def test_what_is_measured_is_read_from_the_results() -> None:
    written = json.loads((RESULTS / "cost-model.json").read_text())["int8"]
    times = step_times("int8")
    a, b, c, d, e, f = (written["coefficients"][name] for name in "abcdef")
    by_hand = a + f * 1_000 + 8 * (b + c * 10 + d * 12 + e * 1_000)
    assert times.steps.seconds(8, 10, 12, 1_000) == pytest.approx(by_hand)
    assert times.encode_token_seconds > 0
    assert shipped(times, live_load()).capacity == pytest.approx(live_load().highest_rate)
    assert opus(times, "int8").capacity < shipped(times, live_load()).capacity
    assert 0 < server_start("int8").ready_seconds < 60


def test_a_result_that_is_missing_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=r"cost-model.json is missing .*`python -m loadtests.cost_model`"):
        step_times("int8", tmp_path)
    (tmp_path / "cost-model.json").write_text("{}")
    with pytest.raises(InputFault, match="has no 'int8'"):
        step_times("int8", tmp_path)
    (tmp_path / "server-start.json").write_text('{"starts": []}')
    with pytest.raises(InputFault, match="no start of int8, native"):
        server_start("int8", results=tmp_path)


def test_a_manifest_that_scales_by_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="is missing"):
        hpa_rules(tmp_path)
    folder = tmp_path / "components" / "hpa"
    folder.mkdir(parents=True)
    metric = "{pods: {metric: {name: other}, target: {averageValue: 500m}}}"
    (folder / "horizontal-pod-autoscaler.yaml").write_text(f"spec: {{metrics: [{metric}]}}\n")
    with pytest.raises(InputFault, match="scales by other"):
        hpa_rules(tmp_path)


def test_arrivals_follow_the_profile_and_the_seed() -> None:
    profile = [(0.0, 0.0), (100.0, 200.0), (200.0, 200.0)]
    moments = [one.arrived for one in arrivals(profile, seed=1, lengths=(5,))]
    assert moments == [one.arrived for one in arrivals(profile, seed=1, lengths=(5,))]
    assert moments == sorted(moments)
    early, late = sum(at < 100 for at in moments), sum(at >= 100 for at in moments)
    assert early == pytest.approx(10_000, rel=0.05)
    assert late == pytest.approx(20_000, rel=0.05)
    assert list(arrivals(steady(0.0, 100.0), seed=1, lengths=(5,))) == []


def test_keys_and_values_are_counted_as_the_network_counts_them() -> None:
    bundle = load_bundle(SHIPPED)
    per_position = EagerNetwork(bundle.model).bytes_per_position
    assert cache_bytes(bundle.config, 0, 1) == rows() * per_position
    assert cache_bytes(bundle.config, 1, 0) == rows() // 4 * per_position


def test_the_price_of_a_million_characters_by_hand() -> None:
    # 1,000 characters a second are 3.6 million an hour; at half load 1.8.
    assert million_characters(1.8, 1_000.0, 0.5) == pytest.approx(1.0)


def test_a_load_beyond_the_capacity_is_refused_in_part_and_below_it_not_at_all() -> None:
    calm, over = (steady_load(SMALL, 2, load, ASSUMED, 60.0) for load in (0.6, 1.5))
    assert calm.refused_share == 0.0
    assert 0.1 < over.refused_share < 0.5
    assert calm.p50_ms < calm.p99_ms < over.p99_ms
    # What is accepted waits no longer than the server lets it, and then runs.
    assert over.p50_ms < 1000 * ASSUMED.timeout_seconds


def test_two_zones_of_three_carry_two_thirds_and_no_more() -> None:
    carried, lost = (zone_lost(SMALL, 3, 1, load, ASSUMED) for load in (0.55, 0.85))
    assert carried.summary["refused_after"] == 0.0
    assert lost.summary["refused_after"] > 0.02
    assert 2 * lost.summary["p99_ms_before"] < lost.summary["p99_ms_after"]
    assert (carried.replicas[0], carried.replicas[-1]) == (3, 2)


def test_an_update_that_begins_with_a_new_one_is_not_felt() -> None:
    first, last = (
        rolling_update(name, SMALL, 3, 0.75, 15.0, surge, ASSUMED) for name, surge in (("a", 1), ("b", 0))
    )
    assert max(first.p99_ms) < max(last.p99_ms)
    assert (max(first.replicas), min(first.replicas)) == (4, 3)
    assert (max(last.replicas), min(last.replicas)) == (3, 2)
    assert first.replicas[-1] == last.replicas[-1] == 3


def test_the_lengths_are_those_of_the_shipped_tokenizer() -> None:
    assert 5 < mean_tokens() < 40
    assert load_bundle_head(SHIPPED).config.max_source_length > mean_tokens()


@pytest.mark.slow
def test_the_program_writes_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "FLEETS", (1, 2))
    monkeypatch.setattr(findings, "LOADS", (0.5, 1.3))
    monkeypatch.setattr(findings, "STEADY_SECONDS", 10.0)
    monkeypatch.setattr(findings, "ZONE_LOADS", (0.6,))
    monkeypatch.setattr(
        findings, "COURSE_OF_DAY", ((0.0, 1.2), (30.0, 1.2), (60.0, 5.0), (120.0, 5.0), (200.0, 1.2))
    )
    program.main(price_per_hour=0.5, results=tmp_path)
    report = json.loads((tmp_path / "scaling.json").read_text())
    assert [one["title"] for one in report["tables"]][
        1
    ] == "A million characters, at 0.5 per hour for one replica"
    assert len(report["points"]) == 4
    names = ("replicas", "autoscaling", "changes")
    assert all((tmp_path / f"scaling-{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
