"""A Transformer and a GRU of one size, with random weights, for what needs no training.

Knows: sizes. Must not know: what is measured.
"""

from __future__ import annotations

import torch
from torch import nn

from model.config import ModelConfig
from model.transformer import Transformer
from training.baselines.config import GruBaseline
from training.baselines.recurrent import RecurrentNetwork

TRANSFORMER, RECURRENT = "Transformer", "GRU with attention"
FIRST_TOKEN = 4  # ids below it are special


def shapes(d_model: int, hidden_size: int, vocab_size: int, longest: int) -> dict[str, nn.Module]:
    """Both networks, in training mode, without dropout, so that every length is asked the same of."""
    torch.manual_seed(1)
    sizes = ModelConfig(
        source_vocab_size=vocab_size,
        target_vocab_size=vocab_size,
        d_model=d_model,
        num_encoder_layers=2,
        num_decoder_layers=2,
        num_encoder_heads=4,
        num_decoder_heads=4,
        encoder_ffn_dim=2 * d_model,
        decoder_ffn_dim=2 * d_model,
        norm="pre",
        final_norm=True,
        max_source_length=longest,
        max_target_length=longest,
        dropout=0.0,
    )
    settings = GruBaseline(kind="gru", embedding_size=d_model, hidden_size=hidden_size)
    return {TRANSFORMER: Transformer(sizes), RECURRENT: RecurrentNetwork(sizes, settings)}
