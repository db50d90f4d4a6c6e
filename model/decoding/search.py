"""Segments being decoded together: encode, step, select, leave. Alone in decoding, it knows the network.

Knows: `Transformer`, its cache, strategies. Must not know: requests, queues, budgets, text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.config import ModelConfig
from model.decoding.constraints import TargetVocabulary
from model.decoding.demands import check_room, check_tokens
from model.decoding.options import DecodingOptions
from model.decoding.strategy import Hypothesis, Selection
from model.decoding.strategy_set import StrategySet
from model.kv_cache import DecoderCache
from model.masks import pad_batch
from model.transformer import Transformer, next_log_probs


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment about to join: `max_length` as `target_limit` says, `stream` asks for stable tokens, `draft`
    for drafts in their place (see `Strategy.add`)."""

    key: int
    source_ids: Sequence[int]
    options: DecodingOptions
    max_length: int
    stream: bool = False
    draft: bool = False


def target_limit(options: DecodingOptions, config: ModelConfig, num_source_tokens: int) -> int:
    """The most tokens that a segment may produce, `</s>` counted: the smallest of all limits, at least 1.

    Raises `OptionError` where the options demand what the model cannot write, or not within that limit.
    """
    check_tokens(options, config)
    limits = [config.max_target_length]
    if options.max_length is not None:
        limits.append(options.max_length)
    if options.max_length_ratio is not None:
        limits.append(math.ceil(options.max_length_ratio * num_source_tokens))
    limit = max(1, min(limits))
    check_room(options, limit)
    return limit


class Search:
    """The running batch on the device: segments join and leave between steps, each with its own length.

    Not thread-safe; the caller holds `torch.inference_mode` and has put the model into eval mode.
    """

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._device = model.output.weight.device
        self.clear()

    def clear(self) -> None:
        """Forget everything; the way on after a step that failed midway."""
        vocabulary = TargetVocabulary.of(self._model.config)
        self._strategies = StrategySet(vocabulary, self._device)
        self._cache: DecoderCache | None = None
        self._token_ids = torch.zeros(0, dtype=torch.long, device=self._device)

    @property
    def keys(self) -> Sequence[int]:
        """Live segments in row order."""
        return self._strategies.keys

    @property
    def num_rows(self) -> int:
        return len(self._token_ids)

    @property
    def num_bytes(self) -> int:
        """Bytes of keys and values held on the device."""
        return 0 if self._cache is None else self._cache.num_bytes

    def join(self, segments: Sequence[NewSegment]) -> None:
        """Encode `segments` as one padded group and append their rows.

        When encoding raises, nothing has joined; when appending raises, nothing is live any more. Raises
        `OptionError`, before anything is encoded, for a `max_length` that has no room for what is demanded.
        """
        for segment in segments:
            check_room(segment.options, segment.max_length)
        cache = self._encode(segments)
        try:
            self._append(segments, cache)
        except BaseException:
            self.clear()
            raise

    def _append(self, segments: Sequence[NewSegment], cache: DecoderCache) -> None:
        start = torch.full((cache.num_rows,), self._model.config.decoder_start_id, device=self._device)
        self._token_ids = torch.cat((self._token_ids, start))
        if self._cache is None:
            self._cache = cache
        else:
            self._cache.join(cache)
        for new in segments:
            self._strategies.add(
                new.key,
                new.options,
                new.max_length,
                stream=new.stream,
                draft=new.draft,
                source_length=len(new.source_ids),
            )

    def _encode(self, segments: Sequence[NewSegment]) -> DecoderCache:
        source_ids, mask = pad_batch([segment.source_ids for segment in segments], self._model.config.pad_id)
        source_ids, mask = source_ids.to(self._device), mask.to(self._device)
        memory = self._model.encode(source_ids, mask)
        rows = [segment.options.rows for segment in segments]
        return self._model.start_cache(memory, mask, rows, [segment.max_length for segment in segments])

    def step(self) -> Selection:
        """One position for every live row. Finished and failed segments are gone afterwards.

        Raises `ValueError` when nothing is live.
        """
        if self._cache is None:
            raise ValueError("no segment is live")
        before = self.keys
        selection = self._select(self._cache)
        if selection.parents is not None:
            self._cache.reorder(selection.parents)
        self._token_ids = selection.token_ids
        if selection.finished or selection.failed:
            self._leave(before)
        return selection

    def _select(self, cache: DecoderCache) -> Selection:
        """Run the network, with a look at its attention only when someone asks for it, and choose."""
        if not self._strategies.wants_attention:
            return self._strategies.select(next_log_probs(self._model.decode_step(self._token_ids, cache)))
        logits, attention = self._model.decode_step_watched(self._token_ids, cache)
        return self._strategies.select(next_log_probs(logits), attention)

    def drop(self, keys: Sequence[int]) -> None:
        """Take segments out between steps; unknown keys are ignored."""
        before = self.keys
        self._strategies.remove(keys)
        if len(self.keys) < len(before):
            self._leave(before)

    def _leave(self, before: Sequence[int]) -> None:
        """Free the rows of the segments that were live before and are no longer."""
        live = set(self.keys)
        if self._cache is None or not live:
            return self.clear()
        kept = torch.tensor([key in live for key in before], device=self._device)
        self._token_ids = self._token_ids[kept[self._cache.segment_of_row]]
        self._cache.keep(kept)


@torch.inference_mode()
def decode_batch(
    model: Transformer, sources: Sequence[Sequence[int]], options: DecodingOptions, *, max_rows: int = 128
) -> list[tuple[Hypothesis, ...]]:
    """Decode all `sources` (token ids, `</s>` last) with the same options; the order of answers is theirs.

    Static batches of at most `max_rows` rows (one segment at least), of sources of similar length; finished
    segments leave at once. Runs in eval mode whatever mode the model is in, and restores that mode.
    Raises `ValueError` for an empty or too long source, and for log-probabilities that are not numbers.
    """
    _check_sources(model.config, sources)
    by_length = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    size = max(1, max_rows // options.rows)
    answers: dict[int, tuple[Hypothesis, ...]] = {}
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(by_length), size):
            answers |= _decode_chunk(model, sources, by_length[start : start + size], options)
    finally:
        model.train(was_training)
    return [answers[index] for index in range(len(sources))]


def _check_sources(config: ModelConfig, sources: Sequence[Sequence[int]]) -> None:
    for index, source in enumerate(sources):
        if not 1 <= len(source) <= config.max_source_length:
            bound = f"1..{config.max_source_length}"
            raise ValueError(f"source {index} must have {bound} tokens, got {len(source)}")


def _decode_chunk(
    model: Transformer, sources: Sequence[Sequence[int]], indices: Sequence[int], options: DecodingOptions
) -> dict[int, tuple[Hypothesis, ...]]:
    """One static batch, to its end; answers by index."""
    search, answers = Search(model), dict[int, tuple[Hypothesis, ...]]()
    limits = {index: target_limit(options, model.config, len(sources[index])) for index in indices}
    search.join([NewSegment(index, sources[index], options, limits[index]) for index in indices])
    while search.keys:
        selection = search.step()
        if selection.failed:
            raise ValueError(f"source {selection.failed[0]}: the model's log-probabilities are not numbers")
        answers |= selection.finished
    return answers
