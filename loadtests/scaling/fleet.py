"""Replicas that an autoscaler adds and removes: what it is told, when, and how long a new one takes.

Knows: clusters, autoscalers. Must not know: loads. What is assumed and not measured stands in `Assumptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtests.scaling.autoscaler import Autoscaler
from loadtests.scaling.cluster import Cluster
from loadtests.scaling.replica import Replica


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Not measured; change them to what your cluster does."""

    timeout_seconds: float = 10.0  # of every request; 40 % of it is the longest backlog that is accepted
    scrape_seconds: float = 15.0  # of Prometheus, and of the metrics server for CPU
    average_seconds: float = 30.0  # that the metric is averaged over
    sync_seconds: float = 15.0  # of the autoscaler
    image_there_seconds: float = 5.0  # from a new pod to its first process, on a node that has the image
    new_node_seconds: float = 120.0  # the same when a node has to be made and the image fetched
    routed_seconds: float = 5.0  # from ready to the first request
    cpu_target: float = 0.7


class Fleet:
    """Replicas that an autoscaler adds and removes, as Kubernetes does: new ones are cold for a while."""

    def __init__(
        self, cluster: Cluster, scalers: Sequence[Scaler], cold_seconds: float, assumed: Assumptions
    ) -> None:
        self._cluster, self._scalers, self._assumed = cluster, scalers, assumed
        self._cold_seconds = cold_seconds
        self._starting: list[int] = []
        self._number = 0

    def begin(self, replicas: int) -> None:
        for _ in range(replicas):
            self._cluster.add(0.0)
        self._note(0.0)
        self._cluster.at(self._assumed.scrape_seconds, self._scrape)
        # Not in step with the scrapes: half a period later.
        self._cluster.at(self._assumed.sync_seconds * 1.5, self._sync)

    @property
    def wanted(self) -> int:
        """Pods that there are and shall stay, cold ones too."""
        return len(self._cluster.open_replicas) + len(self._starting)

    def _scrape(self, now: float) -> None:
        for scaler in self._scalers:
            scaler.scrape(now, self._cluster.open_replicas)
        self._cluster.at(now + self._assumed.scrape_seconds, self._scrape)

    def _sync(self, now: float) -> None:
        current = self.wanted
        # Of several metrics the one that wants most decides.
        chosen = max(scaler.replicas(now, current) for scaler in self._scalers)
        for _ in range(chosen - current):
            self._start(now)
        for _ in range(current - chosen):
            self._stop()
        self._note(now)
        self._cluster.at(now + self._assumed.sync_seconds, self._sync)

    def _start(self, now: float) -> None:
        self._number += 1
        number = self._number
        self._starting.append(number)

        def ready(moment: float) -> None:
            if number in self._starting:
                self._starting.remove(number)
                self._cluster.add(moment)

        self._cluster.at(now + self._cold_seconds, ready)

    def _stop(self) -> None:
        """A cold one if there is one, else the newest."""
        if self._starting:
            self._starting.pop()
        else:
            self._cluster.close(self._cluster.open_replicas[-1])

    def _note(self, now: float) -> None:
        self._cluster.record.replicas.append((now, self.wanted))


@dataclass(slots=True)
class Scaler:
    """An autoscaler and what it is told: `read` of a replica at a scrape, averaged over the window."""

    rule: Autoscaler
    read: Callable[[float, Replica], float]
    window_seconds: float
    _samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def scrape(self, now: float, replicas: Sequence[Replica]) -> None:
        self._samples = {
            one.name: [*self._samples.get(one.name, []), (now, self.read(now, one))] for one in replicas
        }

    def replicas(self, now: float, current: int) -> int:
        """Pods without a sample yet count as idle, as Kubernetes counts them when it may add some."""
        newest = [
            [value for at, value in samples if at > now - self.window_seconds]
            for samples in self._samples.values()
        ]
        means = [sum(values) / len(values) for values in newest if values]
        return self.rule.replicas(now, current, sum(means) / max(1, current))


def read_backlog(now: float, replica: Replica) -> float:
    return replica.backlog_seconds


class ReadBusy:
    """The share of the time since the last scrape that a replica has computed: what CPU use is."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def __call__(self, now: float, replica: Replica) -> float:
        busy = replica.busy_until(now)
        at, before = self._before.get(replica.name, (now - 1.0, busy))
        self._before[replica.name] = (now, busy)
        return (busy - before) / max(1e-9, now - at)
