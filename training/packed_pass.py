"""Teacher forcing over a batch's real positions alone: what padding would cost is not computed.

Knows: the network's parts and their order. Must not know: losses, optimisers, where batches come from.
A batch of sentences sorted by length is padded by a tenth all the same. All that is costly works on each
position alone, but for attention, which is therefore the one to get a rectangle (ByteTransformer, Zhai et al.
2023, section III).
Shapes: B sentences, S source, T target, M and N real positions of source and target, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from model.attention import MultiHeadAttention, attention
from model.layers import DecoderLayer, EncoderLayer
from model.masks import attend_to_source, causal_mask
from model.transformer import Transformer
from training.real_positions import HeadPlaces, RealPositions

Sublayer = Callable[[Tensor], Tensor]


def packs(network: nn.Module, device: torch.device) -> bool:
    """Whether a step goes this way: a Transformer on a processor, where work is paid for number by number.

    A GPU's kernels want few shapes, and to learn from it how many positions are real would be to wait for it.
    """
    return isinstance(network, Transformer) and device.type == "cpu"


class PackedPass(nn.Module):
    """The same network with the same parameters; its logits are those of real target positions."""

    def __init__(self, network: Transformer) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, source_ids: Tensor, source_mask: Tensor, target_ids: Tensor, target_mask: Tensor
    ) -> Tensor:
        """`source_ids` and `source_mask` [B, S], `target_ids` and `target_mask` [B, T] -> logits [N, V].

        Masks are True at real tokens; padding stands behind them, in source and target.
        """
        source, target = RealPositions.of(source_mask), RealPositions.of(target_mask)
        return self._decode(target, target_ids, source, self._encode(source, source_ids))

    def _encode(self, source: RealPositions, source_ids: Tensor) -> Tensor:
        """Memory, [M, D]."""
        network = self.network
        places = source.in_heads(network.config.num_encoder_heads)
        mask = attend_to_source(source.mask)
        x = network.source_embedding(source.take(source_ids), source.columns)
        for layer in cast(Iterable[EncoderLayer], network.encoder):
            x = layer.after_self(x, _attending(layer.self_attention, places, mask))
            x = layer.after_feed(x, layer.feed_forward)
        out: Tensor = network.encoder_norm(x)
        return out

    def _decode(
        self, target: RealPositions, target_ids: Tensor, source: RealPositions, memory: Tensor
    ) -> Tensor:
        """Logits, [N, V]."""
        network = self.network
        num_heads = network.config.num_decoder_heads
        places, read = target.in_heads(num_heads), _Packed(memory, source.in_heads(num_heads))
        causal = causal_mask(target_ids.shape[1], target_ids.device)
        mask = attend_to_source(source.mask)
        x = network.target_embedding(target.take(target_ids), target.columns)
        for layer in cast(Iterable[DecoderLayer], network.decoder):
            x = layer.run(
                x,
                _attending(layer.self_attention, places, causal),
                _attending(layer.cross_attention, places, mask, read),
            )
        out: Tensor = network.output(network.decoder_norm(x))
        return out


@dataclass(frozen=True, slots=True)
class _Packed:
    """Vectors of real positions, [N, D], and where attention puts them."""

    vectors: Tensor
    places: HeadPlaces


def _attending(
    block: MultiHeadAttention, places: HeadPlaces, mask: Tensor, memory: _Packed | None = None
) -> Sublayer:
    """Attention as a sublayer, [N, D] -> [N, D]: over `memory`, or over what it is asked with."""

    def attend(x: Tensor) -> Tensor:
        read = memory or _Packed(x, places)
        query, key, value = block.query(x), block.key(read.vectors), block.value(read.vectors)
        dropout = block.dropout if block.training else 0.0
        heads = attention(
            places.spread(query), read.places.spread(key), read.places.spread(value), mask, dropout
        )
        out: Tensor = block.output(places.collect(heads))
        return out

    return attend
