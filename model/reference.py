"""The slow, obvious translation: one sentence at a time, no cache, no batch. What is fast is held against it.

Knows: `Transformer.encode` and `decode`, and the definitions of greedy and beam search, spelled out in plain
Python. Must not know: caches, batches, the vectorised strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.decoding.options import DecodingOptions
from model.decoding.scoring import normalised_score
from model.decoding.strategy import FinishReason, Hypothesis
from model.transformer import Transformer, next_log_probs


@dataclass(frozen=True)
class Partial:
    """A hypothesis still growing: its tokens, their log-probabilities, and the sum of these."""

    token_ids: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    total: float = 0.0

    def extended(self, token_id: int, log_prob: float) -> Partial:
        return Partial((*self.token_ids, token_id), (*self.log_probs, log_prob), self.total + log_prob)


class SentenceModel:
    """One source sentence in front of a network in eval mode: what comes next after a given target prefix?"""

    def __init__(self, model: Transformer, source_ids: Sequence[int]) -> None:
        self.model, self.config = model, model.config
        self.device = model.output.weight.device
        self.source = torch.tensor([list(source_ids)], device=self.device)
        self.mask = torch.ones_like(self.source, dtype=torch.bool)
        self.memory = model.encode(self.source, self.mask)

    def next(self, prefix: Sequence[int], end_allowed: bool) -> list[float]:
        """Log-probabilities [V] after `prefix`, computed from the whole prefix; forbidden tokens get -inf."""
        ids = torch.tensor([[self.config.decoder_start_id, *prefix]], device=self.device)
        logits = self.model.decode(ids, self.memory, self.mask)[0, -1]
        log_probs: list[float] = next_log_probs(logits).tolist()
        never = {self.config.pad_id, self.config.decoder_start_id} - {self.config.eos_id}
        for token_id in never | (set() if end_allowed else {self.config.eos_id}):
            log_probs[token_id] = float("-inf")
        return log_probs


@torch.no_grad()
def greedy(model: Transformer, source_ids: Sequence[int], max_length: int, min_length: int = 0) -> list[int]:
    """The likeliest token, again and again, until `</s>` (not in the answer) or `max_length` tokens."""
    sentence, target = SentenceModel(model, source_ids), list[int]()
    while len(target) < max_length:
        log_probs = sentence.next(target, end_allowed=len(target) >= min_length)
        token_id = max(range(len(log_probs)), key=lambda i: log_probs[i])  # of equals the lowest id
        if token_id == model.config.eos_id:
            break
        target.append(token_id)
    return target


@torch.no_grad()
def beam(
    model: Transformer, source_ids: Sequence[int], options: DecodingOptions, max_length: int
) -> list[Hypothesis]:
    """Beam search as `model.decoding.beam` defines it: the `num_hypotheses` best, by normalised score.

    At each step the 2 b best continuations of the live hypotheses are candidates; those among the first b
    that end are finished, the first b that do not end live on. It stops with `finished_wanted` finished, with
    none alive, or at `max_length`, where the live ones are finished as they are.
    """
    sentence, eos_id = SentenceModel(model, source_ids), model.config.eos_id
    live, finished = [Partial()], list[Hypothesis]()
    for length in range(max_length):
        candidates = _continuations(sentence, live, length >= options.min_length)[: 2 * options.beam_size]
        for candidate in candidates[: options.beam_size]:
            if candidate.token_ids[-1] == eos_id:
                finished.append(_finish(candidate, options, "stop"))
        live = [c for c in candidates if c.token_ids[-1] != eos_id][: options.beam_size]
        if len(finished) >= options.finished_wanted or not live:
            break
    else:
        finished += [_finish(partial, options, "length") for partial in live]
    return sorted(finished, key=lambda hypothesis: -hypothesis.score)[: options.num_hypotheses]


def _continuations(sentence: SentenceModel, live: Sequence[Partial], end_allowed: bool) -> list[Partial]:
    """Every possible continuation by one token, best first; of equals the earlier row, then the lower id."""
    every = [
        partial.extended(token_id, log_prob)
        for partial in live
        for token_id, log_prob in enumerate(sentence.next(partial.token_ids, end_allowed))
        if log_prob > float("-inf")
    ]
    return sorted(every, key=lambda partial: -partial.total)


def _finish(partial: Partial, options: DecodingOptions, reason: FinishReason) -> Hypothesis:
    score = normalised_score(partial.total, len(partial.token_ids), options.length_penalty)
    kept = len(partial.token_ids) - (reason == "stop")
    return Hypothesis(partial.token_ids[:kept], partial.log_probs[:kept], score, reason)
