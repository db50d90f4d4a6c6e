"""What is simulated: a model in one precision, as the speed of a replica.

Knows: measured step times, the settings' defaults. Must not know: clusters, reports.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.cost_model.fit import CostModel
from loadtests.scaling.inputs import LiveLoad, StepTimes
from loadtests.scaling.replica import Speed
from loadtests.scaling.traffic import mean_tokens
from service.settings import Settings

BEAM = 4  # of the shipped bundle, and of both measurements


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as one replica serves it; `capacity` in sentences a second, while somebody always waits."""

    name: str
    speed: Speed
    mean_tokens: float

    @property
    def capacity(self) -> float:
        return self.speed.capacity(self.mean_tokens)


def opus(times: StepTimes, precision: str) -> Subject:
    """OPUS-MT's shape, from the formula of step times as it was measured."""
    return Subject(f"OPUS-MT base, {precision}", _speed(times, 1.0), mean_tokens())


def shipped(times: StepTimes, live: LiveLoad) -> Subject:
    """The shipped model: the same formula, all of it smaller by one factor, so that a replica's capacity is
    the rate that was measured under live load."""
    whole = _speed(times, 1.0)
    factor = whole.capacity(mean_tokens()) / live.highest_rate
    return Subject(f"shipped, {live.precision}", _speed(times, factor), mean_tokens())


def rows() -> int:
    """Of the running batch, by default."""
    return int(Settings.model_fields["max_rows"].default)


def _speed(times: StepTimes, factor: float) -> Speed:
    steps = [0.0] + [
        factor * _step(times.steps, number, times.vocabulary) for number in range(1, rows() // BEAM + 1)
    ]
    return Speed(steps, factor * times.encode_base_seconds, factor * times.encode_token_seconds)


def _step(model: CostModel, sentences: int, vocabulary: int) -> float:
    """With rows of middle length: half of their tokens are behind them."""
    length = mean_tokens()
    return model.seconds(sentences * BEAM, round(length / 2), round(length), vocabulary)
