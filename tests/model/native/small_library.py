"""Sources that are built in no time and export what every library does, and compilers that are none."""

from pathlib import Path

from model.native.levels import ABI_VERSION
from model.native.library import BuildSettings

SOURCE = """
extern "C" __attribute__((visibility("default"))) int verto_abi_version() {{ return {abi}; }}
extern "C" __attribute__((visibility("default"))) int verto_self_check() {{ {check} }}
extern "C" __attribute__((visibility("default"))) int answer() {{ return {answer}; }}
"""


def settings_in(
    folder: Path, *, abi: int = ABI_VERSION, check: str = "return 0;", answer: int = 42, compiler: str = ""
) -> BuildSettings:
    """A cache and sources below `folder`."""
    sources = folder / "src"
    sources.mkdir(exist_ok=True)
    (sources / "verto.cpp").write_text(SOURCE.format(abi=abi, check=check, answer=answer))
    return BuildSettings(cache_dir=folder / "cache", compiler=compiler, sources=sources)


def pretended_compiler(path: Path, script: str) -> str:
    """A program that says it is a compiler; what it does when it is to compile is `script`."""
    path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo pretended 1.0; exit 0; fi\n{script}\n')
    path.chmod(0o755)
    return str(path)
