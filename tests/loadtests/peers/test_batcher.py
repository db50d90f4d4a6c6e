"""Waiting requests go together, each gets its own answer, and a fault reaches all of its batch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from loadtests.peers.batcher import Batcher, Batching
from loadtests.peers.ctranslate2_texts import Translated


class Upper:
    """Answers in capitals, one batch at a time once `gate` is open; notes every batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate, self._begun = threading.Event(), threading.Semaphore(0)

    def __call__(self, texts: Sequence[str]) -> Iterator[Translated]:
        self.batches.append(list(texts))
        self._begun.release()
        self.gate.wait(5.0)
        if "bad" in texts:
            raise ValueError("a bad text")
        return (Translated(text.upper(), len(text)) for text in texts)

    async def has_begun(self) -> None:
        """One more batch than before."""
        await asyncio.to_thread(self._begun.acquire, timeout=5.0)


def asked(batching: Batching, texts: Sequence[str]) -> tuple[Upper, list[Translated | BaseException]]:
    """The first alone, then, while it computes, the rest at once."""

    async def run() -> tuple[Upper, list[Translated | BaseException]]:
        upper = Upper()
        batcher = Batcher(upper, batching)
        tasks = [asyncio.create_task(batcher.translate(texts[0]))]
        await upper.has_begun()
        tasks += [asyncio.create_task(batcher.translate(text)) for text in texts[1:]]
        await asyncio.sleep(0.01)
        upper.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        return upper, answers

    return asyncio.run(run())


def test_what_comes_while_a_batch_computes_is_the_next_batch() -> None:
    upper, answers = asked(Batching(max_texts=3), ["a", "b", "c", "d", "e"])
    assert upper.batches == [["a"], ["b", "c", "d"], ["e"]]
    assert [one.text for one in answers if isinstance(one, Translated)] == ["A", "B", "C", "D", "E"]


def test_with_two_in_flight_the_second_is_prepared_meanwhile() -> None:
    async def run() -> list[list[str]]:
        upper = Upper()
        batcher = Batcher(upper, Batching(in_flight=2))
        tasks = []
        for count in (1, 2):
            tasks.append(asyncio.create_task(batcher.translate(str(count))))
            await upper.has_begun()
        upper.gate.set()
        await asyncio.gather(*tasks)
        await batcher.close()
        return upper.batches

    assert asyncio.run(asyncio.wait_for(run(), 5.0)) == [["1"], ["2"]]


def test_a_batch_waits_to_be_filled_only_as_long_as_it_is_told() -> None:
    async def run() -> list[list[str]]:
        upper = Upper()
        upper.gate.set()
        batcher = Batcher(upper, Batching(max_texts=8, wait_seconds=0.2))
        first = asyncio.create_task(batcher.translate("a"))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, batcher.translate("b"))
        await batcher.close()
        return upper.batches

    assert asyncio.run(run()) == [["a", "b"]]


def test_a_fault_reaches_everyone_in_the_batch_and_no_one_else() -> None:
    _, answers = asked(Batching(max_texts=2), ["a", "bad", "c", "d"])
    assert [type(one) for one in answers] == [Translated, ValueError, ValueError, Translated]
    with pytest.raises(ValueError, match="a bad text"):
        raise next(one for one in answers if isinstance(one, BaseException))
