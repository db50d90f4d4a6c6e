"""A trained network's weights, handed to the native one in the shapes that its kernels read.

Knows: `Transformer`'s modules, which of their matrices are multiplied together, heads filled up to whole
vectors. Must not know: how a matrix is packed, precisions.
Shapes: N outputs, K inputs, H heads.

Every head begins at a whole vector: between heads stand outputs with zero weights, and inputs with zero
weights where the joined heads are multiplied. Zeros stay zeros, so nothing that is computed changes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from ctypes import byref, c_void_p
from typing import cast

import torch
from torch import Tensor, nn

from model.attention import MultiHeadAttention
from model.config import ModelConfig
from model.embeddings import Embedding
from model.layers import DecoderLayer, EncoderLayer, FeedForward
from model.native.binding import ACTIVATIONS, MATRICES, NORMS, NUMBERS, TABLES, Library, Sizes
from model.transformer import Transformer

LANES = 16  # floats of a vector

Linear = tuple[Tensor, Tensor | None]  # weights [N, K] and bias [N]


def new_network(library: Library, model: Transformer, precision: str, num_threads: int) -> c_void_p:
    """A native network with `model`'s weights copied. The caller frees it. Raises `NativeError`."""
    handle = c_void_p()
    library.call("verto_network_new", byref(sizes(model, precision, num_threads)), byref(handle))
    try:
        _Packer(library, handle).fill(model)
    except BaseException:
        library.free("verto_network_free", handle, os.getpid())
        raise
    return handle


def sizes(model: Transformer, precision: str, num_threads: int) -> Sizes:
    config = model.config
    return Sizes(
        d_model=config.d_model,
        encoder_layers=config.num_encoder_layers,
        decoder_layers=config.num_decoder_layers,
        encoder_heads=config.num_encoder_heads,
        decoder_heads=config.num_decoder_heads,
        encoder_ffn=config.encoder_ffn_dim,
        decoder_ffn=config.decoder_ffn_dim,
        source_vocabulary=config.source_vocab_size,
        target_vocabulary=config.target_vocab_size,
        source_positions=config.max_source_length,
        target_positions=config.max_target_length,
        pre_norm=config.norm == "pre",
        final_norm=config.final_norm,
        embedding_norm=config.embedding_norm,
        shared_embeddings=config.share_embeddings,
        activation=ACTIVATIONS[config.activation],
        alignment_layer=config.alignment_layer % config.num_decoder_layers,
        numbers=NUMBERS[precision],
        threads=num_threads,
        embedding_scale=math.sqrt(config.d_model) if config.scale_embeddings else 1.0,
        epsilon=cast(DecoderLayer, model.decoder[0]).after_self.norm.eps,
    )


def padded_heads(weights: Tensor, num_heads: int) -> Tensor:
    """Outputs [N, ...] by heads, each followed by zeros up to a whole vector."""
    head_width = len(weights) // num_heads
    by_head = weights.new_zeros(num_heads, -(-head_width // LANES) * LANES, *weights.shape[1:])
    by_head[:, :head_width] = weights.view(num_heads, head_width, *weights.shape[1:])
    return by_head.flatten(0, 1)


def from_heads(*layers: nn.Linear, num_heads: int) -> Linear:
    """Projections to heads, one after the other, as one matrix."""
    weights = torch.cat([padded_heads(_float(layer.weight), num_heads) for layer in layers])
    biases = [padded_heads(bias, num_heads) for layer in layers if (bias := _bias(layer)) is not None]
    return weights, torch.cat(biases) if biases else None


def joining_heads(layer: nn.Linear, num_heads: int) -> Linear:
    """The projection that joins heads: its inputs are filled up."""
    return padded_heads(_float(layer.weight).t(), num_heads).t(), _bias(layer)


class _Packer:
    """Hands weights to one native network."""

    def __init__(self, library: Library, handle: c_void_p) -> None:
        self._library, self._handle = library, handle

    def fill(self, model: Transformer) -> None:
        config = model.config
        for name, layer, linear in _matrices(model):
            self._set_matrix(name, layer, linear)
        for name, layer, norm in _norms(model):
            self._set_norm(name, layer, norm)
        self._set_embedding("source", model.source_embedding, True)
        self._set_embedding("target", model.target_embedding, not config.share_embeddings)

    def _set_matrix(self, name: str, layer: int, linear: Linear) -> None:
        weights, bias = linear[0].contiguous(), linear[1]
        address = None if bias is None else bias.data_ptr()
        place = (self._handle, MATRICES.index(name), layer)
        self._library.call("verto_set_matrix", *place, weights.data_ptr(), address, *weights.shape)

    def _set_norm(self, name: str, layer: int, norm: nn.LayerNorm) -> None:
        gain, shift = _float(norm.weight), _float(norm.bias)
        place = (self._handle, NORMS.index(name), layer)
        self._library.call("verto_set_norm", *place, gain.data_ptr(), shift.data_ptr())

    def _set_embedding(self, side: str, embedding: Embedding, with_tokens: bool) -> None:
        if with_tokens:
            self._set_table(f"{side}.tokens", embedding.tokens.weight)
        self._set_table(f"{side}.positions", embedding.positions.table[embedding.positions.first :])

    def _set_table(self, name: str, table: Tensor) -> None:
        values = _float(table)
        self._library.call(
            "verto_set_table", self._handle, TABLES.index(name), values.data_ptr(), len(values)
        )


def _matrices(model: Transformer) -> Iterator[tuple[str, int, Linear]]:
    config: ModelConfig = model.config
    for index, layer in enumerate(cast(list[EncoderLayer], model.encoder)):
        yield from _self_attention("encoder", index, layer.self_attention, config.num_encoder_heads)
        yield from _feed_forward("encoder", index, layer.feed_forward)
    for index, decoder_layer in enumerate(cast(list[DecoderLayer], model.decoder)):
        heads = config.num_decoder_heads
        yield from _self_attention("decoder", index, decoder_layer.self_attention, heads)
        cross = decoder_layer.cross_attention
        yield "decoder.query", index, from_heads(cross.query, num_heads=heads)
        yield "decoder.source", index, from_heads(cross.key, cross.value, num_heads=heads)
        yield "decoder.source_joined", index, joining_heads(cross.output, heads)
        yield from _feed_forward("decoder", index, decoder_layer.feed_forward)
    yield "output", 0, (_float(model.output.weight), _bias(model.output))


def _self_attention(
    side: str, index: int, block: MultiHeadAttention, heads: int
) -> Iterator[tuple[str, int, Linear]]:
    yield f"{side}.qkv", index, from_heads(block.query, block.key, block.value, num_heads=heads)
    yield f"{side}.joined", index, joining_heads(block.output, heads)


def _feed_forward(side: str, index: int, block: FeedForward) -> Iterator[tuple[str, int, Linear]]:
    yield f"{side}.inner", index, (_float(block.inner.weight), _bias(block.inner))
    yield f"{side}.outer", index, (_float(block.outer.weight), _bias(block.outer))


def _norms(model: Transformer) -> Iterator[tuple[str, int, nn.LayerNorm]]:
    for index, layer in enumerate(cast(list[EncoderLayer], model.encoder)):
        yield "encoder.after_self", index, layer.after_self.norm
        yield "encoder.after_feed", index, layer.after_feed.norm
    for index, decoder_layer in enumerate(cast(list[DecoderLayer], model.decoder)):
        yield "decoder.after_self", index, decoder_layer.after_self.norm
        yield "decoder.after_cross", index, decoder_layer.after_cross.norm
        yield "decoder.after_feed", index, decoder_layer.after_feed.norm
    single = {
        "encoder_norm": model.encoder_norm,
        "decoder_norm": model.decoder_norm,
        "source_embedding": model.source_embedding.norm,
        "target_embedding": model.target_embedding.norm,
    }
    for name, norm in single.items():
        if isinstance(norm, nn.LayerNorm):  # otherwise this model has none there
            yield name, 0, norm


def _float(values: Tensor) -> Tensor:
    return values.detach().to(device="cpu", dtype=torch.float32).contiguous()


def _bias(layer: nn.Linear) -> Tensor | None:
    return None if layer.bias is None else _float(layer.bias)
