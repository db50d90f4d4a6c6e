"""CTranslate2 as a user would serve it: FastAPI, requests gathered into batches, its asynchronous calls.

`python -m loadtests.peers.ctranslate2_server` answers `POST /v1/translate` as Verto does, as far as a load
needs it. Knows: HTTP, the batcher. Must not know: Verto's engine, who measures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from loadtests.entry import run_program
from loadtests.peers.batcher import Batcher, Batching
from loadtests.peers.ctranslate2_texts import Engine, Texts, Translated
from loadtests.subject import SHIPPED

Answer = Callable[[str], Awaitable[Translated]]


class Question(BaseModel):
    """Fields of Verto's API; all but the text are for the peer what they are by default."""

    text: str
    source: str | None = None
    target: str | None = None
    strategy: str = "beam"
    split: str = "none"


def create_app(opened: Callable[[], Any]) -> FastAPI:
    """`opened` is an asynchronous context that gives what answers a text; it lives as long as the server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened() as answer:
            app.state.answer = answer
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/translate")
    async def translate(question: Question) -> dict[str, Any]:
        answer: Answer = app.state.answer
        found = await answer(question.text)
        return {"translations": [{"text": found.text}], "usage": {"target_tokens": found.target_tokens}}

    return app


def batched_app(texts: Texts, batching: Batching) -> FastAPI:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Answer]:
        batcher = Batcher(texts.translate, batching)
        try:
            yield batcher.translate
        finally:
            await batcher.close()

    return create_app(opened)


def main(
    port: Annotated[int, typer.Option(help="TCP port.")] = 8002,
    bundle: Annotated[Path, typer.Option(help="The bundle to serve.")] = SHIPPED,
    precision: Annotated[str, typer.Option(help="float32 or int8.")] = "int8",
    beam_size: Annotated[int, typer.Option(help="1: greedy search.")] = 4,
    max_texts: Annotated[int, typer.Option(help="Most texts in a batch.")] = 32,
    wait_ms: Annotated[float, typer.Option(help="Longest wait for a batch to fill.")] = 0.0,
    in_flight: Annotated[int, typer.Option(help="Batches handed over at once.")] = 1,
    batch_type: Annotated[
        str, typer.Option(help="What --max-batch-size counts: examples, tokens.")
    ] = "examples",
    max_batch_size: Annotated[int, typer.Option(help="Where CTranslate2 divides a batch.")] = 64,
    inter_threads: Annotated[int, typer.Option(help="Batches that compute at once.")] = 1,
    intra_threads: Annotated[int, typer.Option(help="Threads of each.")] = 1,
) -> None:
    """Serve a bundle through CTranslate2, with batches made of waiting requests."""
    engine = Engine(intra_threads, inter_threads, precision, max_batch_size, batch_type, beam_size)
    app = batched_app(Texts(bundle, engine), Batching(max_texts, wait_ms / 1000, in_flight))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    run_program(main)
