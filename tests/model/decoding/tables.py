"""Strategies without a network: next-token tables, and the loop that plays a strategy against them.

Knows: the `Strategy` seam. Must not know: how a strategy works inside.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.strategy import Hypothesis, Strategy, Task
from model.step_scores import DenseScores

Prefix = tuple[int, ...]
# Log-probabilities of the next token of a segment, given what one of its rows holds.
Table = Callable[[int, Prefix], Sequence[float]]

# What is attended to in a segment's source when the token after a prefix is predicted.
AttentionTable = Callable[[int, Prefix], Sequence[float]]

EOS = 0
VOCABULARY = TargetVocabulary(eos_id=EOS, never_ids=())
CPU = torch.device("cpu")


def log_table(probabilities: dict[Prefix, Sequence[float]]) -> Table:
    """Hand-written probabilities by prefix, the same for every segment; elsewhere `</s>` is certain."""
    width = len(next(iter(probabilities.values())))
    end = [1.0, *[0.0] * (width - 1)]

    def table(_: int, prefix: Prefix) -> list[float]:
        return [math.log(p) if p > 0 else -1e4 for p in probabilities.get(prefix, end)]

    return table


def random_table(seed: int, num_tokens: int, sharpness: float = 2.0) -> Table:
    """A distribution for every segment and prefix, drawn from the seed: any language over `num_tokens`."""

    @functools.cache
    def table(key: int, prefix: Prefix) -> tuple[float, ...]:
        rng = random.Random(zlib.crc32(repr((seed, key, prefix)).encode()))
        logits = [rng.gauss(0, sharpness) for _ in range(num_tokens)]
        normaliser = math.log(math.fsum(map(math.exp, logits)))
        return tuple(min(0.0, logit - normaliser) for logit in logits)

    return table


def random_attention(seed: int) -> AttentionTable:
    """Shares of a source of 1 to 5 tokens for every prefix, drawn from the seed."""

    def table(key: int, prefix: Prefix) -> list[float]:
        length = random.Random(seed * 1009 + key).randint(1, 5)
        rng = random.Random(zlib.crc32(repr((seed, key, prefix, "attention")).encode()))
        shares = [rng.random() ** 4 for _ in range(length)]
        return [share / math.fsum(shares) for share in shares]

    return table


@dataclass(frozen=True)
class TableSentence:
    """One segment of the tables, as `model.reference` reads it."""

    key: int
    table: Table
    attention_table: AttentionTable
    vocabulary: TargetVocabulary

    def log_probs(self, target: Sequence[int]) -> list[float]:
        return list(self.table(self.key, tuple(target)))

    def attention(self, target: Sequence[int]) -> list[float]:
        return list(self.attention_table(self.key, tuple(target)))


@dataclass
class Played:
    """What a strategy said of one segment."""

    hypotheses: tuple[Hypothesis, ...] = ()
    stable: list[tuple[int, ...]] = field(default_factory=list)  # by step
    drafts: list[tuple[int, ...] | None] = field(default_factory=list)  # by step
    num_steps: int = 0

    @property
    def streamed(self) -> tuple[int, ...]:
        return tuple(itertools.chain.from_iterable(self.stable))


class Game:
    """A strategy's rows and what they hold, moved on by its selections."""

    def __init__(self, strategy: Strategy, table: Table, attention: AttentionTable | None = None) -> None:
        self.strategy, self.table = strategy, table
        self.attention = attention or random_attention(0)
        self.rows: list[tuple[int, Prefix]] = []
        self.played: dict[int, Played] = {}

    def add(
        self, key: int, options: DecodingOptions, max_length: int, *, stream: bool = True, draft: bool = False
    ) -> None:
        source_length = len(self.attention(key, ()))
        rows = self.strategy.add(
            Task(key, options, max_length, stream=stream, draft=draft, source_length=source_length)
        )
        self.rows += [(key, ())] * rows
        self.played[key] = Played()

    def remove(self, keys: Sequence[int]) -> None:
        self.strategy.remove(keys)
        self.rows = [row for row in self.rows if row[0] not in keys]

    def step(self) -> None:
        log_probs = torch.tensor([self.table(*row) for row in self.rows], dtype=torch.float64)
        before = list(self.strategy.keys)
        selection = self.strategy.select(DenseScores(log_probs, self._attended()))
        parents = range(len(self.rows)) if selection.parents is None else selection.parents.tolist()
        old = self.rows
        assert [old[parent][0] for parent in parents] == [key for key, _ in old]
        moved = zip(parents, selection.token_ids.tolist(), strict=True)
        self.rows = [(old[parent][0], (*old[parent][1], token)) for parent, token in moved]
        for key in before:
            self.played[key].num_steps += 1
            self.played[key].stable.append(selection.stable.get(key, ()))
            self.played[key].drafts.append(selection.drafts.get(key))
            self.played[key].hypotheses = selection.finished.get(key, ())
        gone = {*selection.finished, *selection.failed}
        self.rows = [row for row in self.rows if row[0] not in gone]
        assert set(self.strategy.keys) == {key for key, _ in self.rows}

    def _attended(self) -> torch.Tensor | None:
        """[R, S], 0 beyond a segment's own source, and nothing at all when nobody asks."""
        if not self.strategy.wants_attention:
            return None
        rows = [list(self.attention(*row)) for row in self.rows]
        longest = max(map(len, rows))
        padded = [[*row, *[0.0] * (longest - len(row))] for row in rows]
        return torch.tensor(padded, dtype=torch.float64)

    def run(self) -> dict[int, Played]:
        while self.strategy.keys:
            self.step()
        return self.played


def play(strategy: Strategy, table: Table, *segments: tuple[DecodingOptions, int]) -> list[Played]:
    """Every segment (options, max_length) from the start to its end, all together."""
    game = Game(strategy, table)
    for key, (options, max_length) in enumerate(segments):
        game.add(key, options, max_length)
    return list(game.run().values())


def every_hypothesis(
    table: Table, options: DecodingOptions, max_length: int, num_tokens: int, key: int = 0
) -> list[tuple[float, Prefix, str]]:
    """Score, tokens and reason of all there is, best first: the definition, by brute force."""
    scored = []
    for length in range(max_length + 1):
        for tokens in itertools.product(range(1, num_tokens), repeat=length):
            total = sum(table(key, tokens[:i])[token] for i, token in enumerate(tokens))
            if length < max_length and length >= options.min_length:
                end = total + table(key, tokens)[EOS]
                scored.append((_score(end, length + 1, options), tokens, "stop"))
            if length == max_length:
                scored.append((_score(total, length, options), tokens, "length"))
    return sorted(scored, reverse=True)


def _score(total: float, num_tokens: int, options: DecodingOptions) -> float:
    return total / ((5 + num_tokens) / 6) ** options.length_penalty
