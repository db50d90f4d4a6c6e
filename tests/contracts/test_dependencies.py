"""Declared, locked and explained dependencies are the same, and the locks fit every machine."""

import re

import pytest

from tests.contracts.project import ROOT, direct_dependencies, locked, normalised, pyproject

# Lock file to the groups that it must hold, besides runtime.
LOCKS = {
    "requirements.lock": [],
    "requirements-dev.lock": ["training", "hub", "peers", "loadtest", "dev"],
}


def explained() -> dict[str, list[str]]:
    """Group to what docs/dependencies.md explains under its heading, one line "- `name`: reason" each."""
    groups: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\w+)", line):
            groups[heading[1].lower()] = []
        elif entry := re.match(r"- `([^`]+)`: \S.{10,}", line):
            groups[list(groups)[-1]].append(normalised(entry[1]))
    return groups


def test_every_direct_dependency_is_explained_and_no_other() -> None:
    assert explained() == {group: sorted(pins) for group, pins in direct_dependencies().items()}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_is_declared(lock: str) -> None:
    declared = {
        name: version
        for group in ["runtime", *LOCKS[lock]]
        for name, version in direct_dependencies()[group].items()
    }
    held = locked(lock)
    assert {name: held.get(name) for name in declared} == {
        name: {version} for name, version in declared.items()
    }


@pytest.mark.parametrize("lock", [name for name in LOCKS if name != "requirements.lock"])
def test_the_locks_agree_with_the_serving_lock(lock: str) -> None:
    held = locked(lock)
    assert {name: held.get(name) for name in locked("requirements.lock")} == locked("requirements.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_neither_a_build_nor_a_source(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "torch==2.13.0 " in text
    assert not re.search(r"nvidia|cuda|triton|--|https?:|\+cpu|\+cu\d", text.replace("-c requirements", ""))


def test_the_serving_lock_holds_nothing_of_training() -> None:
    # protobuf: the exporter of traces speaks it.
    only_training = set(direct_dependencies()["training"]) - {"protobuf"}
    assert only_training & set(locked("requirements.lock")) == set()


def test_what_builds_the_project_is_in_every_environment() -> None:
    # The Makefile installs without build isolation, so that nothing is fetched for it.
    assert [line.partition(">")[0] for line in pyproject()["build-system"]["requires"]] == ["setuptools"]
    assert all("setuptools" in locked(lock) for lock in LOCKS)
