"""A limit counts wherever it is set: on the process's own group, or on one around it."""

from pathlib import Path

import pytest

from service.engine import control_groups
from service.engine.control_groups import group_folders
from service.engine.memory import available_memory, memory_limit
from service.processors import usable_processors

UNIFIED = "0::/verto.slice/verto.service\n"
SEPARATE = "5:cpu,cpuacct:/verto/one\n4:memory:/verto\n1:name=systemd:/other\n0::/\n"


@pytest.fixture
def membership(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands in for /proc/self/cgroup."""
    path = tmp_path / "membership"
    monkeypatch.setattr(control_groups, "MEMBERSHIP", path)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    return path


def write(folder: Path, **files: str) -> None:
    """Files by their names, with `__` for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_each_group_on_the_way_to_the_own_one_is_looked_at(tmp_path: Path, membership: Path) -> None:
    membership.write_text(SEPARATE)
    assert group_folders(tmp_path, "") == [tmp_path]
    assert group_folders(tmp_path, "cpu") == [tmp_path / "cpu" / part for part in ("", "verto", "verto/one")]
    assert group_folders(tmp_path, "memory") == [tmp_path / "memory", tmp_path / "memory" / "verto"]
    assert group_folders(tmp_path, "pids") == [tmp_path / "pids"]


@pytest.mark.parametrize("text", [None, "", "nonsense", "0::/../../beside"])
def test_where_the_own_group_is_not_told_or_not_shown_the_root_counts(
    tmp_path: Path, membership: Path, text: str | None
) -> None:
    if text is not None:
        membership.write_text(text)
    assert group_folders(tmp_path, "") == [tmp_path]


@pytest.mark.parametrize("limited", ["verto.slice", "verto.slice/verto.service"])
def test_limits_of_a_service_count_in_version_2(tmp_path: Path, membership: Path, limited: str) -> None:
    membership.write_text(UNIFIED)
    write(tmp_path / "verto.slice" / "verto.service", cpu__max="max 100000", memory__max="max")
    write(tmp_path / limited, cpu__max="150000 100000", memory__max="3000", memory__current="1000")
    assert usable_processors(tmp_path) == 2
    assert memory_limit(tmp_path, tmp_path / "missing") == 3000
    assert available_memory(tmp_path, tmp_path / "missing") == 2000


def test_limits_of_a_service_count_in_version_1(tmp_path: Path, membership: Path) -> None:
    membership.write_text(SEPARATE)
    write(tmp_path / "cpu" / "verto" / "one", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    write(tmp_path / "cpu" / "verto", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    write(tmp_path / "memory", memory__limit_in_bytes="9000", memory__usage_in_bytes="8500")
    write(tmp_path / "memory" / "verto", memory__limit_in_bytes="3000", memory__usage_in_bytes="1000")
    assert usable_processors(tmp_path) == 3
    assert memory_limit(tmp_path, tmp_path / "missing") == 3000
    assert available_memory(tmp_path, tmp_path / "missing") == 500
