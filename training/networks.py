"""Which network a run trains: the one place that turns settings into weights.

Knows: the kinds of network, and how each is built, counted, and asked for translations. Must not know: how
they are trained. Of a network the trainer wants `network(source_ids [B, S], source_mask [B, S], target_input
[B, T]) -> logits [B, T, V]`, parameters, and a `state_dict`; nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from training.config import TrainingConfig
from training.evaluation import translate_sentences


def build_network(config: TrainingConfig, sizes: ModelConfig) -> nn.Module:
    """A new network with random first weights, in training mode.

    `sizes` has the tokenizer's vocabulary sizes and special ids. What is random is drawn from torch's global
    generator, so that the caller's seed decides it.
    """
    return Transformer(sizes).train()


def as_transformer(network: nn.Module) -> Transformer:
    """What a bundle can hold. Raises `TypeError` for a network of another kind."""
    if not isinstance(network, Transformer):
        raise TypeError(
            f"only a Transformer can be translated with and bundled, not {type(network).__name__}"
        )
    return network


def translate(
    network: nn.Module, tokenizer: Tokenizer, sentences: Sequence[str], options: DecodingOptions
) -> list[str]:
    """The best translation of every sentence, in order; dropout is off meanwhile."""
    return translate_sentences(as_transformer(network), tokenizer, sentences, options)


def num_parameters(network: nn.Module) -> int:
    """Trained numbers, shared ones counted once."""
    return sum(parameter.numel() for parameter in network.parameters())
