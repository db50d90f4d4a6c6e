"""Leg 3: `verto serve` with users on the same machine: throughput, waiting, first tokens, where time goes.

Knows: a server's process, users, its metrics. Must not know: networks.
"""

from __future__ import annotations

import asyncio
import re
from itertools import product
from typing import Any
from urllib.request import urlopen

from loadtests.closed_loop import Window, closed_loop
from loadtests.gpu.setting import Found, Setting
from loadtests.http_client import JsonClient
from loadtests.servers import running_server

_SUMS = re.compile(r"^(verto_\w+_(?:sum|count))(\{[^}]*\})? (\S+)$", re.MULTILINE)


def served(setting: Setting) -> Found:
    precision, rows = ("float32", "64") if setting.tiny else ("bfloat16", "1024")
    options = ["serve", "--models-dir", str(setting.bundle), "--device", str(setting.device)]
    options += ["--precision", precision, "--max-rows", rows, "--max-queue-tokens", "2000000"]
    options += ["--log-level", "error"]  # as in the other measurements
    users = (1, 4) if setting.tiny else (1, 8, 32, 128, 256, 512)
    with running_server("cli.main", *options) as port:
        lines: list[dict[str, Any]] = []
        for count, search in product(users, ("beam", "greedy")):
            lines.append(_line(setting, port, count, search))
            yield {"precision": precision, "max_rows": int(rows), "lines": lines}


def _line(setting: Setting, port: int, users: int, search: str) -> dict[str, Any]:
    window = Window(0.5, 1.0) if setting.tiny else Window(2.0, 8.0)
    seen: list[dict[str, float]] = []
    outcome = asyncio.run(_load(setting, port, users, search, window, seen))
    before, after = seen
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    first = "verto_time_to_first_token_seconds"
    counted = [(n, v) for n, v in grown.items() if n.startswith(f"{first}_count")]
    sums = [v for n, v in grown.items() if n.startswith(f"{first}_sum")]
    phases = {
        phase: value / window.seconds
        for name, value in grown.items()
        if name.startswith("verto_step_duration_seconds_sum")
        and (phase := name.split('phase="')[1].split('"')[0])
    }
    mean = 1000 * sum(sums) / max(1.0, sum(value for _, value in counted))
    return {"users": users, "search": search, **outcome, "first_token_mean_ms": mean, "share_of_time": phases}


async def _load(
    setting: Setting, port: int, users: int, search: str, window: Window, seen: list[dict[str, float]]
) -> dict[str, float]:
    client, sentences = JsonClient("127.0.0.1", port), setting.sentences.sentences

    async def door(number: int) -> int:
        asked = {"text": sentences[number], "target": "de", "strategy": search}
        answer = await client.post("/v1/translate", asked)
        return int(answer["usage"]["target_tokens"])

    def look() -> None:
        seen.append(_metrics(port))

    try:
        return await closed_loop(door, users, len(sentences), window, look, look)
    finally:
        await client.close()


def _metrics(port: int) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {f"{name}{labels or ''}": float(value) for name, labels, value in _SUMS.findall(text)}
