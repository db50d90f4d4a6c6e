"""A network of ours as one of `transformers`, for its `generate`.

Knows: Marian's configuration there, the names of weights. Must not know: searches, measurements.
"""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig, MarianConfig, MarianMTModel

from model.bart_names import bart_names
from model.config import ModelConfig
from model.transformer import Transformer
from model.weights import named_tensors


def marian_model(model: Transformer) -> Any:
    """The same weights as `MarianMTModel`. Raises ValueError for a network that Marian's class cannot be."""
    config = model.config
    marian_like = config.norm == "post" and config.sinusoid_layout == "halves" and not config.final_norm
    if not marian_like:
        raise ValueError("only post-norm networks with Marian's positions have a class in transformers")
    other: Any = MarianMTModel(_configuration(config))
    names = bart_names(config)
    weights = {names[name]: tensor.detach() for name, tensor in named_tensors(model).items() if name in names}
    _, unexpected = other.load_state_dict(weights, strict=False)
    if unexpected:
        raise ValueError(f"transformers has no weights called {', '.join(unexpected)}")
    other.tie_weights()
    other.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        pad_token_id=config.pad_id,
        eos_token_id=config.eos_id,
        decoder_start_token_id=config.decoder_start_id,
        num_beams=1,
    )
    return other.eval()


def _configuration(config: ModelConfig) -> MarianConfig:
    return MarianConfig(
        vocab_size=config.target_vocab_size,
        d_model=config.d_model,
        encoder_layers=config.num_encoder_layers,
        decoder_layers=config.num_decoder_layers,
        encoder_attention_heads=config.num_encoder_heads,
        decoder_attention_heads=config.num_decoder_heads,
        encoder_ffn_dim=config.encoder_ffn_dim,
        decoder_ffn_dim=config.decoder_ffn_dim,
        activation_function=config.activation,
        max_position_embeddings=max(config.max_source_length, config.max_target_length),
        scale_embedding=config.scale_embeddings,
        pad_token_id=config.pad_id,
        eos_token_id=config.eos_id,
        decoder_start_token_id=config.decoder_start_id,
    )
