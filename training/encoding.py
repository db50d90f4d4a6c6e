"""Text to ids: in memory for held-out text, into mapped files for what a run learns from.

Knows: a tokenizer, the most tokens that a side may have. Must not know: where text comes from, batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from numpy.typing import DTypeLike

from model.language_signals import NO_SIGNAL, UNTOLD, LanguageSignals, Signal
from model.tokenizer import Tokenizer
from training.batching import EncodedCorpus
from training.corpus import Pair
from training.errors import CorpusError
from training.monitor import Monitor
from training.pair_text import TEXT_DTYPE
from training.ragged import Ragged, RaggedWriter, smallest_dtype
from training.subword_sampling import Side
from training.training_text import TrainingText


class EncodedPair(NamedTuple):
    pair: Pair
    source: list[int]  # what tells the direction, then the text with `</s>` at its end
    target: list[int]


class StoredPairs(NamedTuple):
    """What `encode_into` wrote."""

    sizes: tuple[int, ...]  # pairs of each corpus
    target_tokens: int
    source_dtype: str
    target_dtype: str


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[Pair], max_tokens: int, signal: Signal = NO_SIGNAL
) -> EncodedCorpus:
    """Ids of every pair whose sides both fit `max_tokens`, what tells their direction included."""
    fitting = _fitting(tokenizer, pairs, max_tokens, signal)
    return EncodedCorpus(
        Ragged.from_lists([one.source for one in fitting]), Ragged.from_lists([one.target for one in fitting])
    )


def encode_sources(tokenizer: Tokenizer, texts: Sequence[str], signal: Signal) -> list[list[int]]:
    """What the network reads of these texts: their ids, and around them what tells the direction."""
    encoded = tokenizer.encode_sources(texts)
    return [list(signal.around(ids)) for ids in encoded] if signal else encoded


def _fitting(
    tokenizer: Tokenizer, pairs: Sequence[Pair], max_tokens: int, signal: Signal
) -> list[EncodedPair]:
    sources = encode_sources(tokenizer, [pair.source for pair in pairs], signal)
    targets = tokenizer.encode_targets([pair.target for pair in pairs])
    encoded = map(EncodedPair, pairs, sources, targets)
    return [one for one in encoded if max(len(one.source), len(one.target)) <= max_tokens]


def encode_into(
    folder: Path,
    written: TrainingText,
    tokenizer: Tokenizer,
    max_tokens: int,
    kept_sides: Iterable[Side],
    done: Callable[[int], None],
    signals: LanguageSignals = UNTOLD,
) -> StoredPairs:
    """Ids of every pair whose sides both fit, in `folder` as source.* and target.*.

    `signals` say how each corpus tells its direction. The text of `kept_sides` is kept beside them. `done`
    hears how many more pairs were gone through.
    """
    sizes, first = list[int](), 0
    with ExitStack() as stack:
        writer = _EncodedWriter(stack, folder, tokenizer, kept_sides)
        for size, direction in zip(written.sizes, written.directions, strict=True):
            signal = signals.of(*direction)
            before = len(writer)
            for chunk in written.text.chunks(first, first + size):
                writer.append(_fitting(tokenizer, chunk, max_tokens, signal))
                done(len(chunk))
            sizes.append(len(writer) - before)
            first += size
    return StoredPairs(tuple(sizes), writer.target.num_values, *writer.dtypes)


class _EncodedWriter:
    """The files of encoded pairs, closed with the stack."""

    def __init__(self, stack: ExitStack, folder: Path, tokenizer: Tokenizer, sides: Iterable[Side]) -> None:
        def opened(name: str, dtype: DTypeLike) -> RaggedWriter:
            return stack.enter_context(RaggedWriter(folder, name, dtype))

        source, target = map(smallest_dtype, (tokenizer.source_vocab_size, tokenizer.target_vocab_size))
        self.dtypes = (source.str, target.str)
        self.source, self.target = opened("source", source), opened("target", target)
        self._texts = {side: opened(text_name(side), TEXT_DTYPE) for side in sides}

    def __len__(self) -> int:
        return len(self.source)

    def append(self, pairs: Sequence[EncodedPair]) -> None:
        self.source.append([one.source for one in pairs])
        self.target.append([one.target for one in pairs])
        for side, writer in self._texts.items():
            writer.append([getattr(one.pair, side).encode() for one in pairs])


def text_name(side: Side) -> str:
    """How the files with the text of one side are called."""
    return f"text.{side}"


def report_fitting(
    name: str, fitting: int, total: int, target_tokens: int, limit: int, monitor: Monitor
) -> None:
    """Say how many pairs fit `data.max_tokens`. Raises `CorpusError` when none does."""
    if not fitting:
        raise CorpusError(f"{name}: every pair is longer than data.max_tokens ({limit})")
    monitor.say(f"{name}: {fitting:,} of {total:,} pairs fit {limit} tokens, {target_tokens:,} target tokens")
