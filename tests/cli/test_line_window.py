"""Many lines at once, and yet in order, in bounded memory, and as soon as they are ready."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import line_feed
from cli.line_feed import Line, LineFeed
from cli.line_window import LineWindow, WindowSize

SMALL = WindowSize(round_lines=4, round_characters=1 << 18, rounds=2)


class Fault(Exception):
    """What goes wrong in these tests."""


def numbered(texts: Iterable[str]) -> Iterator[Line]:
    return (Line(0, number, text) for number, text in enumerate(texts, 1))


def read_ahead(texts: Sequence[str]) -> LineFeed:
    """A feed that has read as far as it does, so that the first round is a full one."""
    feed = LineFeed(numbered(texts))
    while len(feed._buffer) < min(len(texts), line_feed.AHEAD_LINES):
        time.sleep(0.001)
    return feed


async def through(
    lines: Iterable[Line], work: Callable[[Line], object], size: WindowSize = SMALL
) -> tuple[list[tuple[Line, object]], BaseException | None]:
    """The results until the end or a fault, and the fault."""
    taken: list[tuple[Line, object]] = []
    window: LineWindow[object] = LineWindow(LineFeed(lines), work, size)  # type: ignore[arg-type]
    try:
        async with aclosing(window.results()) as results:
            async for ready in results:
                assert ready
                taken += ready
    except Fault as fault:
        return taken, fault
    return taken, None


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 7), st.integers(2, 4))
def test_results_come_in_the_order_of_the_lines_whatever_takes_how_long(
    delays: list[int], round_lines: int, rounds: int
) -> None:
    async def work(line: Line) -> int:
        for _ in range(delays[line.number - 1] * 3):
            await asyncio.sleep(0)
        return line.number

    lines = list(numbered("x" * delay for delay in delays))
    size = WindowSize(round_lines=round_lines, rounds=rounds)
    assert asyncio.run(through(lines, work, size)) == ([(line, line.number) for line in lines], None)


@settings(max_examples=40)
@given(st.data())
def test_a_fault_comes_behind_the_results_of_all_lines_before_it(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    failing = data.draw(st.sets(st.integers(1, count)))
    unreadable = data.draw(st.none() | st.integers(1, count))

    def lines() -> Iterator[Line]:
        for line in numbered("x" * count):
            if line.number == unreadable:
                raise Fault(line.number)
            yield line

    async def work(line: Line) -> None:
        await asyncio.sleep(0)
        if line.number in failing:
            raise Fault(line.number)

    first = min([*failing, *([unreadable] if unreadable else [])], default=count + 1)
    taken, fault = asyncio.run(through(lines(), work))
    assert [line.number for line, _ in taken] == list(range(1, first))
    assert (fault is None) == (first == count + 1)
    assert fault is None or fault.args == (first,)


def in_flight_while_nothing_ends(text: str, size: WindowSize, expected: int) -> int:
    """How many of 1,000 lines are begun while none ends: `expected` are waited for, then some time more."""
    begun = 0

    async def run() -> int:
        gate, enough = asyncio.Event(), asyncio.Event()

        async def work(line: Line) -> None:
            nonlocal begun
            begun += 1
            if begun == expected:
                enough.set()
            await gate.wait()

        running = asyncio.create_task(through(numbered([text] * 1_000), work, size))
        await enough.wait()
        await asyncio.sleep(0.2)
        before = begun
        gate.set()
        taken, _ = await running
        assert len(taken) == begun == 1_000
        return before

    return asyncio.run(run())


def test_no_more_lines_are_in_flight_than_the_window_holds() -> None:
    # More than one round of four, no more than two.
    assert in_flight_while_nothing_ends("x", SMALL, expected=5) <= 8


def test_long_lines_count_by_their_characters() -> None:
    size = WindowSize(round_lines=400, round_characters=1_000, rounds=2)
    # A round ends with the line that reaches its bound: two lines.
    assert in_flight_while_nothing_ends("x" * 600, size, expected=2) <= 4


@pytest.mark.parametrize(("ahead_lines", "ahead_characters"), [(10, 1_000), (1_000, 10)])
def test_reading_stops_when_enough_is_read_ahead(
    monkeypatch: pytest.MonkeyPatch, ahead_lines: int, ahead_characters: int
) -> None:
    monkeypatch.setattr(line_feed, "AHEAD_LINES", ahead_lines)
    monkeypatch.setattr(line_feed, "AHEAD_CHARACTERS", ahead_characters)
    read = finished = most_ahead = 0

    def counted() -> Iterator[Line]:
        nonlocal read, most_ahead
        for line in numbered("x" for _ in range(1_000)):
            read += 1
            most_ahead = max(most_ahead, read - finished)
            yield line

    async def work(line: Line) -> None:
        nonlocal finished
        await asyncio.sleep(0)
        finished += 1

    taken, _ = asyncio.run(through(counted(), work))
    assert len(taken) == 1_000
    assert most_ahead <= 8 + 10 + 1  # in flight, read ahead, and the one in the reader's hand


def test_the_longest_lines_of_a_round_begin_first() -> None:
    begun: list[int] = []

    async def work(line: Line) -> None:
        begun.append(len(line.text))

    async def run() -> None:
        feed = read_ahead(["a", "bbb", "cc", ""])
        async for _ in LineWindow(feed, work, SMALL).results():
            pass

    asyncio.run(run())
    assert begun == [3, 2, 1, 0]


def test_a_line_is_answered_before_the_next_one_is_written() -> None:
    typed: queue.Queue[str | None] = queue.Queue()
    answers: list[str] = []

    async def work(line: Line) -> str:
        return line.text.upper()

    async def talk() -> None:
        window: LineWindow[str] = LineWindow(LineFeed(numbered(iter(typed.get, None))), work, SMALL)
        typed.put("one")
        async for ready in window.results():
            answers.extend(answer for _, answer in ready)
            typed.put("two" if len(answers) == 1 else None)

    asyncio.run(asyncio.wait_for(talk(), 30))
    assert answers == ["ONE", "TWO"]


def test_what_is_left_cancels_the_lines_in_flight_and_ends_the_reader() -> None:
    cancelled: list[int] = []

    async def work(line: Line) -> None:
        if line.number > 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(line.number)
                raise

    async def leave_early() -> None:
        window = LineWindow(read_ahead("x" * 100_000), work, SMALL)
        async with aclosing(window.results()) as results:
            async for _ in results:
                break

    asyncio.run(leave_early())
    assert sorted(cancelled) == [2, 3, 4]
    for reader in threading.enumerate():
        if reader.name == "verto-lines":
            reader.join(10)
            assert not reader.is_alive()
