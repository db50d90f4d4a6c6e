"""Bundles for the tests of the bundle format."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders import tiny_bundle


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good bundle; read-only."""
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny").path


@pytest.fixture
def bundle(saved: Path, tmp_path: Path) -> Path:
    """A good bundle to break."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))
