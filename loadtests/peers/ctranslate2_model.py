"""A network of ours as a model of CTranslate2, weight by weight, so that both sides compute the same.

Knows: our modules' names, CTranslate2's specification of a Transformer. Must not know: searches, servers,
measurements. Whatever the family's variants are, the peer gets the position vectors and weights themselves;
quantised weights it makes when it loads the model (`compute_type`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ctranslate2.specs import TransformerSpec, common_spec  # type: ignore[import-untyped]
from torch import Tensor, nn

from model.attention import MultiHeadAttention
from model.config import ModelConfig
from model.embeddings import Embedding
from model.layers import DecoderLayer, EncoderLayer
from model.transformer import Transformer

_ACTIVATIONS = {
    "relu": common_spec.Activation.RELU,
    "gelu": common_spec.Activation.GELU,
    "silu": common_spec.Activation.SWISH,
}


class NotConvertible(ValueError):
    """The peer has no such network; says what it lacks."""


def token_names(config: ModelConfig) -> list[str]:
    """A name for each id, where a network has no tokenizer: `t0`, `t1` ..."""
    return [f"t{number}" for number in range(max(config.source_vocab_size, config.target_vocab_size))]


@contextmanager
def converted(model: Transformer, tokens: Sequence[str]) -> Iterator[Path]:
    """A folder that `ctranslate2.Translator` reads, until the block is left. Raises NotConvertible."""
    spec = specification(model, tokens)
    spec.validate()
    spec.optimize(quantization="float32")
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        yield Path(folder)


def specification(model: Transformer, tokens: Sequence[str]) -> Any:
    """The network in CTranslate2's terms; `tokens` names every id of both vocabularies."""
    config = model.config
    _check(config)
    spec = TransformerSpec.from_config(
        (config.num_encoder_layers, config.num_decoder_layers),
        config.num_encoder_heads,
        pre_norm=config.norm == "pre",
        no_final_norm=not config.final_norm,
        activation=_ACTIVATIONS[config.activation],
        layernorm_embedding=config.embedding_norm,
    )
    _fill_encoder(spec.encoder, model)
    _fill_decoder(spec.decoder, model)
    spec.register_source_vocabulary(list(tokens[: config.source_vocab_size]))
    spec.register_target_vocabulary(list(tokens[: config.target_vocab_size]))
    spec.config.eos_token, spec.config.bos_token = tokens[config.eos_id], tokens[config.decoder_start_id]
    spec.config.decoder_start_token = tokens[config.decoder_start_id]
    # Every id has a name, so that the unknown token is never looked for; the peer wants one that exists.
    spec.config.unk_token = tokens[config.pad_id]
    return spec


def _check(config: ModelConfig) -> None:
    if config.num_encoder_heads != config.num_decoder_heads:
        raise NotConvertible("CTranslate2 wants as many heads in the encoder as in the decoder")
    if config.norm == "post" and config.final_norm:
        raise NotConvertible("CTranslate2 has no last layer norm after layers that normalise after the sum")


def _fill_encoder(spec: Any, model: Transformer) -> None:
    _embedding(spec, spec.embeddings[0], model.source_embedding, model.config)
    if model.config.final_norm:
        _norm(spec.layer_norm, model.encoder_norm)
    for one, layer in zip(spec.layer, model.encoder, strict=True):
        assert isinstance(layer, EncoderLayer)
        _self_attention(one.self_attention, layer.self_attention, layer.after_self.norm)
        _feed_forward(one.ffn, layer)


def _fill_decoder(spec: Any, model: Transformer) -> None:
    _embedding(spec, spec.embeddings, model.target_embedding, model.config)
    if model.config.final_norm:
        _norm(spec.layer_norm, model.decoder_norm)
    for one, layer in zip(spec.layer, model.decoder, strict=True):
        assert isinstance(layer, DecoderLayer)
        _self_attention(one.self_attention, layer.self_attention, layer.after_self.norm)
        cross = layer.cross_attention
        _norm(one.attention.layer_norm, layer.after_cross.norm)
        _linear(one.attention.linear[0], cross.query)
        _linear(one.attention.linear[1], cross.key, cross.value)
        _linear(one.attention.linear[2], cross.output)
        _feed_forward(one.ffn, layer)
    _linear(spec.projection, model.output)


def _embedding(stack: Any, table: Any, ours: Embedding, config: ModelConfig) -> None:
    table.weight = _plain(ours.tokens.weight)
    stack.scale_embeddings = config.scale_embeddings
    stack.position_encodings.encodings = _plain(ours.positions.table[ours.positions.first :])
    if config.embedding_norm:
        _norm(stack.layernorm_embedding, ours.norm)


def _self_attention(spec: Any, ours: MultiHeadAttention, norm: nn.Module) -> None:
    _norm(spec.layer_norm, norm)
    _linear(spec.linear[0], ours.query, ours.key, ours.value)
    _linear(spec.linear[1], ours.output)


def _feed_forward(spec: Any, ours: EncoderLayer | DecoderLayer) -> None:
    _norm(spec.layer_norm, ours.after_feed.norm)
    _linear(spec.linear_0, ours.feed_forward.inner)
    _linear(spec.linear_1, ours.feed_forward.outer)


def _norm(spec: Any, ours: nn.Module) -> None:
    assert isinstance(ours, nn.LayerNorm)
    spec.gamma, spec.beta = _plain(ours.weight), _plain(ours.bias)


def _linear(spec: Any, *ours: nn.Linear) -> None:
    """One product for several of ours."""
    weights: list[Tensor] = [one.weight for one in ours]
    biases: list[Tensor] = [one.bias for one in ours if one.bias is not None]
    spec.weight = _plain(torch.cat(weights))
    if biases:
        spec.bias = _plain(torch.cat(biases))


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float().contiguous()
