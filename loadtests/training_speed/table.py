"""What the rounds say: tokens a second, ratios. Knows: what steps took. Must not know: sides, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from loadtests.report import Figures
from loadtests.training_speed.pace import Took
from loadtests.training_speed.sides import VERTO


@dataclass(frozen=True, slots=True)
class Cell:
    """One shape and precision: of each side what its rounds took, in turn."""

    shape: str
    precision: str
    rounds: Mapping[str, Sequence[Took]]

    def rate(self, side: str) -> float:
        """Target tokens per second of processor time, the median of the rounds."""
        return median(one.tokens / one.processor_seconds for one in self.rounds[side])

    def wall_rate(self, side: str) -> float:
        return median(one.tokens / one.wall_seconds for one in self.rounds[side])

    def ratio(self, side: str) -> float:
        """Verto's rate over this side's, round by round: both sides of a ratio are neighbours in time."""
        both = zip(self.rounds[VERTO], self.rounds[side], strict=True)
        return median(
            (verto.tokens / verto.processor_seconds) / (peer.tokens / peer.processor_seconds)
            for verto, peer in both
        )

    def to_dict(self) -> dict[str, Any]:
        rounds = {side: [asdict(one) for one in took] for side, took in self.rounds.items()}
        rates = {side: {"rate": self.rate(side), "ratio": self.ratio(side)} for side in self.rounds}
        return {"shape": self.shape, "precision": self.precision, "sides": rates, "rounds": rounds}


def speed_table(cells: Sequence[Cell]) -> Figures:
    columns = [
        "network", "precision", "side", "target tokens per processor second", "per second of the clock",
        "Verto is faster by", "most memory",
    ]  # fmt: skip
    rows = [
        [
            cell.shape, cell.precision, side, f"{cell.rate(side):,.0f}", f"{cell.wall_rate(side):,.0f}",
            "" if side == VERTO else f"{cell.ratio(side):.2f} times",
            f"{max(one.peak_bytes for one in took) / 2**20:,.0f} MiB",
        ]
        for cell in cells
        for side, took in cell.rounds.items()
    ]  # fmt: skip
    return Figures("Training steps, medians of interleaved rounds", columns, rows)
