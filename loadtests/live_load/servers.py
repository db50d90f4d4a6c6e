"""The servers that are put under load, each a process of its own, with the same threads, bundle, precision.

Knows: their commands and options, requests. Must not know: rates, windows, reports.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.http_client import PreparedClient, post_request
from loadtests.peers.batcher import Batching
from loadtests.report import RESULTS
from loadtests.servers import running_server

VERTO, CTRANSLATE2, SEQUENTIAL = "verto", "ctranslate2", "sequential"
TUNED_FILE = "ctranslate2-server.json"  # among the results; the sweep writes it


@dataclass(frozen=True, slots=True)
class Alike:
    """What all servers have in common."""

    bundle: Path
    precision: str
    threads: int


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the sweep is free to choose for the peer."""

    max_texts: int = Batching().max_texts
    wait_ms: float = 1000 * Batching().wait_seconds
    in_flight: int = Batching().in_flight
    batch_type: str = "examples"
    max_batch_size: int = 64

    def options(self) -> list[str]:
        return [word for name, value in asdict(self).items() for word in (_option(name), str(value))]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def tuned(results: Path) -> Tuning:
    """What the last sweep found best, of this folder or else the committed one; the defaults where there was
    none. Wherever the report goes, the peer is measured at its best."""
    for path in (results / TUNED_FILE, RESULTS / TUNED_FILE):
        if path.is_file():
            return Tuning(**json.loads(path.read_text(encoding="utf-8"))["best"])
    return Tuning()


@contextlib.contextmanager
def verto_server(alike: Alike) -> Iterator[int]:
    """With its defaults but for what all have alike; gives the port."""
    with running_server(
        "cli.main", "serve", "--models-dir", str(alike.bundle), "--num-threads", str(alike.threads),
        "--precision", alike.precision, "--log-level", "error",
    ) as port:  # fmt: skip
        yield port


@contextlib.contextmanager
def ctranslate2_server(alike: Alike, tuning: Tuning) -> Iterator[int]:
    with running_server("loadtests.peers.ctranslate2_server", *_peer(alike), *tuning.options()) as port:
        yield port


@contextlib.contextmanager
def sequential_server(alike: Alike) -> Iterator[int]:
    with running_server("loadtests.peers.sequential_server", *_peer(alike)) as port:
        yield port


def _peer(alike: Alike) -> list[str]:
    return [
        "--bundle", str(alike.bundle), "--precision", alike.precision, "--intra-threads", str(alike.threads),
    ]  # fmt: skip


@contextlib.contextmanager
def running(names: Sequence[str], alike: Alike, tuning: Tuning) -> Iterator[dict[str, int]]:
    """All of them at once, idle but for the one that is asked; gives their ports."""
    starts: Mapping[str, contextlib.AbstractContextManager[int]] = {
        VERTO: verto_server(alike),
        CTRANSLATE2: ctranslate2_server(alike, tuning),
        SEQUENTIAL: sequential_server(alike),
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(starts[name]) for name in names}


def client(port: int, sentences: Sequence[str], direction: tuple[str, str]) -> PreparedClient:
    """Asks for one sentence at a time, always another: identical ones in flight may share an answer."""
    source, target = direction
    fields = {"source": source, "target": target, "strategy": "beam", "split": "none"}
    host = "127.0.0.1"
    requests = [post_request(host, "/v1/translate", {"text": text, **fields}) for text in sentences]
    return PreparedClient(host, port, requests)
