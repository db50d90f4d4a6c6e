"""The wish to stop: heard once, kept apart from other programs' signals."""

import os
import signal

import pytest

from training.stopping import StopWish


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_and_said_once(number: signal.Signals) -> None:
    said: list[str] = []
    wish = StopWish(forgiving=True, on_first=lambda: said.append("stopping"))
    with wish.heard():
        assert not wish.asked
        for _ in range(3):
            os.kill(os.getpid(), number)
    assert wish.asked
    assert said == ["stopping"]


def test_a_second_signal_ends_the_program_where_it_is_not_forgiven() -> None:
    wish = StopWish(forgiving=False, on_first=lambda: None)
    with wish.heard():
        os.kill(os.getpid(), signal.SIGTERM)
        assert wish.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_programs_own_handlers_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopWish(forgiving=False, on_first=lambda: None).heard():
        assert signal.getsignal(signal.SIGINT) != before
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
