"""`generate` of transformers with our weights finds our tokens."""

from __future__ import annotations

import pytest

from loadtests.bench.shapes import random_shape
from loadtests.bench.sides import Ask, Generate, Verto
from loadtests.peers.generate import marian_model
from model.decoding import DecodingOptions
from model.network import EagerNetwork
from tests.builders import tiny_config, tiny_model

MARIAN = {"sinusoid_layout": "halves", "tie_output": True, "activation": "silu"}


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_forced_lengths_have_the_same_tokens(strategy: str) -> None:
    shape = random_shape("tiny", tiny_config(**MARIAN), DecodingOptions())
    ask = Ask(strategy, 12)
    ours = Verto(EagerNetwork(shape.model), shape.defaults).translate(shape.forced[:8], ask)
    assert Generate(shape).translate(shape.forced[:8], ask) == ours
    assert {len(one) for one in ours} <= {11, 12}


def test_a_network_that_is_not_marians_is_refused() -> None:
    with pytest.raises(ValueError, match="Marian's positions"):
        marian_model(tiny_model(sinusoid_layout="interleaved"))
