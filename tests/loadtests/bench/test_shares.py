"""The shares of a batch's time add up, and watching changes no answer."""

from __future__ import annotations

import time
from typing import Any

import pytest
from torch import Tensor

from loadtests.bench.cells import Cell
from loadtests.bench.shapes import random_shape
from loadtests.bench.shares import WatchedNetwork, shares, told
from loadtests.bench.sides import Ask, Verto
from model.decoding import DecodingOptions
from model.network import Cache, EagerNetwork
from tests.builders import tiny_config

SHAPE = random_shape("tiny", tiny_config(), DecodingOptions())


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_shares_add_up_to_the_whole(strategy: str) -> None:
    cell = Cell("opus-base", "forced", strategy, 2, "float32")
    found = shares(SHAPE, cell, EagerNetwork, SHAPE.forced[:2])
    assert sum(found.values()) == pytest.approx(1.0)
    assert min(found.values()) >= 0.0
    assert found["encoder"] > 0
    assert found["selection"] > 0


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_a_watched_network_answers_the_same(strategy: str) -> None:
    plain = EagerNetwork(SHAPE.model)
    sides = [Verto(network, SHAPE.defaults) for network in (plain, WatchedNetwork(plain))]
    first, second = (side.translate(SHAPE.forced[:3], Ask(strategy, 9)) for side in sides)
    assert first == second


def test_time_is_counted_where_it_is_spent() -> None:
    class Slow(EagerNetwork):
        def step(self, token_ids: Tensor, cache: Cache, **options: Any) -> Any:
            time.sleep(0.01)
            return super().step(token_ids, cache, **options)

    watched = WatchedNetwork(Slow(SHAPE.model))
    Verto(watched, SHAPE.defaults).translate(SHAPE.forced[:1], Ask("greedy", 10))
    assert watched.seconds["steps"] > 0.1 > watched.seconds["selection"]


def test_the_largest_share_is_told_first() -> None:
    assert told({"encoder": 0.2, "selection": 0.001, "history": 0.799}) == "history 80%, encoder 20%"
