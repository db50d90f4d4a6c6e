"""How much of a gradient reaches the first source token, by distance.

Knows: networks, embeddings, gradients. Must not know: training, pictures.
Two questions. Of the encoder alone: what stands at its last word, by how far the first token is from it
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

EncoderDecoder = Transformer | RecurrentNetwork
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
            known = encoder_decoder(network)
            encoder, whole = of_encoder(known, ids), of_loss(known, ids)
            lines.append({"network": name, "distance": distance, "encoder": encoder, "loss": whole})
        done()
    return lines


def of_encoder(network: EncoderDecoder, ids: Tensor) -> float:
    """The gradient of what the encoder says at the last word, in a random direction of length 1."""

    def said() -> Tensor:
        states = _encoded(network, _with_end(network, ids))[:, -2]
        return (states * F.normalize(torch.randn_like(states), dim=-1)).sum()

    return at_first_token(network, source_table(network), said)


def of_loss(network: EncoderDecoder, ids: Tensor) -> float:
    """The gradient of the last target word's loss, where the target is the source backwards."""
    target = ids.flip(1)
    start = torch.full_like(target[:, :1], network.config.decoder_start_id)

    def said() -> Tensor:
        source = _with_end(network, ids)
        shifted = torch.cat((start, target[:, :-1]), 1)
        logits = network(source, torch.ones_like(source, dtype=torch.bool), shifted)
        return F.cross_entropy(logits[:, -1], target[:, -1], reduction="sum")

    return at_first_token(network, source_table(network), said)


def _with_end(network: EncoderDecoder, ids: Tensor) -> Tensor:
    """Words and `</s>`, as networks are given them in training."""
    return torch.cat((ids, torch.full_like(ids[:, :1], network.config.eos_id)), 1)


def _encoded(network: EncoderDecoder, ids: Tensor) -> Tensor:
    mask = torch.ones_like(ids, dtype=torch.bool)
    memory = network.encode(ids, mask)
    return memory if isinstance(memory, Tensor) else memory.states


def encoder_decoder(network: nn.Module) -> EncoderDecoder:
    """Raises `TypeError` for a network of an unknown kind."""
    if isinstance(network, EncoderDecoder):
        return network
    raise TypeError(f"an encoder-decoder is wanted, not {type(network).__name__}")


def at_first_token(network: nn.Module, table: nn.Embedding, said: Callable[[], Tensor]) -> float:
    """Mean over sentences of the norm of d `said` / d what `table` gives first for the first token."""
    vectors: list[Tensor] = []

    def keep(module: nn.Module, given: Any, out: Tensor) -> None:
        out.retain_grad()
        vectors.append(out)

    network.eval()
    handle = table.register_forward_hook(keep)
    try:
        torch.autograd.backward(said())
    finally:
        handle.remove()
        network.zero_grad(set_to_none=True)
    gradient = vectors[0].grad  # of the first look-up, the source's: a shared table is asked again later
    assert gradient is not None
    return float(gradient[:, 0].norm(dim=-1).mean())


def source_table(network: EncoderDecoder) -> nn.Embedding:
    """The table of the source's token vectors."""
    return network.source_embedding.tokens if isinstance(network, Transformer) else network.source_tokens
