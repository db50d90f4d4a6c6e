"""The kernels, built once per level and kept beside pytest's other caches."""

from __future__ import annotations

import pytest

from model.native.binding import Library
from tests.model.native.kernels import LEVELS, TESTED, library_of


@pytest.fixture(scope="session", params=TESTED)
def library(request: pytest.FixtureRequest) -> Library:
    """Of every level that this processor can run, and of tiles where it has none."""
    return library_of(request.param)


@pytest.fixture(scope="session")
def best() -> Library:
    """Of the fastest level."""
    return library_of(LEVELS[0])
