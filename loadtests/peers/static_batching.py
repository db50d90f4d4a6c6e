"""Naive static batching of the same network: collect requests, decode them together to the end, answer all.

`python -m loadtests.peers.static_batching` serves it over HTTP. Knows: the network, its strategies, a queue.
Must not know: Verto's engine, who measures.

What most small translation servers do: a batch is sorted and padded once; a row that has finished is decoded
along until the longest is done; nobody joins meanwhile, and nobody is answered before the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from loadtests.entry import run_program
from loadtests.subject import SHIPPED
from model.checkpoint import Bundle, load_bundle
from model.decoding import DecodingOptions, Hypothesis, target_limit
from model.decoding.constraints import TargetVocabulary
from model.decoding.strategy import Task
from model.decoding.strategy_set import StrategySet
from model.masks import pad_batch
from model.step_scores import DenseScores
from model.transformer import Transformer, next_log_probs
from service.engine.allocator import keep_freed_memory


@dataclass(frozen=True, slots=True)
class Batching:
    """A batch is decoded once as many requests wait as have `max_rows` rows, or the first waited so long."""

    max_rows: int
    wait_seconds: float
    shrinks: bool = False  # rows that have finished leave; a better baseline than the naive one

    def size(self, options: DecodingOptions) -> int:
        return max(1, self.max_rows // options.rows)


@torch.inference_mode()
def decode_static(
    model: Transformer, sources: Sequence[Sequence[int]], options: DecodingOptions, shrinks: bool = False
) -> list[Hypothesis]:
    """One padded batch to its end, longest source first; answers in the order of `sources`."""
    order = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    ids, mask = pad_batch([sources[index] for index in order], model.config.pad_id)
    limits = [target_limit(options, model.config, len(sources[index])) for index in order]
    # A row goes on until the longest is done, so every row needs room for that.
    cache = model.start_cache(model.encode(ids, mask), mask, [options.rows] * len(order), max(limits))
    strategies = StrategySet(TargetVocabulary.of(model.config), ids.device)
    for key, limit in enumerate(limits):
        strategies.add(Task(key, options, limit))
    token_ids = torch.full((cache.num_rows,), model.config.decoder_start_id)
    in_cache, answers = list(range(len(order))), dict[int, Hypothesis]()
    while strategies.keys:
        log_probs = next_log_probs(model.decode_step(token_ids, cache))
        live = set(strategies.keys)
        kept = torch.tensor([key in live for key in in_cache])[cache.segment_of_row]
        rows = kept.nonzero()[:, 0]
        selection = strategies.select(DenseScores(log_probs[rows]))
        answers |= {key: hypotheses[0] for key, hypotheses in selection.finished.items()}
        parents = torch.arange(cache.num_rows)
        parents[rows] = rows if selection.parents is None else rows[selection.parents]
        cache.reorder(parents)
        token_ids[rows] = selection.token_ids
        if shrinks and selection.finished and strategies.keys:
            stays = torch.tensor([key in set(strategies.keys) for key in in_cache])
            token_ids = token_ids[stays[cache.segment_of_row]]
            cache.keep(stays)
            in_cache = list(strategies.keys)
    placed = {order[key]: hypothesis for key, hypothesis in answers.items()}
    return [placed[index] for index in range(len(sources))]


class StaticBatcher:
    """Batches of requests with the same options, one batch at a time, in a thread of its own."""

    def __init__(self, model: Transformer, batching: Batching, num_threads: int) -> None:
        self._model, self._batching, self._num_threads = model, batching, num_threads
        keep_freed_memory()  # as the engine does
        self._worker = ThreadPoolExecutor(1, "static", initializer=lambda: torch.set_num_threads(num_threads))
        self._waiting: dict[DecodingOptions, list[tuple[Sequence[int], asyncio.Future[Hypothesis]]]] = {}
        self._arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop().create_task(self._serve())

    async def translate(self, source_ids: Sequence[int], options: DecodingOptions) -> Hypothesis:
        answer: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(options, []).append((source_ids, answer))
        self._arrived.set()
        return await answer

    async def close(self) -> None:
        self._loop.cancel()
        await asyncio.gather(self._loop, return_exceptions=True)
        self._worker.shutdown()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            options = await self._first()
            await self._fill(options)
            batch = self._take(options)
            sources = [source_ids for source_ids, _ in batch]
            found = await loop.run_in_executor(
                self._worker, decode_static, self._model, sources, options, self._batching.shrinks
            )
            for (_, answer), hypothesis in zip(batch, found, strict=True):
                if not answer.cancelled():
                    answer.set_result(hypothesis)

    async def _first(self) -> DecodingOptions:
        """The options of whoever has waited longest."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return next(iter(self._waiting))

    async def _fill(self, options: DecodingOptions) -> None:
        deadline = asyncio.get_running_loop().time() + self._batching.wait_seconds
        while len(self._waiting[options]) < self._batching.size(options):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return

    def _take(self, options: DecodingOptions) -> list[tuple[Sequence[int], asyncio.Future[Hypothesis]]]:
        waiting = self._waiting.pop(options)
        size = self._batching.size(options)
        batch, rest = waiting[:size], waiting[size:]
        if rest:
            self._waiting[options] = rest  # behind those with other options
        return batch


class Question(BaseModel):
    """What the peer's one address accepts."""

    text: str
    strategy: str = "beam"


def create_app(bundle: Bundle, batching: Batching, num_threads: int) -> FastAPI:
    """`POST /translate`, as small as such servers are."""
    app, batchers = FastAPI(), list[StaticBatcher]()  # the batcher belongs to the server's event loop
    options = {
        "beam": bundle.info.decoding,
        "greedy": DecodingOptions.with_defaults({"strategy": "greedy"}, bundle.info.decoding),
    }

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/translate")
    async def translate(question: Question) -> dict[str, object]:
        if not batchers:
            batchers.append(StaticBatcher(bundle.model, batching, num_threads))
        chosen = options[question.strategy]
        source_ids = bundle.tokenizer.encode_source(question.text)
        found = await batchers[0].translate(source_ids, chosen)
        return {
            "text": bundle.tokenizer.decode_target(found.token_ids),
            "target_tokens": len(found.token_ids),
        }

    return app


def main(
    port: Annotated[int, typer.Option(help="TCP port.")] = 8001,
    bundle: Annotated[Path, typer.Option(help="The bundle to serve.")] = SHIPPED,
    max_rows: Annotated[int, typer.Option(help="Most rows in a batch; a beam of 4 takes 4.")] = 64,
    wait_ms: Annotated[float, typer.Option(help="Longest wait for a batch to fill.")] = 5.0,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    shrinks: Annotated[bool, typer.Option(help="Rows that have finished leave the batch.")] = False,
) -> None:
    """Serve a bundle with naive static batching."""
    app = create_app(load_bundle(bundle), Batching(max_rows, wait_ms / 1000, shrinks), threads)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    run_program(main)
