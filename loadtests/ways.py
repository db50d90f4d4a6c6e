"""Ways to the same answer: alone, in full batches, among random neighbours, and by the slow reference.

Knows: searches, the engine's door. Must not know: which answers are right, reports.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass

import torch

from model import reference
from model.decoding import DecodingOptions, Hypothesis, target_limit
from model.decoding.search import NewSegment, Search
from model.network import Network
from model.transformer import Transformer
from service.engine import EngineConfig, FinishedEvent, SegmentEvents, SegmentRequest
from service.engine.thread_engine import ThreadEngine

UNBOUNDED = 1 << 40
CROWD = 48  # segments that the random way keeps in flight at most
DECOYS = 0.25  # of its segments that are cancelled, each beside those whose answers count

Answers = list[Hypothesis]
Done = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One segment: which sentence, as token ids, and how it is decoded. `kind` names that in a table."""

    sentence: int
    source_ids: tuple[int, ...]
    options: DecodingOptions
    kind: str


@torch.inference_mode()
def alone(network: Network, asked: Sequence[Asked], done: Done) -> Answers:
    """Each in a batch of its own."""
    answers: Answers = []
    for one in asked:
        search = Search(network)
        limit = target_limit(one.options, network.config, len(one.source_ids))
        search.join([NewSegment(0, one.source_ids, one.options, limit)])
        while not (finished := search.step().finished):
            pass
        answers.append(finished[0][0])
        done()
    return answers


@torch.inference_mode()
def by_reference(model: Transformer, asked: Sequence[Asked], done: Done) -> Answers:
    """Without cache and batch, one position after the other; greedy and beam search only."""
    answers: Answers = []
    for one in asked:
        limit = target_limit(one.options, model.config, len(one.source_ids))
        if one.options.strategy == "beam":
            answers.append(reference.beam(model, one.source_ids, one.options, limit)[0])
        else:
            token_ids = reference.greedy(model, one.source_ids, limit, one.options.min_length)
            answers.append(Hypothesis(tuple(token_ids), (), 0.0, "stop"))
        done()
    return answers


def in_full_batches(network: Network, asked: Sequence[Asked], num_threads: int, done: Done) -> Answers:
    """All at once through the engine's door: its batch is full from the first step to nearly the last."""

    async def scenario(engine: ThreadEngine) -> Answers:
        streams = [engine.submit(_request(str(i), one)) for i, one in enumerate(asked)]
        return [await _answer(stream, done) for stream in streams]

    return _through_an_engine(network, num_threads, scenario)


def among_random_neighbours(
    network: Network, asked: Sequence[Asked], num_threads: int, done: Done, seed: int = 0
) -> Answers:
    """In random order and bursts, every kind beside every other, and between them some that are cancelled."""

    async def scenario(engine: ThreadEngine) -> Answers:
        return await _Crowd(engine, asked, random.Random(seed), done).answers()

    return _through_an_engine(network, num_threads, scenario)


class _Crowd:
    """Lets segments in at random: how many run swings between none and `CROWD`, whatever the machine."""

    def __init__(self, engine: ThreadEngine, asked: Sequence[Asked], rng: random.Random, done: Done) -> None:
        self._engine, self._asked, self._rng, self._done = engine, asked, rng, done
        self._in_flight: set[asyncio.Task[None]] = set()
        self._answers: dict[int, Hypothesis] = {}
        self._num_decoys = 0

    async def answers(self) -> Answers:
        order = list(range(len(self._asked)))
        self._rng.shuffle(order)
        while order:
            for _ in range(self._rng.randint(1, CROWD - len(self._in_flight))):
                if order:
                    self._start(self._ask(order.pop()))
                if self._rng.random() < DECOYS:
                    self._start(self._ask_and_leave(self._rng.choice(self._asked)))
            await self._wait_until_few(self._rng.randint(0, CROWD - 1))
        await self._wait_until_few(0)
        return [self._answers[index] for index in range(len(self._asked))]

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _ask(self, index: int) -> None:
        stream = self._engine.submit(_request(str(index), self._asked[index]))
        self._answers[index] = await _answer(stream, self._done)

    async def _ask_and_leave(self, one: Asked) -> None:
        """Go after a few tokens, or before any."""
        self._num_decoys += 1
        stream = self._engine.submit(_request(f"decoy-{self._num_decoys}", one, stream=True))
        for _ in range(self._rng.randint(0, 6)):
            if isinstance(await anext(stream, None), FinishedEvent | None):
                break
        await stream.aclose()

    async def _wait_until_few(self, count: int) -> None:
        while len(self._in_flight) > count:
            finished, _ = await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()


def _request(segment_id: str, one: Asked, stream: bool = False) -> SegmentRequest:
    return SegmentRequest(
        segment_id=segment_id, source_ids=one.source_ids, options=one.options, stream=stream
    )


async def _answer(stream: SegmentEvents, done: Done) -> Hypothesis:
    async for event in stream:
        if isinstance(event, FinishedEvent):
            done()
            return event.hypotheses[0]
    raise RuntimeError("a segment had no answer")


def _through_an_engine(
    network: Network, num_threads: int, scenario: Callable[[ThreadEngine], Awaitable[Answers]]
) -> Answers:
    async def run() -> Answers:
        config = EngineConfig(
            max_queue_tokens=UNBOUNDED, cache_bytes_limit=UNBOUNDED, num_threads=num_threads
        )
        engine = ThreadEngine(network, config)
        try:
            return await scenario(engine)
        finally:
            engine.close()

    return asyncio.run(run())
