"""The two networks that are measured: the shipped one, and one of OPUS-MT's shape with random weights.

Knows: bundles, sizes, seeds. Must not know: who translates, clocks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch

from loadtests.peers.ctranslate2_model import token_names
from loadtests.subject import subject
from loadtests.workload import Workload
from model.config import ModelConfig
from model.decoding import DecodingOptions
from model.transformer import Transformer

FORCED_LENGTH = 25  # tokens of a made-up source, `</s>` among them, and of what is forced out of it
MOST_SENTENCES = 64
OPUS_BASE = ModelConfig.base(
    32_000, activation="silu", sinusoid_layout="halves", pad_id=31_999, eos_id=0, decoder_start_id=31_999
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A network in float32 with what it is asked: `forced`, sources of one length, and `real`, sentences.

    `tokens` names every id; `real` is empty where weights are random.
    """

    name: str
    model: Transformer
    tokens: tuple[str, ...]
    defaults: DecodingOptions
    forced: tuple[tuple[int, ...], ...]
    real: tuple[tuple[int, ...], ...] = ()

    def sources(self, text: str, count: int) -> tuple[tuple[int, ...], ...]:
        """The first `count` of these."""
        return (self.real if text == "real" else self.forced)[:count]


def random_shape(name: str, config: ModelConfig, defaults: DecodingOptions, seed: int = 0) -> Shape:
    """Random weights of this shape, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(config).eval()
    _enliven(model)
    return Shape(name, model, tuple(token_names(config)), defaults, forced_sources(config, seed))


def bundle_shape(name: str, folder: Path, sentences: Workload, threads: int) -> Shape:
    """A bundle, and as many of the sentences as the largest batch takes."""
    what = subject(folder, sentences, threads)
    config, defaults = what.bundle.model.config, what.bundle.info.decoding
    real = what.source_ids[:MOST_SENTENCES]
    tokens = tuple(token_names(config))
    return Shape(name, what.bundle.model.eval(), tokens, defaults, forced_sources(config), real)


def forced_sources(config: ModelConfig, seed: int = 0) -> tuple[tuple[int, ...], ...]:
    """Random tokens, all of one length, `</s>` last."""
    rng, special = random.Random(seed), {config.pad_id, config.eos_id, config.decoder_start_id}
    usable = [number for number in range(config.source_vocab_size) if number not in special]
    length = FORCED_LENGTH - 1
    return tuple((*rng.choices(usable, k=length), config.eos_id) for _ in range(MOST_SENTENCES))


@torch.no_grad()
def _enliven(model: Transformer) -> None:
    """Fresh weights repeat one token for ever, whatever the source, and would prove little of two sides that
    find the same. With these factors, found by trying, answers vary with the source and the position."""
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            parameter.mul_(_liveliness(name))


def _liveliness(name: str) -> float:
    if "query" in name or "key" in name:
        return 4.0
    if "cross_attention" in name:
        return 8.0
    return 0.3 if "self_attention" in name or "tokens" in name else 1.0
