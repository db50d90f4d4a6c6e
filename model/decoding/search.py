"""Segments being decoded together: encode, step, select, leave. Alone in decoding, it knows the network.

Knows: `Network`, its cache, strategies. Must not know: requests, queues, budgets, text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, compress, repeat

import torch

from model.config import ModelConfig
from model.decoding.constraints import TargetVocabulary
from model.decoding.demands import check_room, target_limit
from model.decoding.options import DecodingOptions
from model.decoding.plain import is_plain
from model.decoding.strategy import Hypothesis, Selection, Task
from model.decoding.strategy_set import StrategySet
from model.network import Cache, EagerNetwork, Foreseen, LooksAhead, Network, looking_ahead
from model.transformer import Transformer


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment about to join: `max_length` as `target_limit` says, `stream` asks for stable tokens, `draft`
    for drafts in their place (see `Task`)."""

    key: int
    source_ids: Sequence[int]
    options: DecodingOptions
    max_length: int
    stream: bool = False
    draft: bool = False

    @property
    def task(self) -> Task:
        """What the strategies are told of it."""
        num_source_tokens = len(self.source_ids)
        return Task(self.key, self.options, self.max_length, self.stream, self.draft, num_source_tokens)


class Search:
    """The running batch on the device: segments join and leave between steps, each with its own length.

    Not thread-safe; the caller holds `torch.inference_mode`.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.clear()

    def clear(self) -> None:
        """Forget everything; the way on after a step that failed midway."""
        vocabulary = TargetVocabulary.of(self._network.config)
        self._strategies = StrategySet(vocabulary, self._network.device)
        self._cache: Cache | None = None
        self._ahead: LooksAhead | None = None  # the cache, where it is such a one
        self._rows: dict[int, int] = {}  # of each live segment, by its key, in row order
        self._token_ids: list[int] = []  # [R]; a list, since rows come and go at nearly every step

    @property
    def keys(self) -> Sequence[int]:
        """Live segments in row order."""
        return list(self._rows)

    @property
    def num_rows(self) -> int:
        return sum(self._rows.values())

    @property
    def num_ahead(self) -> int:
        """Steps that the network has computed before they are asked for: a good time to join is at 0."""
        return 0 if self._ahead is None else self._ahead.num_ahead

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

    def _append(self, segments: Sequence[NewSegment], cache: Cache) -> None:
        self._token_ids += [self._network.config.decoder_start_id] * cache.num_rows
        if self._cache is None:
            self._cache = cache
            self._ahead = looking_ahead(cache)
        else:
            self._cache.join(cache)
        for new in segments:
            self._rows[new.key] = self._strategies.add(new.task)

    def _encode(self, segments: Sequence[NewSegment]) -> Cache:
        cache = self._network.open(
            [segment.source_ids for segment in segments],
            [segment.options.rows for segment in segments],
            [segment.max_length for segment in segments],
        )
        if (ahead := looking_ahead(cache)) is not None:
            ahead.foresee([_foreseen(segment) for segment in segments])
        return cache

    def step(self, *, run_on: bool = True) -> Selection:
        """One position for every live row. Finished and failed segments are gone afterwards.

        `run_on`: nobody is about to join (see `LooksAhead.runs_on`). Raises `ValueError` when nothing is
        live.
        """
        if self._cache is None:
            raise ValueError("no segment is live")
        if self._ahead is not None:
            self._ahead.runs_on = run_on
        # Attention is looked at only when someone asks for it.
        watch = self._strategies.wants_attention
        token_ids = torch.frombuffer(array("q", self._token_ids), dtype=torch.long)
        scores = self._network.step(token_ids, self._cache, watch=watch)
        selection = self._strategies.select(scores)
        if selection.parents is not None:
            self._cache.reorder(selection.parents)
        self._token_ids = selection.token_ids.tolist()
        if selection.finished or selection.failed:
            self._leave({*selection.finished, *selection.failed})
        return selection

    def drop(self, keys: Sequence[int]) -> None:
        """Take segments out between steps; unknown keys are ignored."""
        gone = self._rows.keys() & set(keys)
        self._strategies.remove(keys)
        if gone:
            self._leave(gone)

    def _leave(self, gone: Set[int]) -> None:
        """Free the rows of these segments, which the strategies have forgotten already."""
        if self._cache is None or len(gone) == len(self._rows):
            return self.clear()
        stays = [key not in gone for key in self._rows]
        lines = zip(stays, self._rows.values(), strict=True)
        rows = chain.from_iterable(repeat(stays_here, rows) for stays_here, rows in lines)
        self._token_ids = list(compress(self._token_ids, rows))
        self._cache.keep(torch.frombuffer(bytearray(stays), dtype=torch.bool))
        self._rows = {key: rows for key, rows in self._rows.items() if key not in gone}


def _foreseen(segment: NewSegment) -> Foreseen | None:
    options, num_forced = segment.options, len(segment.options.prefix_ids)
    if not is_plain(options) or num_forced >= segment.max_length:
        return None
    # The sums that a prefix leaves are heard of in the first step behind it.
    return Foreseen(options.min_length, num_forced + 1 if num_forced else 0)


@torch.inference_mode()
def decode_batch(
    network: Network | Transformer,
    sources: Sequence[Sequence[int]],
    options: DecodingOptions,
    *,
    max_rows: int = 128,
    num_tags: int = 0,
) -> list[tuple[Hypothesis, ...]]:
    """Decode all `sources` (token ids, `</s>` last) with the same options; the order of answers is theirs.

    `num_tags` tokens of each tell its direction and give a translation no more room (`max_length_ratio`).

    Static batches of at most `max_rows` rows (one segment at least), of sources of similar length; finished
    segments leave at once. A module is run in eval mode whatever mode it is in, and that mode is restored.
    Raises `ValueError` for an empty or too long source, and for log-probabilities that are not numbers.
    """
    if isinstance(network, Transformer):
        with _in_eval_mode(network):
            eager = EagerNetwork(network)
            return decode_batch(eager, sources, options, max_rows=max_rows, num_tags=num_tags)
    _check_sources(network.config, sources)
    by_length = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    size = max(1, max_rows // options.rows)
    answers: dict[int, tuple[Hypothesis, ...]] = {}
    for start in range(0, len(by_length), size):
        answers |= _decode_chunk(network, sources, by_length[start : start + size], options, num_tags)
    return [answers[index] for index in range(len(sources))]


@contextmanager
def _in_eval_mode(model: Transformer) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _check_sources(config: ModelConfig, sources: Sequence[Sequence[int]]) -> None:
    for index, source in enumerate(sources):
        if not 1 <= len(source) <= config.max_source_length:
            bound = f"1..{config.max_source_length}"
            raise ValueError(f"source {index} must have {bound} tokens, got {len(source)}")


def _decode_chunk(
    network: Network,
    sources: Sequence[Sequence[int]],
    indices: Sequence[int],
    options: DecodingOptions,
    num_tags: int,
) -> dict[int, tuple[Hypothesis, ...]]:
    """One static batch, to its end; answers by index."""
    search, answers = Search(network), dict[int, tuple[Hypothesis, ...]]()
    limits = {
        index: target_limit(options, network.config, len(sources[index]) - num_tags) for index in indices
    }
    search.join([NewSegment(index, sources[index], options, limits[index]) for index in indices])
    while search.keys:
        selection = search.step()
        if selection.failed:
            raise ValueError(f"source {selection.failed[0]}: the model's log-probabilities are not numbers")
        answers |= selection.finished
    return answers
