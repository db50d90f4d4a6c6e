"""The kernels' library for this processor: found in the cache, or built into it, checked, opened.

Knows: sources, levels, the compiler and the cache; what every library exports. Must not know: networks,
bundles, settings, and does not import torch.

A library is named for what it was made from: sources, flags, level, machine and C library. Not for the
compiler, since a library that was built into an image is to be used where there is no compiler at all; which
one it was stands beside it.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from model.native import self_check_program
from model.native.compiler import CompilerError, compile_library, compiler_version, find_compiler
from model.native.levels import ABI_VERSION, Level, level_named, supported_levels
from model.native.library_cache import CacheError, Entry, Record

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).resolve().parent / "src"
UNIT = "verto.cpp"  # includes all other sources: most of a build is the reading of headers
SOURCE_SUFFIXES = (".cpp", ".h", ".inc")
COMMON_FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fvisibility=hidden",
    "-fvisibility-inlines-hidden",
    "-fno-math-errno",
    # A sum's bits may not depend on where a compiler finds a product to fuse into it; the kernels say where.
    "-ffp-contract=off",
    # Of two libraries in one process each calls its own copy of what both have, for its own instructions.
    "-Wl,-Bsymbolic",
)
SELF_CHECK_SECONDS = 60.0


class NativeUnavailable(Exception):
    """There is no library to use, and why. `is_missing`: nothing is wrong, it only has not been built."""

    def __init__(self, reason: str, *, is_missing: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_missing = reason, is_missing


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """Where libraries are kept, and what builds them (`find_compiler`'s `wanted`)."""

    cache_dir: Path
    compiler: str = ""
    sources: Path = field(default=SOURCES)


@dataclass(frozen=True, slots=True)
class BuiltLibrary:
    """A library in the cache, whole. `seconds`: of building it; 0 when it had been there."""

    level: Level
    path: Path
    record: Record
    seconds: float = 0.0

    @property
    def was_there(self) -> bool:
        return self.seconds == 0.0


@dataclass(frozen=True, slots=True)
class OpenedLibrary:
    """A library in this process."""

    level: Level
    path: Path
    functions: ctypes.CDLL


def choose_level(name: str | None = None) -> Level:
    """The fastest that this processor has, or the one named. Raises `NativeUnavailable` for one it has not,
    `ValueError` for a name that is none."""
    supported = supported_levels()
    if name is None:
        return supported[0]
    level = level_named(name)
    if level not in supported:
        raise NativeUnavailable(f"this processor does not have the instructions of level {name}")
    return level


def find_library(settings: BuildSettings, level: Level) -> BuiltLibrary:
    """What is in the cache; compared with its record, not run. Raises `NativeUnavailable`."""
    return _look_up(_entry(settings, level), level)


def build_library(settings: BuildSettings, level: Level, *, anew: bool = False) -> BuiltLibrary:
    """From the cache, or built into it; `anew`: built in any case. Raises `NativeUnavailable`.

    Of several processes that ask at once one builds, and the others wait for it. What is in the cache and is
    not what was put there, or does not run here though this processor has the level, is built again.
    """
    entry = _entry(settings, level)
    if not anew:
        with suppress(NativeUnavailable):
            return _checked(entry, level)
    try:
        with entry.locked():
            # Looked at once more: another one was faster, or was just giving it its name.
            if not anew and (found := _usable(entry, level)) is not None:
                return found
            return _build(settings, level, entry)
    except (CacheError, CompilerError) as error:
        raise NativeUnavailable(f"the kernels of level {level.name} cannot be built: {error}") from error


def check_library(built: BuiltLibrary) -> None:
    """Have it check itself, in a process of its own. Raises `NativeUnavailable`."""
    fault = _self_check(built.path)
    if fault:
        raise NativeUnavailable(f"{built.path}: {fault}")


def open_library(settings: BuildSettings, level: str | None = None, *, build: bool = True) -> OpenedLibrary:
    """Find or (`build`) make the library, check it and open it. Raises `NativeUnavailable`, and `ValueError`
    for a level that is none."""
    chosen = choose_level(level)
    entry = _entry(settings, chosen)
    built = build_library(settings, chosen) if build else _checked(entry, chosen)
    try:
        return OpenedLibrary(chosen, built.path, ctypes.CDLL(str(built.path)))
    except OSError as error:
        raise NativeUnavailable(f"{built.path}: {error}") from error


def _look_up(entry: Entry, level: Level) -> BuiltLibrary:
    try:
        if not entry.exists:
            raise NativeUnavailable(
                f"the kernels of level {level.name} have not been built yet ({entry.library} is missing)",
                is_missing=True,
            )
        return BuiltLibrary(level, entry.library, entry.verify())
    except CacheError as error:
        raise NativeUnavailable(str(error)) from error


def _checked(entry: Entry, level: Level) -> BuiltLibrary:
    """Whole by its record, and by its own word where this processor can run it."""
    built = _look_up(entry, level)
    if level in supported_levels():
        check_library(built)
    return built


def _usable(entry: Entry, level: Level) -> BuiltLibrary | None:
    try:
        return _checked(entry, level)
    except NativeUnavailable as error:
        if not error.is_missing:
            logger.warning("a library in the cache is not used, and built again: %s", error)
        return None


def _build(settings: BuildSettings, level: Level, entry: Entry) -> BuiltLibrary:
    """Under the entry's lock. Raises `CacheError`, `CompilerError`."""
    started = time.perf_counter()
    compiler = find_compiler(settings.compiler)
    version = compiler_version(compiler)
    unit = _unit(settings.sources)
    with entry.partial() as partial:
        _compile(compiler, level, unit, partial)
        # One that this processor cannot run is checked where it is used.
        if level in supported_levels() and (fault := _self_check(partial)):
            raise CompilerError(f"what {compiler[0]} made is of no use: {fault}")
        record = entry.publish(partial, version)
    return BuiltLibrary(level, entry.library, record, time.perf_counter() - started)


def _compile(compiler: Sequence[str], level: Level, unit: Path, output: Path) -> None:
    """A level whose newest instructions the compiler does not know is what it is without them."""
    try:
        return compile_library(compiler, _flags(level), [unit], output)
    except CompilerError as error:
        if not level.new_flags:
            raise
        logger.warning("level %s is built without %s: %s", level.name, " ".join(level.new_flags), error)
    compile_library(compiler, [flag for flag in _flags(level) if flag not in level.new_flags], [unit], output)


def _self_check(path: Path) -> str:
    program = str(Path(self_check_program.__file__).resolve())
    command = [sys.executable, "-I", "-S", program, str(path), str(ABI_VERSION)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SELF_CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"its self-check did not end within {SELF_CHECK_SECONDS:.0f} s"
    except OSError as error:
        return f"its self-check does not start: {error.strerror or error}"
    if done.returncode < 0:
        return f"its self-check was ended by signal {-done.returncode}"
    return (done.stderr.strip() or f"its self-check ended with {done.returncode}") if done.returncode else ""


def _flags(level: Level) -> tuple[str, ...]:
    return (*COMMON_FLAGS, *level.flags, *level.new_flags, level.define)


def _unit(folder: Path) -> Path:
    unit = folder / UNIT
    if not unit.is_file():
        raise CompilerError(f"{unit}: is missing; the installation is not complete")
    return unit


def _entry(settings: BuildSettings, level: Level) -> Entry:
    key = _key(settings.sources, _flags(level))
    return Entry(settings.cache_dir / "native", f"verto-{level.name}-{key}")


def _key(folder: Path, flags: Sequence[str]) -> str:
    """Of everything that decides what a library is, but for the compiler (see above)."""
    digest = hashlib.sha256()
    libc = platform.libc_ver()[0] or "other"
    for part in (platform.system(), platform.machine(), libc, str(ABI_VERSION), *flags):
        digest.update(part.encode() + b"\0")
    for path in sorted(path for path in folder.glob("*") if path.suffix in SOURCE_SUFFIXES):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
