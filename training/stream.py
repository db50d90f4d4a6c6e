"""The endless order of batches, and which of them a step of this process takes.

Knows: epochs, places in them, how batches are dealt to processes. Must not know: losses, weights.

    the order:  epoch 0: b0 b1 b2 b3 b4   epoch 1: b0 b1 ...
    a step:     └─────┘└─────┘└─────       ─────┘              batches_per_update = 2
    of two processes, the first takes the first batch of each step, the second the second one

A step may thus cross into the next epoch, and what a step learns from does not depend on how many processes
share it. A saved run counts batches of this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.batching import Batch, make_batch
from training.config import TrainingConfig
from training.distributed import World
from training.epoch_plan import plan_epoch
from training.preparation import PreparedData


@dataclass(frozen=True)
class Place:
    """Of a batch in the endless order."""

    epoch: int
    number: int

    def seed(self, run_seed: int) -> int:
        """Of what is random about this batch, whichever process takes it and whenever it does."""
        words = np.random.SeedSequence((run_seed, self.epoch, self.number)).generate_state(1, np.uint64)
        return int(words[0])


@dataclass(frozen=True)
class Share:
    """What this process does of one step: its batches, and where the step after this one begins."""

    batches: tuple[tuple[Place, Batch], ...]
    then: Place

    @property
    def num_target_tokens(self) -> int:
        return sum(batch.num_target_tokens for _, batch in self.batches)


class Upcoming:
    """Shares one after another; the one to come may be made before it is taken."""

    def __init__(self, shares: Iterator[Share]) -> None:
        self._shares = shares
        self._made: Share | None = None

    def take(self) -> Share:
        """The next one."""
        self.make()
        share, self._made = self._made, None
        assert share is not None
        return share

    def make(self) -> None:
        """Have the next one ready."""
        if self._made is None:
            self._made = next(self._shares)


Planned = tuple[Place, NDArray[np.integer[Any]], Place]  # where a batch stands, its pairs, the place after it


class BatchStream:
    """Batches of one run, from any place onwards."""

    def __init__(self, config: TrainingConfig, data: PreparedData, world: World) -> None:
        self._config, self._data, self._world = config, data, world

    def shares(self, start: Place) -> Iterator[Share]:
        """This process's share of every step from the batch at `start` on, without end."""
        planned = self._planned(start)
        while True:
            step = list(islice(planned, self._config.batch.batches_per_update))
            mine = step[self._world.rank :: self._world.size]
            yield Share(tuple((place, self._made(place, pairs)) for place, pairs, _ in mine), step[-1][2])

    def _planned(self, start: Place) -> Iterator[Planned]:
        epoch, first, settings = start.epoch, start.number, self._config.batch
        while True:
            plan = plan_epoch(
                self._data.train, settings.max_tokens, settings.pool_batches, self._config.seed, epoch
            )
            for number in range(first, len(plan)):
                last = number + 1 == len(plan)
                after = Place(epoch + 1, 0) if last else Place(epoch, number + 1)
                yield Place(epoch, number), plan[number], after
            epoch, first = epoch + 1, 0

    def _made(self, place: Place, pairs: NDArray[np.integer[Any]]) -> Batch:
        network = self._data.network
        return make_batch(
            self._data.train,
            pairs,
            network.pad_id,
            network.decoder_start_id,
            epoch=place.epoch,
            number=place.number,
        )
