"""Both backings of the door, for tests of what it promises whatever is behind it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from service.engine import EngineHandle
from tests.service.engine.thread_door import running
from tests.service.engine.worker_door import behind_a_pipe

Door = Callable[..., AbstractContextManager[EngineHandle]]


@pytest.fixture(params=["thread", "process"])
def door(request: pytest.FixtureRequest) -> Door:
    """As `thread_door.running`."""
    return running if request.param == "thread" else behind_a_pipe
