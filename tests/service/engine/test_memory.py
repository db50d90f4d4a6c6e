"""What is free is the smaller of the machine's and the container's; what cannot fit is refused in numbers."""

from pathlib import Path

import pytest

from service.engine import weight_memory
from service.engine.memory import available_memory, memory_limit
from service.engine.network_plan import PlanError
from service.engine.weight_memory import check_memory, native_bytes_per_position, weight_bytes
from tests.builders import tiny_bundle, tiny_config, tiny_model

MACHINE = "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    return path


@pytest.mark.parametrize(
    ("limit", "current", "expected"),
    [
        ("max", "5", 8_000_000 * 1024),
        ("1000000000", "400000000", 700_000_000),
        ("1000000000", "2000000000", 0),
        ("99000000000", "0", 8_000_000 * 1024),
    ],
)
def test_the_limit_of_control_groups_version_2_counts(
    tmp_path: Path, limit: str, current: str, expected: int
) -> None:
    write(tmp_path / "memory.max", limit)
    write(tmp_path / "memory.current", current)
    write(tmp_path / "memory.stat", "anon 1\ninactive_file 100000000\nactive_file 3")
    info = write(tmp_path / "meminfo", MACHINE)
    assert available_memory(tmp_path, info) == expected


def test_the_limit_of_control_groups_version_1_counts(tmp_path: Path) -> None:
    write(tmp_path / "memory" / "memory.limit_in_bytes", "3000")
    write(tmp_path / "memory" / "memory.usage_in_bytes", "2000")
    write(tmp_path / "memory" / "memory.stat", "total_inactive_file 500")
    assert available_memory(tmp_path, write(tmp_path / "meminfo", MACHINE)) == 1500


def test_without_control_groups_the_machine_counts_and_without_either_nothing_is_known(
    tmp_path: Path,
) -> None:
    assert available_memory(tmp_path, write(tmp_path / "meminfo", MACHINE)) == 8_000_000 * 1024
    assert available_memory(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("name", "limit", "expected"),
    [
        ("memory.max", "1000000000", 1_000_000_000),
        ("memory.max", "max", 16_000_000 * 1024),
        ("memory/memory.limit_in_bytes", "2000000000", 2_000_000_000),
        ("memory/memory.limit_in_bytes", "9223372036854771712", 16_000_000 * 1024),
    ],
)
def test_the_limit_is_the_containers_else_all_that_the_machine_has(
    tmp_path: Path, name: str, limit: str, expected: int
) -> None:
    write(tmp_path / name, limit)
    assert memory_limit(tmp_path, write(tmp_path / "meminfo", MACHINE)) == expected


def test_no_limit_is_made_up(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "missing") is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_bundle(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_weights_are_counted_by_precision_and_embeddings_in_full() -> None:
    model = tiny_model()
    tables = sum(side.tokens.weight.numel() for side in {model.source_embedding, model.target_embedding})
    number = model.num_parameters()
    assert weight_bytes(number, model.config, "float32") == 4 * number
    assert weight_bytes(number, model.config, "int8") <= number + 3 * tables


def test_weights_that_do_not_fit_are_refused_with_both_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_memory, "available_memory", lambda: 1)
    with pytest.raises(PlanError, match=r"in precision 'float32' its weights need .* MB, and 0 MB are free"):
        check_memory(folder, "float32", 1 << 30, 64)


def test_a_cache_that_does_not_fit_is_refused_with_what_to_lower(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_memory, "available_memory", lambda: 20_000_000)
    with pytest.raises(PlanError, match=r"lower cache_bytes_limit \(it is 1073741824\) or max_rows \(655"):
        check_memory(folder, "float32", 1 << 30, 65_536)
    check_memory(folder, "float32", 1_000_000, 65_536)
    check_memory(folder, "float32", 1 << 30, 32)


def test_where_nothing_is_known_of_memory_nothing_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_memory, "available_memory", lambda: None)
    check_memory(folder, "float32", 1 << 60, 65_536)


def test_a_head_takes_whole_vectors() -> None:
    config = tiny_config(d_model=12, num_decoder_heads=3, num_encoder_heads=3, num_decoder_layers=2)
    assert native_bytes_per_position(config) == 2 * 2 * 3 * 16 * 4
