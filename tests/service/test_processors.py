"""A container's share of the machine counts, not the machine."""

import os
from pathlib import Path

import pytest

from service.processors import usable_processors


@pytest.fixture
def eight_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.mark.usefixtures("eight_allowed")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("20000 100000", 1),
        ("max 100000", 8),
        ("9900000 100000", 8),
        ("", 8),
    ],
)
def test_the_quota_of_control_groups_version_2_counts(tmp_path: Path, limit: str, expected: int) -> None:
    write(tmp_path / "cpu.max", limit)
    assert usable_processors(tmp_path) == expected


@pytest.mark.usefixtures("eight_allowed")
@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 8)])
def test_the_quota_of_control_groups_version_1_counts(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", quota)
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000")
    assert usable_processors(tmp_path) == expected


@pytest.mark.usefixtures("eight_allowed")
def test_without_control_groups_affinity_counts(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == 8


def test_without_affinity_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors(tmp_path) == 1
