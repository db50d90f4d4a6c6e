"""The file server, one for each test that asks."""

from collections.abc import Iterator

import pytest

from tests.training.sources.file_server import FileServer, serving


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as started:
        yield started
