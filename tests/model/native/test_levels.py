"""Levels: the fastest that a processor has, and only those that it has."""

from pathlib import Path

import pytest

from model.native import levels
from model.native.levels import LEVELS, level_named, processor_flags, supported_levels, usable_flags

AVX2 = {"avx2", "fma", "f16c"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
TILES = {"amx_tile", "amx_int8", "amx_bf16"}


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (set(), ["generic"]),
        ({"avx2"}, ["generic"]),
        (AVX2, ["avx2", "generic"]),
        (AVX512, ["avx2", "generic"]),
        (AVX512 | {"avx512_vnni"}, ["avx512vnni", "avx2", "generic"]),
        (AVX512 | {"avx512_vnni", "amx_tile"}, ["avx512vnni", "avx2", "generic"]),
        (AVX512 | {"avx512_vnni"} | TILES, ["amx", "avx512vnni", "avx2", "generic"]),
    ],
)
def test_a_level_is_supported_when_the_processor_has_all_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], names: list[str]
) -> None:
    monkeypatch.setattr(levels.platform, "machine", lambda: "x86_64")
    assert [level.name for level in supported_levels(flags)] == names


def test_another_architecture_has_the_generic_level_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels.platform, "machine", lambda: "aarch64")
    assert [level.name for level in supported_levels(AVX512 | {"avx512_vnni"})] == ["generic"]


@pytest.mark.parametrize("has_leave", [True, False])
def test_tiles_are_used_only_where_the_kernel_gives_leave(
    monkeypatch: pytest.MonkeyPatch, has_leave: bool
) -> None:
    monkeypatch.setattr(levels, "processor_flags", lambda: frozenset(AVX512 | TILES))
    monkeypatch.setattr(levels, "_kernel_has_tiles", lambda: has_leave)
    assert bool(usable_flags() & TILES) == has_leave


def test_the_kernel_is_not_asked_where_the_processor_has_no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "processor_flags", lambda: frozenset(AVX512))
    monkeypatch.delattr(levels, "_kernel_has_tiles")
    assert usable_flags() == AVX512


@pytest.mark.skipif("amx_tile" not in processor_flags(), reason="this processor has no tiles")
def test_linux_says_whether_it_gives_leave_for_tiles() -> None:
    assert levels._kernel_has_tiles() == ("amx_tile" in usable_flags())


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(info) == {"fpu", "avx2", "fma"}


def test_a_machine_that_does_not_tell_has_no_flags(tmp_path: Path) -> None:
    assert processor_flags(tmp_path / "missing") == frozenset()


def test_an_unknown_level_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="one of amx, avx512vnni, avx2, generic, got 'sse'"):
        level_named("sse")


def test_no_level_asks_the_compiler_what_machine_it_runs_on() -> None:
    assert not [flag for level in LEVELS for flag in level.flags if "native" in flag]
