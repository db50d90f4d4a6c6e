"""Doors to what is compared: the engine, the static batcher, and both over HTTP.

Knows: how each is asked. Must not know: users, windows, reports.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from loadtests.closed_loop import Door
from loadtests.engine_watch import EngineWatch
from loadtests.http_client import JsonClient
from loadtests.peers.static_batching import Batching, StaticBatcher
from loadtests.subject import Subject
from model.decoding import DecodingOptions
from model.network import EagerNetwork
from service.engine import EngineConfig, FinishedEvent, SegmentRequest
from service.engine.thread_engine import ThreadEngine

UNBOUNDED = 1 << 40


@dataclass(frozen=True, slots=True)
class Limits:
    """What both sides get alike: rows of a batch, threads of the network."""

    max_rows: int
    num_threads: int


@contextlib.asynccontextmanager
async def engine_doors(
    what: Subject, kinds: Mapping[str, DecodingOptions], limits: Limits, watch: EngineWatch
) -> AsyncIterator[dict[str, Door]]:
    """The engine, by kind of decoding."""
    config = EngineConfig(
        max_rows=limits.max_rows,
        num_threads=limits.num_threads,
        max_queue_tokens=UNBOUNDED,
        cache_bytes_limit=UNBOUNDED,
    )
    engine, ids = ThreadEngine(EagerNetwork(what.bundle.model), config, watch), itertools.count()

    def door(options: DecodingOptions) -> Door:
        async def translate(index: int) -> int:
            request = SegmentRequest(
                segment_id=str(next(ids)), source_ids=what.source_ids[index], options=options
            )
            async for event in engine.submit(request):
                if isinstance(event, FinishedEvent):
                    return len(event.hypotheses[0].token_ids)
            raise RuntimeError("a segment had no answer")

        return translate

    try:
        yield {kind: door(options) for kind, options in kinds.items()}
    finally:
        engine.close()


@contextlib.asynccontextmanager
async def static_doors(
    what: Subject, kinds: Mapping[str, DecodingOptions], batching: Batching, num_threads: int
) -> AsyncIterator[dict[str, Door]]:
    """The static batcher, by kind of decoding."""
    batcher = StaticBatcher(what.bundle.model, batching, num_threads)

    def door(options: DecodingOptions) -> Door:
        async def translate(index: int) -> int:
            return len((await batcher.translate(what.source_ids[index], options)).token_ids)

        return translate

    try:
        yield {kind: door(options) for kind, options in kinds.items()}
    finally:
        await batcher.close()


def served_door(client: JsonClient, what: Subject, strategy: str) -> Door:
    """Verto's own API; `strategy` is one of its strategies, the bundle's defaults fill the rest."""
    info = what.bundle.info
    source, target = info.directions[0]

    async def translate(index: int) -> int:
        question = {
            "text": what.workload.sentences[index],
            "source": source,
            "target": target,
            "strategy": strategy,
            "split": "none",
        }
        answer = await client.post("/v1/translate", question)
        tokens: int = answer["usage"]["target_tokens"]
        return tokens

    return translate


def served_static_door(client: JsonClient, what: Subject, strategy: str) -> Door:
    """The static peer's own address."""

    async def translate(index: int) -> int:
        question = {"text": what.workload.sentences[index], "strategy": strategy}
        tokens: int = (await client.post("/translate", question))["target_tokens"]
        return tokens

    return translate
