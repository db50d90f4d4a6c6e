"""The network of the paper, written a second time from its equations, in float64 NumPy, without a batch.

Knows: Vaswani et al. 2017, sections 3.1 to 3.5, and the names of the weights. Must not know: the code of
`model`, which is held against it. Shapes: T target, S source, D width; one sentence at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor

Array = npt.NDArray[np.float64]
Weights = Mapping[str, Array]


def weights_of(state: Mapping[str, Tensor]) -> Weights:
    """A `state_dict` as float64 arrays."""
    return {name: tensor.double().numpy() for name, tensor in state.items()}


def within(weights: Weights, prefix: str) -> Weights:
    """The weights of one block, by their names inside it."""
    start = prefix + "."
    return {name[len(start) :]: value for name, value in weights.items() if name.startswith(start)}


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def attention(query: Array, key: Array, value: Array, mask: Array | None = None) -> Array:
    """Equation 1: softmax(Q K^T / sqrt(d_k)) V; -inf where the mask is 0, as section 3.2.3 says."""
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = np.where(mask > 0, scores, -np.inf)
    return np.asarray(softmax(scores) @ value)


def linear(weights: Weights, name: str, x: Array) -> Array:
    """A `Linear` keeps the transpose of the paper's matrices."""
    return np.asarray(x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0))


def multi_head(weights: Weights, num_heads: int, x: Array, memory: Array, mask: Array | None = None) -> Array:
    """Section 3.2.2: Concat(head_1 .. head_h) W^O, one head after the other."""
    query, key, value = (
        linear(weights, name, y) for name, y in (("query", x), ("key", memory), ("value", memory))
    )
    width = query.shape[-1] // num_heads
    columns = [slice(h * width, (h + 1) * width) for h in range(num_heads)]
    heads = [attention(query[:, c], key[:, c], value[:, c], mask) for c in columns]
    return linear(weights, "output", np.concatenate(heads, -1))


def layer_norm(weights: Weights, x: Array) -> Array:
    """Ba et al. 2016, with PyTorch's epsilon."""
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return np.asarray(centred / deviation * weights["weight"] + weights["bias"])


def feed_forward(weights: Weights, x: Array) -> Array:
    """Equation 2: max(0, x W1 + b1) W2 + b2."""
    return linear(weights, "outer", np.maximum(0.0, linear(weights, "inner", x)))


def positional_encoding(count: int, width: int) -> Array:
    """Section 3.5, entry by entry."""
    table = np.empty((count, width))
    for position in range(count):
        for i in range(width // 2):
            angle = position / 10_000 ** (2 * i / width)
            table[position, 2 * i], table[position, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table


def embed(table: Array, token_ids: list[int]) -> Array:
    """Section 3.4: the embedding times sqrt(d_model), plus the position."""
    width = table.shape[1]
    return np.asarray(table[token_ids] * math.sqrt(width) + positional_encoding(len(token_ids), width))


def encode(weights: Weights, num_layers: int, num_heads: int, source_ids: list[int]) -> Array:
    """The left side of figure 1, post-norm: LayerNorm(x + Sublayer(x)) [S, D]."""
    x = embed(weights["source_embedding.tokens.weight"], source_ids)
    for index in range(num_layers):
        layer = within(weights, f"encoder.{index}")
        attended = multi_head(within(layer, "self_attention"), num_heads, x, x)
        x = layer_norm(within(layer, "after_self.norm"), x + attended)
        x = layer_norm(within(layer, "after_feed.norm"), x + feed_forward(within(layer, "feed_forward"), x))
    return x


def decode(weights: Weights, num_layers: int, num_heads: int, target_ids: list[int], memory: Array) -> Array:
    """The right side of figure 1, post-norm, up to the logits [T, V]."""
    x = embed(weights["target_embedding.tokens.weight"], target_ids)
    causal = np.tri(len(target_ids))
    for index in range(num_layers):
        layer = within(weights, f"decoder.{index}")
        attended = multi_head(within(layer, "self_attention"), num_heads, x, x, causal)
        x = layer_norm(within(layer, "after_self.norm"), x + attended)
        attended = multi_head(within(layer, "cross_attention"), num_heads, x, memory)
        x = layer_norm(within(layer, "after_cross.norm"), x + attended)
        x = layer_norm(within(layer, "after_feed.norm"), x + feed_forward(within(layer, "feed_forward"), x))
    return linear(weights, "output", x)
