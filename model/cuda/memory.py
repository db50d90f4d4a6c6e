"""How much of a device's memory decoding takes, and whether that is there: known before anything is
allocated.

Knows: sizes in bytes. Must not know: what is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model.config import ModelConfig
from model.devices import DeviceError

HEADROOM = 0.1  # of the device's memory stays free: libraries, fragments, the passes of an encoder
SHAPE_ROWS = 2  # times the rows that run: the most that a shape, which is rounded up, may have
RECORD_FIELDS = 9  # numbers of 8 bytes that a step tells of each row (see record.py)


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes by purpose."""

    weights: int
    caches: int  # keys and values of all rows and sources, each at its longest
    steps: int  # what a captured step computes in between, at its largest

    @property
    def total(self) -> int:
        return self.weights + self.caches + self.steps


def plan(config: ModelConfig, num_weights: int, max_rows: int, itemsize: int) -> Plan:
    """For `max_rows` rows; `num_weights` counts numbers, fused ones too."""
    positions = (max_rows + 1) * (config.max_target_length + config.max_source_length)
    per_position = 2 * config.num_decoder_layers * config.d_model * itemsize
    # Logits as they are and in float32, the widest hidden layer, and attention's gathered keys and values.
    gathered = 2 * config.max_target_length * config.d_model * itemsize
    per_row = config.target_vocab_size * (itemsize + 8) + 4 * config.decoder_ffn_dim * itemsize + gathered
    scores = SHAPE_ROWS * max_rows * config.target_vocab_size * max(itemsize, 4)
    return Plan(num_weights * itemsize, positions * per_position, max_rows * per_row + scores)


def check_memory(needed: Plan, device: torch.device, max_rows: int) -> None:
    """Raises `DeviceError` when the device has not so much, with headroom."""
    if device.type != "cuda":
        return
    free, total = torch.cuda.mem_get_info(device)
    check_fits(needed, int(free), int(total), max_rows)


def check_fits(needed: Plan, free: int, total: int, max_rows: int) -> None:
    """Raises `DeviceError` when `free` of `total` bytes are too few."""
    left = free - int(HEADROOM * total)
    if needed.total <= left:
        return
    fits = max(0, int(max_rows * (left - needed.weights) / max(1, needed.caches + needed.steps)))
    hint = f"about {fits} rows would fit: lower max_rows" if fits else "not even one row would fit"
    raise DeviceError(
        f"the device has {_gib(free)} free, {_gib(int(HEADROOM * total))} of which are kept as headroom, but "
        f"{_gib(needed.weights)} of weights, {_gib(needed.caches)} of keys and values for max_rows "
        f"{max_rows} and {_gib(needed.steps)} for steps are needed; {hint}, or use a smaller precision"
    )


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.2f} GiB"
