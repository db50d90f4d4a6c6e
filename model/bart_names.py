"""What the tensors of our network are called in checkpoints of the BART-like classes of `transformers`.

Knows: both sets of names. Must not know: files, values, which class has which of the optional tensors filled.
Marian, Pegasus, M2M-100, mBART and FSMT share these names; importers and exporters read one table.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.config import ModelConfig

_PROJECTIONS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}
_LEAVES = ("weight", "bias")


def bart_names(config: ModelConfig) -> dict[str, str]:
    """Name in `named_tensors` of a network of this configuration -> name in a BART-like checkpoint.

    Position tables are left out: ours are computed, or learned ones whose offset each family has its own way.
    `output.bias` is called `final_logits_bias` there and has shape [1, V].
    """
    return dict(_names(config))


def _names(config: ModelConfig) -> Iterator[tuple[str, str]]:
    yield from _embeddings(config)
    for number in range(config.num_encoder_layers):
        yield from _layer(f"encoder.{number}", f"model.encoder.layers.{number}", cross=False)
    for number in range(config.num_decoder_layers):
        yield from _layer(f"decoder.{number}", f"model.decoder.layers.{number}", cross=True)
    if config.final_norm:
        yield from _leaves("encoder_norm", "model.encoder.layer_norm")
        yield from _leaves("decoder_norm", "model.decoder.layer_norm")
    if not config.tie_output:
        yield "output.weight", "lm_head.weight"
    if config.output_bias:
        yield "output.bias", "final_logits_bias"


def _embeddings(config: ModelConfig) -> Iterator[tuple[str, str]]:
    if config.share_embeddings:
        yield "source_embedding.tokens.weight", "model.shared.weight"
    for ours, theirs in (("source", "encoder"), ("target", "decoder")):
        if not config.share_embeddings:
            yield f"{ours}_embedding.tokens.weight", f"model.{theirs}.embed_tokens.weight"
        if config.embedding_norm:
            yield from _leaves(f"{ours}_embedding.norm", f"model.{theirs}.layernorm_embedding")


def _layer(ours: str, theirs: str, cross: bool) -> Iterator[tuple[str, str]]:
    yield from _attention(f"{ours}.self_attention", f"{theirs}.self_attn")
    yield from _leaves(f"{ours}.after_self.norm", f"{theirs}.self_attn_layer_norm")
    if cross:
        yield from _attention(f"{ours}.cross_attention", f"{theirs}.encoder_attn")
        yield from _leaves(f"{ours}.after_cross.norm", f"{theirs}.encoder_attn_layer_norm")
    yield from _leaves(f"{ours}.feed_forward.inner", f"{theirs}.fc1")
    yield from _leaves(f"{ours}.feed_forward.outer", f"{theirs}.fc2")
    yield from _leaves(f"{ours}.after_feed.norm", f"{theirs}.final_layer_norm")


def _attention(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for our_part, their_part in _PROJECTIONS.items():
        yield from _leaves(f"{ours}.{our_part}", f"{theirs}.{their_part}")


def _leaves(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    return ((f"{ours}.{leaf}", f"{theirs}.{leaf}") for leaf in _LEAVES)
