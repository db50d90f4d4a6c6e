"""Servers that are measured: what they say never stops them, and is told when they end."""

from __future__ import annotations

import pytest

from loadtests.servers import ServerFault, is_ready, running_server

TALKATIVE = "tests.loadtests.talkative_server"


def test_a_server_that_says_much_becomes_ready_and_is_ended() -> None:
    with running_server(TALKATIVE) as port:
        assert is_ready(port)
    assert not is_ready(port)


def test_the_last_words_of_one_that_ends_are_told() -> None:
    told = pytest.raises(ServerFault, match=r"--failing --port \d+ ended: (?s:.*)and no way to go on")
    with told, running_server(TALKATIVE, "--failing"):
        pass
