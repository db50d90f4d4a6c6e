"""A service over a tiny real engine that is held until a test lets it go on, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.service.held_service import HeldService, client_of, held_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HeldService]:
    with held_service(tmp_path / "model") as service:
        yield service


@pytest.fixture
def client(service: HeldService) -> Iterator[TestClient]:
    with client_of(service) as client:
        yield client
        service.gate.open()
