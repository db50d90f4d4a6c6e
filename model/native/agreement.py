"""How far a native network is from the module it was made of: the same steps in both, their answers compared.

Knows: networks and precisions. Must not know: bundles, libraries, who asks.
"""

from __future__ import annotations

import copy

import torch

from model.config import ModelConfig
from model.int8 import int8_copy
from model.network import EagerNetwork, Network
from model.transformer import Transformer

SOURCE_LENGTHS = (3, 9, 17)
NUM_STEPS = 12
# Largest difference of a log-probability. Products of integers are exact, but a sum that lies on the border
# between two of them is rounded to either side; kernels that are wrong are wrong by tens.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.5, "int8": 1.5}


def eager_in(model: Transformer, precision: str) -> EagerNetwork:
    """What a native network in that precision is to be like; `model` is float32 on the CPU, and stays."""
    if precision == "int8":
        return EagerNetwork(int8_copy(model), precision)
    if precision == "bfloat16":  # the native network rounds weights, and adds in float32
        return EagerNetwork(copy.deepcopy(model).bfloat16().float(), precision)
    return EagerNetwork(model, precision)


@torch.inference_mode()
def largest_difference(one: Network, other: Network) -> float:
    """Of the log-probabilities of a few greedy steps over a few made-up sources; NaN where either has one."""
    sources, rows = _sources(one.config), len(SOURCE_LENGTHS)
    steps = min(NUM_STEPS, one.config.max_target_length)
    networks = (one, other)
    caches = [network.open(sources, [1] * rows, [steps] * rows) for network in networks]
    token_ids = torch.full((rows,), one.config.decoder_start_id)
    largest = torch.zeros(())
    for _ in range(steps):
        answers = zip(networks, caches, strict=True)
        mine, others = (network.step(token_ids, cache).log_probs().clone() for network, cache in answers)
        largest = torch.maximum(largest, (mine - others).abs().max())
        token_ids = mine.argmax(dim=1)
    return float(largest)


def _sources(config: ModelConfig) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    lengths = [min(length, config.max_source_length) - 1 for length in SOURCE_LENGTHS]
    ids = [torch.randint(config.source_vocab_size, (n,), generator=generator).tolist() for n in lengths]
    return [[*one, config.eos_id] for one in ids]
