"""The rule by which Kubernetes' HorizontalPodAutoscaler chooses a number of replicas.

Knows: ratios, windows, policies, as its documentation describes them. Must not know: what is scaled by what.

    wish = ceil(replicas x metric / target), unless within a tenth of the target
    up: by the lowest wish of the up window, at most what a policy lets be added in its period
    down: by the highest wish of the down window, at most what a policy lets be removed in its period
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from loadtests.scaling.inputs import ScaleRule

TOLERANCE = 0.1  # of the controller manager, by default


@dataclass(slots=True)
class Autoscaler:
    """Asked at every sync; remembers its wishes and its changes."""

    target: float
    fewest: int
    most: int
    up: ScaleRule
    down: ScaleRule
    _wishes: list[tuple[float, int]] = field(default_factory=list)
    _changes: list[tuple[float, int]] = field(default_factory=list)

    def replicas(self, now: float, current: int, metric: float) -> int:
        """How many there shall be; `metric` is the mean over the `current` ones."""
        ratio = metric / self.target
        wish = current if abs(ratio - 1) <= TOLERANCE else math.ceil(current * ratio)
        self._wishes.append((now, min(self.most, max(self.fewest, wish))))
        lowest = min(self._wished_since(now - self.up.window_seconds))
        highest = max(self._wished_since(now - self.down.window_seconds))
        chosen = self._bounded(now, current, lowest, highest)
        if chosen != current:
            self._changes.append((now, chosen - current))
        return chosen

    def _wished_since(self, moment: float) -> list[int]:
        """The newest wish is always among them."""
        return [wish for at, wish in self._wishes if at >= moment]

    def _bounded(self, now: float, current: int, lowest: int, highest: int) -> int:
        if lowest > current:
            return min(lowest, max(self._limit(now, current, one, +1) for one in self.up.policies))
        if highest < current:
            return max(highest, min(self._limit(now, current, one, -1) for one in self.down.policies))
        return current

    def _limit(self, now: float, current: int, policy: tuple[str, float, float], sign: int) -> int:
        """What the policy allows, from what there was at the beginning of its period."""
        kind, value, period = policy
        changed = sum(change for at, change in self._changes if at > now - period and change * sign > 0)
        began = current - changed
        step = value if kind == "Pods" else began * value / 100
        return math.ceil(began + step) if sign > 0 else math.floor(began - step)
