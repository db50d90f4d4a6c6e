"""Sources to the device and through the encoder, in few shapes, without anyone waiting.

Knows: batches of token ids, shapes, transfers. Must not know: rows, searches.
Shapes: B sentences, S source.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.config import ModelConfig
from model.cuda.graphs import Graphs
from model.cuda.shapes import SHORTEST_ROOM, STEP, at_least, room
from model.cuda.step import StepWork

MOST_TOKENS = (
    16_384  # in one pass, padding counted; more sentences than fit are encoded one batch after the other
)


def length_batches(lengths: Sequence[int], longest: int) -> list[list[int]]:
    """Indices of sentences, longest first, those that share a room together."""
    batches: list[list[int]] = []
    size = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        needed = room(lengths[index], longest)
        if not batches or needed < size or (len(batches[-1]) + 1) * size > MOST_TOKENS:
            batches.append([])
            size = needed
        batches[-1].append(index)
    return batches


class Encoder:
    """Turns sources into keys and values in their places."""

    def __init__(self, work: StepWork, config: ModelConfig, graphs: Graphs, nobody: int) -> None:
        self._work, self._config, self._graphs, self._nobody = work, config, graphs, nobody
        self._device = work.model.output.weight.device
        self._inputs: dict[tuple[int, int], Tensor] = {}

    def prepare(self, most_sentences: int) -> None:
        """Capture passes of up to so many sentences in the two shortest rooms."""
        longest = self._config.max_source_length
        for size in sorted({room(needed, longest) for needed in (SHORTEST_ROOM, STEP * SHORTEST_ROOM)}):
            sentences = at_least(min(most_sentences, max(1, MOST_TOKENS // size)))
            while sentences:  # the largest first: the others fit into the memory that it leaves
                self._capture((sentences, size))
                sentences //= 2

    def encode(self, source_ids: Sequence[Sequence[int]], places: Sequence[int]) -> None:
        """Each source to its place. Nothing waits for the device."""
        for batch in length_batches([len(ids) for ids in source_ids], self._config.max_source_length):
            self._encode([source_ids[i] for i in batch], [places[i] for i in batch])

    def _encode(self, source_ids: Sequence[Sequence[int]], places: Sequence[int]) -> None:
        longest = max(len(ids) for ids in source_ids)
        shape = (at_least(len(source_ids)), room(longest, self._config.max_source_length))
        self._capture(shape)
        inputs, rows = self._input(shape), self._rows(shape, source_ids, places)
        # Pinned memory of a transfer that is under way is not used again before it has ended.
        inputs.copy_(rows.pin_memory() if self._device.type == "cuda" else rows, non_blocking=True)
        self._graphs.run(("encode", shape), lambda: self._pass(inputs))

    def _capture(self, shape: tuple[int, int]) -> None:
        if self._graphs.wants(("encode", shape)):
            inputs = self._input(shape)
            inputs.copy_(self._rows(shape, [], []))
            self._graphs.capture(("encode", shape), lambda: self._pass(inputs))

    def _input(self, shape: tuple[int, int]) -> Tensor:
        if shape not in self._inputs:
            size = (shape[0], shape[1] + 2)
            self._inputs[shape] = torch.zeros(size, dtype=torch.long, device=self._device)
        return self._inputs[shape]

    def _rows(
        self, shape: tuple[int, int], source_ids: Sequence[Sequence[int]], places: Sequence[int]
    ) -> Tensor:
        """[B, 2 + S]: of each sentence its length, its place, its ids. What is nobody's has one token."""
        idle = [1, self._nobody, *[self._config.pad_id] * shape[1]]
        lines = [
            [len(ids), place, *ids, *[self._config.pad_id] * (shape[1] - len(ids))]
            for ids, place in zip(source_ids, places, strict=True)
        ]
        return torch.tensor([*lines, *[idle] * (shape[0] - len(lines))])

    def _pass(self, inputs: Tensor) -> None:
        self._work.encode(inputs[:, 2:], inputs[:, 0], inputs[:, 1])
