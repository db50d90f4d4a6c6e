"""What a step on the device reads and writes: tensors that never move, so that captured work finds them.

Knows: layouts in memory, transfers. Must not know: weights, what a step computes, searches.
Shapes: R rows, G segments, T target positions, S source positions, L decoder layers, H heads, K head width,
N places of one kind (the last one is nobody's), F fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from model.config import ModelConfig
from model.cuda.graphs import WARM_UPS
from model.cuda.memory import RECORD_FIELDS, SHAPE_ROWS
from model.cuda.shapes import StepShape

NEVER = float("-inf")
ROW_FIELDS = ("token", "length", "place", "segment", "member", "least")
SEGMENT_FIELDS = ("source", "source_length", "width")


class Pools:
    """Keys and values, by place: `targets` [L, 2, N, T, H, K] and `sources` [L, 2, N, S, H, K]."""

    def __init__(
        self, config: ModelConfig, num_places: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        heads = config.num_decoder_heads
        ends = (heads, config.d_model // heads)
        starts = (config.num_decoder_layers, 2, num_places + 1)
        longest_target, longest_source = config.max_target_length, config.max_source_length
        self.targets = torch.zeros(*starts, longest_target, *ends, dtype=dtype, device=device)
        self.sources = torch.zeros(*starts, longest_source, *ends, dtype=dtype, device=device)


@dataclass(frozen=True, slots=True)
class StateView:
    """The part of the state that a step of one shape works on.

    Of rows [R]: `token` to extend by, `length` positions held, `place` of their targets, `segment` and which
    `member` of it they are, `least` tokens before `</s>`, `total` (float64). Of segments [G + 1], the last
    one being nobody's: place and length of their `source`, `width`. `ancestors` [R, T]: the place where each
    position of a row lies. `counter` [1]: how many steps of the block are done; `record` [A, F, R] of them.
    """

    token: Tensor
    length: Tensor
    place: Tensor
    segment: Tensor
    member: Tensor
    least: Tensor
    total: Tensor
    source: Tensor
    source_length: Tensor
    width: Tensor
    ancestors: Tensor
    counter: Tensor
    record: Tensor


class StepState:
    """One for a network. `most_ahead` steps are recorded before the host looks."""

    def __init__(self, config: ModelConfig, max_rows: int, most_ahead: int, device: torch.device) -> None:
        self._device, self._nobody = device, max_rows
        self._most_ahead = max(most_ahead, WARM_UPS + 1)  # lines that capturing a step writes, too
        self.most_rows = most_rows = SHAPE_ROWS * max_rows  # shapes are rounded up
        num_numbers = len(ROW_FIELDS) * most_rows + len(SEGMENT_FIELDS) * (most_rows + 1) + most_rows + 1
        pinned = device.type == "cuda"
        self._numbers = torch.zeros(num_numbers, dtype=torch.long, device=device)
        self._staged = torch.zeros(num_numbers, dtype=torch.long, pin_memory=pinned)
        record_size = self._most_ahead * RECORD_FIELDS * most_rows
        self._record = torch.zeros(record_size, dtype=torch.double, device=device)
        self._told = torch.zeros(self._record.shape, dtype=torch.double, pin_memory=pinned)
        shape = (most_rows, config.max_target_length)
        self.ancestors = torch.zeros(shape, dtype=torch.int32, device=device)
        # What they were before steps that are told, and before those that are computed meanwhile.
        self.before = [torch.zeros(shape, dtype=torch.int32, device=device) for _ in range(2)]
        self._uploaded = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]
        self._downloaded = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]
        self._views: dict[StepShape, StateView] = {}

    def view(self, shape: StepShape) -> StateView:
        if shape not in self._views:
            self._views[shape] = self._make_view(shape, self._numbers, self._record)
        return self._views[shape]

    def _make_view(self, shape: StepShape, numbers: Tensor, record: Tensor) -> StateView:
        """Fields one behind the other, so that one transfer brings them all, however few rows there are."""
        row_sizes, segment_sizes = (
            [shape.rows] * (len(ROW_FIELDS) + 1),
            [shape.segments + 1] * len(SEGMENT_FIELDS),
        )
        sizes = [*row_sizes, *segment_sizes, 1]
        fields = dict(
            zip((*ROW_FIELDS, "total", *SEGMENT_FIELDS, "counter"), _cut(numbers, sizes), strict=True)
        )
        size = self._most_ahead * RECORD_FIELDS * shape.rows
        return StateView(
            **{**fields, "total": fields["total"].view(torch.double)},
            ancestors=self.ancestors[: shape.rows],
            record=record[:size].view(self._most_ahead, RECORD_FIELDS, shape.rows),
        )

    def blank(self, shape: StepShape) -> None:
        """Rows and segments that are nobody's: whatever is computed of them harms nobody."""
        self.load(shape, {name: [] for name in ROW_FIELDS}, {name: [] for name in SEGMENT_FIELDS}, [])

    def load(
        self,
        shape: StepShape,
        rows: Mapping[str, Sequence[int]],
        segments: Mapping[str, Sequence[int]],
        totals: Sequence[float],
    ) -> None:
        """Bring the fields to the device, in one transfer that nobody waits for."""
        if self._uploaded is not None:
            self._uploaded.synchronize()  # long past: what was staged before has been read
        idle = {"place": self._nobody, "segment": shape.segments, "source": self._nobody}
        fields = [_filled(rows[name], shape.rows, idle.get(name, 0)) for name in ROW_FIELDS]
        ones = {**idle, "source_length": 1, "width": 1}
        more = [_filled(segments[name], shape.segments + 1, ones[name]) for name in SEGMENT_FIELDS]
        sums = torch.tensor(_filled(totals, shape.rows, NEVER), dtype=torch.double).view(torch.long)
        flat = torch.tensor([number for field in fields for number in field], dtype=torch.long)
        rest = torch.tensor([number for field in more for number in field] + [0], dtype=torch.long)
        count = len(flat) + len(sums) + len(rest)
        torch.cat((flat, sums, rest), out=self._staged[:count])
        self._numbers[:count].copy_(self._staged[:count], non_blocking=True)
        if self._uploaded is not None:
            self._uploaded.record()

    def other_than(self, before: Tensor) -> Tensor:
        """The other one of `before`."""
        return self.before[1] if before is self.before[0] else self.before[0]

    def send(self, shape: StepShape, num_steps: int) -> None:
        """The record of so many steps goes to the host, where what was sent before is overwritten."""
        size = num_steps * RECORD_FIELDS * shape.rows
        self._told[:size].copy_(self._record[:size], non_blocking=True)
        if self._downloaded is not None:
            self._downloaded.record()

    def told(self, shape: StepShape, num_steps: int) -> Tensor:
        """Waits for what was sent last [num_steps, F, R].

        By an event, not by the stream: PyTorch's search for waits, which is there to find those that nobody
        meant, takes a stream's for one of them.
        """
        if self._downloaded is not None:
            self._downloaded.synchronize()
        size = num_steps * RECORD_FIELDS * shape.rows
        return self._told[:size].view(num_steps, RECORD_FIELDS, shape.rows)


def _cut(numbers: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Pieces of these sizes, one after the other."""
    ends = list(accumulate(sizes))
    return [numbers[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _filled(numbers: Sequence[float], size: int, filler: float) -> list[float]:
    return [*numbers, *[filler] * (size - len(numbers))]
