"""Reads the project as data: its tracked files, its sources, its declared and locked dependencies.

Must not import the project's own packages.
"""

import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("model", "training", "service", "cli", "loadtests")


@cache
def pyproject() -> dict[str, Any]:
    """The whole of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(requirement: str) -> tuple[str, str]:
    """Name and version of a line `name==version`, with or without a marker and a comment."""
    match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", requirement)
    assert match, f"not pinned to one version: {requirement!r}"
    return normalised(match[1]), match[2]


def direct_dependencies() -> dict[str, dict[str, str]]:
    """Group (`runtime` or the extra's name) to what it pins: distribution to version."""
    project = pyproject()["project"]
    groups = {"runtime": project["dependencies"], **project["optional-dependencies"]}
    return {group: dict(pinned(line) for line in lines) for group, lines in groups.items()}


def locked(lock: str) -> dict[str, set[str]]:
    """Distribution to its locked versions: more than one where Python versions need different ones."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        name, version = pinned(line)
        found.setdefault(name, set()).add(version)
    return found


@cache
def installed_imports() -> dict[str, list[str]]:
    """Top-level import to the distributions that provide it, for everything that is installed."""
    return dict(packages_distributions())


def distributions_of(import_name: str) -> set[str]:
    """The distributions that provide a top-level import; the name itself where none is installed."""
    return set(map(normalised, installed_imports().get(import_name, [import_name])))


def sources() -> dict[str, str]:
    """Path from the root, with `/`, to the text of every module of the packages."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def tracked_files() -> list[Path]:
    """Every committed file that is still there. Skips the test outside a git checkout."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout, or no git: {error}")
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file as text; None where it is binary."""
    content = path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8", errors="replace")
