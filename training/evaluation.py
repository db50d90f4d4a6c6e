"""How good a model is on held-out text: loss, BLEU and chrF with their signatures.

Knows: a model, a tokenizer, pairs, a scorer. Must not know: how the model was trained, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.language_signals import NO_SIGNAL, Signal
from model.network import Network
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from training.batching import EncodedCorpus, make_batch
from training.encoding import encode_sources
from training.epoch_plan import plan_epoch
from training.loss import smoothed_cross_entropy
from training.scoring import Scorer


@dataclass(frozen=True)
class Scores:
    """BLEU and chrF in 0..100, with the signatures that make them comparable."""

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


def score(hypotheses: Sequence[str], references: Sequence[str]) -> Scores:
    """Corpus BLEU and chrF2 with sacreBLEU's defaults. Raises `ValueError` for no or unequal counts."""
    found = Scorer(("bleu", "chrf")).corpus(hypotheses, references)
    bleu, chrf = found["bleu"], found["chrf"]
    return Scores(bleu.value, chrf.value, bleu.signature, chrf.signature)


def translate_sentences(
    model: Network | Transformer,
    tokenizer: Tokenizer,
    sentences: Sequence[str],
    options: DecodingOptions,
    max_batch_tokens: int = 2048,
    on_done: Callable[[int], None] = lambda count: None,
    signal: Signal = NO_SIGNAL,
) -> list[str]:
    """The best translation of every sentence, in order. `on_done` hears how many more are finished.

    `signal` tells the direction, by tokens around the source alone.

    Raises `ValueError` for a sentence of more tokens than the model reads.
    """
    encoded = encode_sources(tokenizer, sentences, signal)
    out = [""] * len(sentences)
    for chunk in _chunks(encoded, max_batch_tokens):
        sources = [encoded[i] for i in chunk]
        found = decode_batch(model, sources, options, num_tags=signal.num_source_tokens)
        for i, hypotheses in zip(chunk, found, strict=True):
            out[i] = tokenizer.decode_target(hypotheses[0].token_ids)
        on_done(len(chunk))
    return out


def _chunks(encoded: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
    """Indices grouped by length, so that sentences x longest stays near `max_tokens`."""
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]), reverse=True)
    chunks: list[list[int]] = []
    for i in order:
        if not chunks or len(encoded[chunks[-1][0]]) * (len(chunks[-1]) + 1) > max_tokens:
            chunks.append([])
        chunks[-1].append(i)
    return chunks


@torch.no_grad()
def mean_loss(model: nn.Module, config: ModelConfig, corpus: EncodedCorpus, max_tokens: int) -> float:
    """Cross-entropy without smoothing per target token, in nats, over a whole corpus, without dropout."""
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    with without_dropout(model):
        for indices in plan_epoch(corpus, max_tokens, pool_batches=1_000_000, seed=0, epoch=0):
            batch = make_batch(corpus, indices, config.pad_id, config.decoder_start_id).to(device)
            logits = model(batch.source_ids, batch.source_mask, batch.target_input)
            loss = smoothed_cross_entropy(logits, batch.target_output, config.pad_id, smoothing=0.0)
            total += float(loss) * batch.num_target_tokens
            tokens += batch.num_target_tokens
    return total / tokens


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in eval mode; the mode it was in comes back."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
