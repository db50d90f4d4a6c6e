"""Levels: the fastest that a processor has, and only those that it has."""

from pathlib import Path

import pytest

from model.native import levels
from model.native.levels import LEVELS, level_named, processor_flags, supported_levels

AVX2 = {"avx2", "fma", "f16c"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (set(), ["generic"]),
        ({"avx2"}, ["generic"]),
        (AVX2, ["avx2", "generic"]),
        (AVX512, ["avx2", "generic"]),
        (AVX512 | {"avx512_vnni"}, ["avx512vnni", "avx2", "generic"]),
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


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(info) == {"fpu", "avx2", "fma"}


def test_a_machine_that_does_not_tell_has_no_flags(tmp_path: Path) -> None:
    assert processor_flags(tmp_path / "missing") == frozenset()


def test_an_unknown_level_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="one of avx512vnni, avx2, generic, got 'sse'"):
        level_named("sse")


def test_no_level_asks_the_compiler_what_machine_it_runs_on() -> None:
    assert not [flag for level in LEVELS for flag in level.flags if "native" in flag]
