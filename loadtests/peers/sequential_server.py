"""CTranslate2 behind a lock, one request after the other, as small translation servers handle it.

`python -m loadtests.peers.sequential_server` has the same address and answers as `ctranslate2_server`.
Knows: HTTP, a thread for each request in turn. Must not know: batches, Verto's engine, who measures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from loadtests.entry import run_program
from loadtests.peers.ctranslate2_server import Answer, create_app
from loadtests.peers.ctranslate2_texts import Engine, Texts, Translated
from loadtests.subject import SHIPPED


def sequential_app(texts: Texts) -> FastAPI:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Answer]:
        with ThreadPoolExecutor(1, "translate") as thread:

            async def answer(text: str) -> Translated:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(thread, lambda: next(texts.translate([text])))

            yield answer

    return create_app(opened)


def main(
    port: Annotated[int, typer.Option(help="TCP port.")] = 8003,
    bundle: Annotated[Path, typer.Option(help="The bundle to serve.")] = SHIPPED,
    precision: Annotated[str, typer.Option(help="float32 or int8.")] = "int8",
    beam_size: Annotated[int, typer.Option(help="1: greedy search.")] = 4,
    intra_threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
) -> None:
    """Serve a bundle through CTranslate2, one request at a time."""
    engine = Engine(intra_threads, 1, precision, beam_size=beam_size)
    app = sequential_app(Texts(bundle, engine))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    run_program(main)
