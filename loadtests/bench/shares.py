"""Where the time of a batch goes: seen from outside, by watching the network and by steps with less work.

Knows: the seam `model.network.Network`, what its parts are called. Must not know: how networks compute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from loadtests.bench.cells import BEAM_SIZE, Cell
from loadtests.bench.shapes import FORCED_LENGTH, Shape
from loadtests.bench.sides import MAX_ROWS, Ask, Tokens, Verto
from loadtests.steps import step_seconds
from model.config import ModelConfig
from model.network import Cache, Network
from model.transformer import Transformer

FEW_TOKENS = 64  # a vocabulary so small that its output projection costs nothing


class WatchedNetwork:
    """The network itself, with the seconds that encoding, steps and looking at scores took."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.seconds = dict.fromkeys(("encoder", "steps", "selection"), 0.0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def open(self, *arguments: Any) -> Cache:
        opened: Cache = self._timed("encoder", self._network.open)(*arguments)
        return opened

    def step(self, token_ids: Tensor, cache: Cache, **options: Any) -> Any:
        return _WatchedScores(self._timed("steps", self._network.step)(token_ids, cache, **options), self)

    def _timed(self, what: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*arguments, **options)
            finally:
                self.seconds[what] += time.perf_counter() - began

        return timed


class _WatchedScores:
    """Everything that is asked of the scores is selection."""

    def __init__(self, scores: Any, watch: WatchedNetwork) -> None:
        self._scores, self._watch = scores, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._scores, name)
        return self._watch._timed("selection", found) if callable(found) else found


def shares(
    shape: Shape, cell: Cell, make: Callable[[Transformer], Network], sources: Sequence[Tokens]
) -> dict[str, float]:
    """Of the whole time of one batch, adding up to 1. `make` gives the network that serving has.

    "output projection" is what steps with a vocabulary of a few tokens save; "history" is what they take
    longer than the first ones of a search, which have nothing behind them to attend to.
    """
    watched = WatchedNetwork(make(shape.model))
    verto, ask = Verto(watched, shape.defaults), Ask(cell.strategy, FORCED_LENGTH)
    batch = sources[: cell.batch]
    verto.translate(batch, ask)
    watched.seconds = dict.fromkeys(watched.seconds, 0.0)
    began = time.perf_counter()
    verto.translate(batch, ask)
    whole = time.perf_counter() - began
    found = {name: seconds / whole for name, seconds in watched.seconds.items()}
    steps = found.pop("steps")
    parts = _parts_of_steps(shape, cell, make)
    rest = max(0.0, 1.0 - steps - sum(found.values()))
    return found | {name: steps * part for name, part in parts.items()} | {"Python and bookkeeping": rest}


def _parts_of_steps(shape: Shape, cell: Cell, make: Callable[[Transformer], Network]) -> dict[str, float]:
    """Of the time of all steps of a search, adding up to 1."""
    width = BEAM_SIZE if cell.strategy == "beam" else 1
    rows = min(cell.rows, MAX_ROWS // width * width)

    def seconds(network: Network) -> list[float]:
        return step_seconds(network, rows, FORCED_LENGTH, FORCED_LENGTH, width)

    full, small = seconds(make(shape.model)), seconds(make(_small(shape.model.config)))
    whole = mean(full)
    output = max(0.0, whole - mean(small)) / whole
    history = min(1.0 - output, max(0.0, whole - min(full[1:4])) / whole)
    rest = 1.0 - output - history
    return {"output projection": output, "history": history, "other products and cross-attention": rest}


def _small(config: ModelConfig) -> Transformer:
    """The same layers with hardly a vocabulary."""
    last = FEW_TOKENS - 1
    few = replace(
        config,
        source_vocab_size=FEW_TOKENS,
        target_vocab_size=FEW_TOKENS,
        pad_id=last,
        eos_id=0,
        decoder_start_id=last,
    )
    with torch.random.fork_rng(devices=[]):
        return Transformer(few).eval()


def told(found: dict[str, float]) -> str:
    """The largest first."""
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in ordered if share >= 0.005)
