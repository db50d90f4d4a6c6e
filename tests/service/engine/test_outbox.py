"""What goes into the outbox comes out of the pipe in its order, whether the pipe has room or not."""

import random
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from model.decoding import DecodingOptions
from service.engine.outbox import AT_ONCE_BYTES, Outbox
from service.engine.request import SegmentRequest
from service.engine.wire import Cancel, Command, Submit, packed, receive

PATIENCE = 30.0


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, theirs


def submission(key: int, num_tokens: int) -> Submit:
    request = SegmentRequest(
        segment_id=str(key), source_ids=tuple(range(1000, 1000 + num_tokens)), options=DecodingOptions()
    )
    return Submit(key, request, 0.0)


def keys_received(theirs: Connection, number: int) -> list[int]:
    keys: list[int] = []
    while len(keys) < number:
        assert theirs.poll(PATIENCE)
        keys += [command.key for command in receive(theirs)]
    return keys


def test_with_room_in_the_pipe_a_command_is_there_at_once(pipe: tuple[Connection, Connection]) -> None:
    ours, theirs = pipe
    outbox = Outbox(ours)
    outbox.put(submission(7, 10), Cancel(3))
    assert theirs.poll(0)
    assert [command.key for command in receive(theirs)] == [7, 3]
    outbox.close(PATIENCE)


def test_a_full_pipe_keeps_nobody_waiting_and_loses_nothing(pipe: tuple[Connection, Connection]) -> None:
    ours, theirs = pipe
    outbox = Outbox(ours)
    number = 20_000  # several times what a pipe takes
    for key in range(number):
        outbox.put(Cancel(key))
    assert keys_received(theirs, number) == list(range(number))
    outbox.close(PATIENCE)


def test_large_and_small_commands_from_two_threads_keep_each_thread_s_order(
    pipe: tuple[Connection, Connection],
) -> None:
    ours, theirs = pipe
    outbox, rng = Outbox(ours), random.Random(0)
    sizes = [rng.choice([1, 20, 3 * AT_ONCE_BYTES]) for _ in range(300)]
    assert any(len(packed((submission(1, size),))) > AT_ONCE_BYTES for size in sizes)

    def put_all(first: int) -> None:
        for place, size in enumerate(sizes):
            outbox.put(submission(first + place, size))

    threads = [threading.Thread(target=put_all, args=(first,)) for first in (0, 1000)]
    for thread in threads:
        thread.start()
    keys = keys_received(theirs, 2 * len(sizes))
    for thread in threads:
        thread.join(PATIENCE)
    for first in (0, 1000):
        own = [key for key in keys if first <= key < first + 1000]
        assert own == list(range(first, first + len(sizes)))
    outbox.close(PATIENCE)


@pytest.mark.parametrize("size", [1, 3 * AT_ONCE_BYTES], ids=["small", "large"])
def test_a_child_that_is_gone_is_no_error(pipe: tuple[Connection, Connection], size: int) -> None:
    ours, theirs = pipe
    outbox = Outbox(ours)
    theirs.close()
    for key in range(3):
        outbox.put(submission(key, size))
    outbox.close(PATIENCE)


def test_what_comes_after_the_end_is_not_sent(pipe: tuple[Connection, Connection]) -> None:
    ours, theirs = pipe
    outbox = Outbox(ours)
    outbox.close(PATIENCE)
    command: Command = Cancel(1)
    outbox.put(command)
    assert not theirs.poll(0.05)
