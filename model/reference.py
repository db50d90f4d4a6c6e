"""The slow, obvious translation: one sentence at a time, no cache, no batch. What is fast is held against it.

Knows: `Transformer.encode` and `decode`, and the definitions of greedy search, sampling and beam search,
spelled out in plain Python. Must not know: caches, batches, the vectorised strategies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.scoring import normalised_score
from model.decoding.strategy import FinishReason, Hypothesis
from model.layers import DecoderLayer
from model.reference_rules import NEVER, counted, draw, num_missing
from model.transformer import Transformer, next_log_probs


@dataclass(frozen=True)
class Partial:
    """A hypothesis still growing: its tokens, their log-probabilities, and the sum of what counts."""

    token_ids: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    total: float = 0.0

    def extended(self, token_id: int, log_prob: float, counts: float) -> Partial:
        return Partial((*self.token_ids, token_id), (*self.log_probs, log_prob), self.total + counts)


class Sentence(Protocol):
    """One source sentence and what a model says of its translation, after any target so far."""

    @property
    def vocabulary(self) -> TargetVocabulary: ...

    def log_probs(self, target: Sequence[int]) -> list[float]:
        """Of every token [V] as the next one."""

    def attention(self, target: Sequence[int]) -> list[float]:
        """Of every source token [S], the share that the next prediction attends to."""


class SentenceModel:
    """A `Sentence` in front of a network in eval mode; everything is computed from the whole target."""

    def __init__(self, model: Transformer, source_ids: Sequence[int]) -> None:
        self.model, self.config = model, model.config
        self.vocabulary = TargetVocabulary.of(model.config)
        self.device = model.output.weight.device
        self.source = torch.tensor([list(source_ids)], device=self.device)
        self.mask = torch.ones_like(self.source, dtype=torch.bool)
        self.memory = model.encode(self.source, self.mask)

    def log_probs(self, target: Sequence[int]) -> list[float]:
        log_probs: list[float] = next_log_probs(self._logits(target)).tolist()
        return log_probs

    def attention(self, target: Sequence[int]) -> list[float]:
        """By the configured layer's cross-attention, averaged over its heads."""
        layer = self.model.decoder[self.config.alignment_layer]
        assert isinstance(layer, DecoderLayer)
        seen: list[Tensor] = []  # the queries' input; equation 1 is applied to it below
        hook = layer.cross_attention.register_forward_hook(lambda _, given, __: seen.append(given[0]))
        self._logits(target)
        hook.remove()
        query = layer.cross_attention.project_query(seen[0][:, -1:])
        key, _ = layer.cross_attention.project_memory(self.memory)
        scores = query @ key.transpose(-1, -2) / math.sqrt(key.shape[-1])
        shares: list[float] = torch.softmax(scores, -1).mean(dim=1)[0, 0].tolist()
        return shares

    def _logits(self, target: Sequence[int]) -> Tensor:
        ids = torch.tensor([[self.config.decoder_start_id, *target]], device=self.device)
        return self.model.decode(ids, self.memory, self.mask)[0, -1]


@torch.no_grad()
def translate(
    model: Transformer, source_ids: Sequence[int], options: DecodingOptions, max_length: int
) -> list[Hypothesis]:
    """Any strategy, any options: what decoding answers, best first."""
    return search(SentenceModel(model, source_ids), options, max_length)


@torch.no_grad()
def greedy(model: Transformer, source_ids: Sequence[int], max_length: int, min_length: int = 0) -> list[int]:
    """The likeliest token, again and again, until `</s>` (not in the answer) or `max_length` tokens."""
    options = DecodingOptions(strategy="greedy", min_length=min_length)
    return list(one_by_one(SentenceModel(model, source_ids), options, max_length).token_ids)


@torch.no_grad()
def beam(
    model: Transformer, source_ids: Sequence[int], options: DecodingOptions, max_length: int
) -> list[Hypothesis]:
    """Beam search as `model.decoding.beam` defines it: the `num_hypotheses` best, by score."""
    return beam_search(SentenceModel(model, source_ids), options, max_length)


def search(sentence: Sentence, options: DecodingOptions, max_length: int) -> list[Hypothesis]:
    """What the strategy that `options` names answers."""
    if options.strategy == "beam":
        return beam_search(sentence, options, max_length)
    return [one_by_one(sentence, options, max_length)]


def one_by_one(sentence: Sentence, options: DecodingOptions, max_length: int) -> Hypothesis:
    """Greedy search and sampling (which needs a seed): one token at a time, chosen once and for all."""
    partial, eos_id = Partial(), sentence.vocabulary.eos_id
    for step in range(max_length):
        own = sentence.log_probs(partial.token_ids)
        values = counted(own, partial.token_ids, options, sentence.vocabulary)
        if options.strategy == "sample":
            assert options.seed is not None
            token_id = draw(values, options, options.seed, step)
        else:
            token_id = max(range(len(values)), key=lambda i: values[i])  # of equals the lowest id
        partial = partial.extended(token_id, own[token_id], values[token_id])
        if token_id == eos_id:
            return _finish(sentence, partial, options, "stop")
    return _finish(sentence, partial, options, "length")


@dataclass
class Group:
    """One beam: its live hypotheses, best first, and how many it has finished."""

    live: list[Partial] = field(default_factory=lambda: [Partial()])
    num_finished: int = 0

    def has_enough(self, options: DecodingOptions) -> bool:
        return self.num_finished >= options.finished_wanted or not self.live


def beam_search(sentence: Sentence, options: DecodingOptions, max_length: int) -> list[Hypothesis]:
    """A beam for each group, whose steps are taken in turn; one group, unless diversity is asked for.

    It stops when every group has finished `finished_wanted` or has none alive, or at `max_length`, where
    the live ones are finished as they are.
    """
    width = options.beam_size // options.diversity_groups
    groups, finished = [Group() for _ in range(options.diversity_groups)], list[Hypothesis]()
    for length in range(1, max_length + 1):
        taken: list[int] = []  # tokens that earlier groups extend their hypotheses with in this step
        for group in [group for group in groups if not group.has_enough(options)]:
            candidates = _continuations(sentence, group.live, options, taken)
            if options.required_ids:
                ends, group.live = _by_missing(candidates, options, sentence.vocabulary, max_length - length)
            else:
                ends = [c for c in candidates[:width] if c.token_ids[-1] == sentence.vocabulary.eos_id]
                group.live = [c for c in candidates[: 2 * width] if c not in ends and _goes_on(c, sentence)]
                group.live = group.live[:width]
            finished += [_finish(sentence, end, options, "stop") for end in ends]
            group.num_finished += len(ends)
            taken += [partial.token_ids[-1] for partial in group.live]
            if length == max_length and not group.has_enough(options):
                finished += [_finish(sentence, partial, options, "length") for partial in group.live]
        if all(group.has_enough(options) for group in groups):
            break
    return _ranked(finished)[: options.num_hypotheses]


def _goes_on(partial: Partial, sentence: Sentence) -> bool:
    return partial.token_ids[-1] != sentence.vocabulary.eos_id


def _continuations(
    sentence: Sentence, live: Sequence[Partial], options: DecodingOptions, taken: Sequence[int]
) -> list[Partial]:
    """Every possible continuation by one token, best first; of equals the earlier row, then the lower id.

    A token that earlier groups have taken is ranked lower, though its sum stays what it is.
    """
    every = []
    for partial in live:
        own = sentence.log_probs(partial.token_ids)
        values = counted(own, partial.token_ids, options, sentence.vocabulary)
        pairs = enumerate(zip(own, values, strict=True))
        every += [partial.extended(token_id, *pair) for token_id, pair in pairs if pair[1] > NEVER]

    def rank(partial: Partial) -> float:
        return -(partial.total - options.diversity_penalty * taken.count(partial.token_ids[-1]))

    return sorted(every, key=rank)


def _by_missing(
    candidates: Sequence[Partial], options: DecodingOptions, vocabulary: TargetVocabulary, room: int
) -> tuple[list[Partial], list[Partial]]:
    """Which candidates end and which live on where phrases are required, as required_picks.py defines it."""
    width = options.beam_size // options.diversity_groups
    ends, banks = list[Partial](), dict[int, list[Partial]]()
    num_complete = 0
    for candidate in candidates:
        is_end = candidate.token_ids[-1] == vocabulary.eos_id
        missing = num_missing(candidate.token_ids, options.required_ids)
        in_prefix = len(candidate.token_ids) <= len(options.prefix_ids)
        if missing > (0 if is_end else math.inf if in_prefix else room):
            continue
        num_complete += missing == 0
        if not is_end:
            banks.setdefault(missing, []).append(candidate)
        elif num_complete <= width:
            ends.append(candidate)
    living = list[Partial]()
    while any(banks.values()) and len(living) < width:
        for missing in sorted(banks):
            if banks[missing] and len(living) < width:
                living.append(banks[missing].pop(0))
    return ends, sorted(living, key=candidates.index)


def _finish(
    sentence: Sentence, partial: Partial, options: DecodingOptions, reason: FinishReason
) -> Hypothesis:
    score = normalised_score(partial.total, len(partial.token_ids), options.length_penalty)
    if options.coverage_penalty:
        score += options.coverage_penalty * _coverage(sentence, partial.token_ids)
    kept = len(partial.token_ids) - (reason == "stop")
    return Hypothesis(partial.token_ids[:kept], partial.log_probs[:kept], score, reason)


def _coverage(sentence: Sentence, token_ids: Sequence[int]) -> float:
    """Wu et al. 2016, equation 14: the sum of log(min(attention, 1)) over source tokens."""
    predictions = [sentence.attention(token_ids[:length]) for length in range(len(token_ids))]
    sums = [sum(column) for column in zip(*predictions, strict=True)]
    return sum(math.log(min(max(attended, 1e-10), 1.0)) for attended in sums)


def _ranked(finished: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Best first, of equals the first; each target once, though several groups have found it."""
    ranked = list[Hypothesis]()
    for hypothesis in sorted(finished, key=lambda hypothesis: -hypothesis.score):
        if hypothesis.token_ids not in [other.token_ids for other in ranked]:
            ranked.append(hypothesis)
    return ranked
