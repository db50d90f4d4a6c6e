"""Which network a run trains: the one place that turns settings into weights.

Knows: the kinds of network, and how each is built, counted, and asked for translations. Must not know: how
they are trained. Of a network the trainer wants `network(source_ids [B, S], source_mask [B, S], target_input
[B, T]) -> logits [B, T, V]`, parameters, and a `state_dict`; nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from model.language_signals import NO_SIGNAL, Signal
from model.native.binding import Library
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from training.baselines.config import GruBaseline
from training.baselines.recurrent import RecurrentNetwork
from training.baselines.recurrent_search import RecurrentSearchNetwork
from training.baselines.reduced import ReducedTransformerNetwork
from training.config import TrainingConfig
from training.evaluation import translate_sentences, without_dropout
from training.kernels import on_kernels


def build_network(config: TrainingConfig, sizes: ModelConfig) -> nn.Module:
    """A new network with random first weights, in training mode.

    `sizes` has the tokenizer's vocabulary sizes and special ids. What is random is drawn from torch's global
    generator, so that the caller's seed decides it.
    """
    baseline = config.baseline
    if baseline is None:
        return Transformer(sizes).train()
    if isinstance(baseline, GruBaseline):
        return RecurrentNetwork(sizes, baseline).train()
    return ReducedTransformerNetwork(sizes, baseline.without).train()


def as_transformer(network: nn.Module) -> Transformer:
    """What a bundle can hold. Raises `TypeError` for a network of another kind."""
    if not isinstance(network, Transformer) or isinstance(network, ReducedTransformerNetwork):
        raise TypeError(
            f"only a whole Transformer can be bundled or started from, not {type(network).__name__}"
        )
    return network


def translate(
    network: nn.Module,
    tokenizer: Tokenizer,
    sentences: Sequence[str],
    options: DecodingOptions,
    on_done: Callable[[int], None] = lambda count: None,
    kernels: Library | None = None,
    signal: Signal = NO_SIGNAL,
) -> list[str]:
    """The best translation of every sentence, in order; dropout is off meanwhile.

    `signal` tells the direction, by tokens around the source alone. `on_done` hears how many more are
    finished. With `kernels` a Transformer on a CPU runs on them, in float32 whatever its own type (see
    kernels.py). Raises `TypeError` for a network of an unknown kind.
    """
    with without_dropout(network):
        searched = on_kernels(network, kernels) or _searchable(network)
        return translate_sentences(searched, tokenizer, sentences, options, on_done=on_done, signal=signal)


def _searchable(network: nn.Module) -> Transformer | RecurrentSearchNetwork:
    """What a search can ask for the next token."""
    if isinstance(network, Transformer):
        return network
    if isinstance(network, RecurrentNetwork):
        return RecurrentSearchNetwork(network)
    raise TypeError(f"a network that can be translated with is wanted, not {type(network).__name__}")


def num_parameters(network: nn.Module) -> int:
    """Trained numbers, shared ones counted once."""
    return sum(parameter.numel() for parameter in network.parameters())
