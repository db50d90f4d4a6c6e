"""How much of a gradient reaches the first source token, by distance.

Knows: networks, embeddings, gradients. Must not know: training, pictures.
Two questions. Of the encoder alone: what stands at its last position, by how far the first token is from it
(the maximum path length of section 4 of Vaswani et al. 2017: all positions for a recurrent network, one for
self-attention). Of the whole network: the loss of the last target token, which reversal makes of the first
source token, by the length of the sentence; there the decoder's attention is a short way for both.
Shapes: B sentences, S = T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.transformer import Transformer
from training.baselines.recurrent import RecurrentNetwork

SENTENCES = 16


def measure(
    networks: Mapping[str, nn.Module],
    distances: Sequence[int],
    token_ids: Sequence[int],
    done: Callable[..., None] = lambda count=1: None,
) -> list[dict[str, Any]]:
    """A line for each network and distance; gradients are means over sentences drawn from `token_ids`."""
    lines, tokens = [], torch.tensor(token_ids)
    for distance in distances:
        torch.manual_seed(distance)
        ids = tokens[torch.randint(len(tokens), (SENTENCES, distance + 1))]
        for name, network in networks.items():
            encoder, whole = of_encoder(network, ids), of_loss(network, ids)
            lines.append({"network": name, "distance": distance, "encoder": encoder, "loss": whole})
        done()
    return lines


def of_encoder(network: nn.Module, ids: Tensor) -> float:
    """The gradient of what the encoder says at the last position, in a random direction of length 1."""

    def said(network: nn.Module) -> Tensor:
        states = _encoded(network, ids)[:, -1]
        return (states * F.normalize(torch.randn_like(states), dim=-1)).sum()

    return at_first_token(network, source_table(network), said)


def of_loss(network: nn.Module, ids: Tensor) -> float:
    """The gradient of the last target token's loss, where the target is the source backwards."""
    target = ids.flip(1)

    def said(network: nn.Module) -> Tensor:
        logits = network(ids, torch.ones_like(ids, dtype=torch.bool), target.roll(1, 1))
        return F.cross_entropy(logits[:, -1], target[:, -1], reduction="sum")

    return at_first_token(network, source_table(network), said)


def _encoded(network: nn.Module, ids: Tensor) -> Tensor:
    mask = torch.ones_like(ids, dtype=torch.bool)
    if isinstance(network, Transformer):
        return network.encode(ids, mask)
    assert isinstance(network, RecurrentNetwork)
    return network.encode(ids, mask).states


def at_first_token(network: nn.Module, table: nn.Embedding, said: Callable[[nn.Module], Tensor]) -> float:
    """Mean over sentences of the norm of d `said` / d what `table` gives first for the first token."""
    vectors: list[Tensor] = []

    def keep(module: nn.Module, given: Any, out: Tensor) -> None:
        out.retain_grad()
        vectors.append(out)

    handle = table.register_forward_hook(keep)
    try:
        torch.autograd.backward(said(network.eval()))
    finally:
        handle.remove()
        network.zero_grad(set_to_none=True)
    gradient = vectors[0].grad  # of the first look-up, the source's: a shared table is asked again later
    assert gradient is not None
    return float(gradient[:, 0].norm(dim=-1).mean())


def source_table(network: nn.Module) -> nn.Embedding:
    """The table of the source's token vectors. Raises `TypeError` for a network of an unknown kind."""
    if isinstance(network, Transformer):
        return network.source_embedding.tokens
    if isinstance(network, RecurrentNetwork):
        return network.source_tokens
    raise TypeError(f"an encoder-decoder is wanted, not {type(network).__name__}")
