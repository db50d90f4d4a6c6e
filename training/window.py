"""Means over the steps between two lines of the log.

Knows: what one update was and how long it took. Must not know: where lines go.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.update import Update


@dataclass
class Window:
    """Sums over the steps since the last line."""

    loss: float = 0.0
    norm: float = 0.0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    rate: float = 0.0  # of the last step

    def add(self, update: Update, seconds: float) -> None:
        self.loss += update.loss
        self.norm += update.norm
        self.steps += 1
        self.tokens += update.tokens
        self.seconds += seconds
        self.rate = update.rate

    @property
    def mean_loss(self) -> float:
        return self.loss / self.steps

    def numbers(self) -> dict[str, float]:
        """What is recorded for the curves."""
        return {
            "loss": self.mean_loss,
            "gradient_norm": self.norm / self.steps,
            "learning_rate": self.rate,
            "tokens_per_second": self.tokens / self.seconds,
        }

    def line(self) -> str:
        """The same for people."""
        return (
            f"loss {self.mean_loss:.3f}, gradient {self.norm / self.steps:.2f}, rate {self.rate:.2e}, "
            f"{self.tokens / self.seconds:,.0f} target tokens/s"
        )
