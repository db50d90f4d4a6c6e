"""The rule of the autoscaler, by hand: wishes, tolerance, windows, policies; and the fleet that it moves."""

from __future__ import annotations

from loadtests.scaling.autoscaler import Autoscaler
from loadtests.scaling.cluster import Cluster
from loadtests.scaling.fleet import Assumptions, Fleet, ReadBusy, Scaler, read_backlog
from loadtests.scaling.inputs import ScaleRule
from loadtests.scaling.replica import Replica, Speed
from loadtests.scaling.traffic import Request

AT_ONCE = ScaleRule(0.0, (("Pods", 100.0, 15.0),))


def scaler(up: ScaleRule = AT_ONCE, down: ScaleRule = AT_ONCE, most: int = 50) -> Autoscaler:
    return Autoscaler(target=1.0, fewest=2, most=most, up=up, down=down)


def test_it_wishes_for_as_many_as_bring_the_mean_to_the_target() -> None:
    assert scaler().replicas(0.0, 4, 1.6) == 7
    assert scaler().replicas(0.0, 4, 0.6) == 3


def test_a_tenth_beside_the_target_is_left_alone() -> None:
    assert scaler().replicas(0.0, 4, 1.09) == 4
    assert scaler().replicas(0.0, 4, 0.91) == 4
    assert scaler().replicas(0.0, 4, 1.11) == 5


def test_it_stays_within_its_bounds() -> None:
    assert scaler(most=6).replicas(0.0, 4, 100.0) == 6
    assert scaler().replicas(0.0, 4, 0.0) == 2


def test_up_goes_as_fast_as_the_most_generous_policy_lets_it_in_each_period() -> None:
    one = scaler(up=ScaleRule(0.0, (("Percent", 100.0, 30.0), ("Pods", 2.0, 30.0))))
    assert one.replicas(0.0, 1, 9.0) == 3  # two pods are more than double
    assert one.replicas(15.0, 3, 9.0) == 3  # the period is not over
    assert one.replicas(31.0, 3, 9.0) == 6
    assert one.replicas(62.0, 6, 9.0) == 12


def test_down_goes_by_the_highest_wish_of_the_window_and_one_in_each_period() -> None:
    one = scaler(down=ScaleRule(600.0, (("Pods", 1.0, 120.0),)))
    assert one.replicas(0.0, 8, 1.0) == 8
    assert one.replicas(599.0, 8, 0.1) == 8
    assert one.replicas(601.0, 8, 0.1) == 7
    assert one.replicas(660.0, 7, 0.1) == 7
    assert one.replicas(722.0, 7, 0.1) == 6


def test_the_committed_rule_is_quick_up_and_slow_down() -> None:
    from loadtests.scaling.inputs import hpa_rules

    rules = hpa_rules()
    assert rules.target_backlog_seconds > 0
    assert rules.fewest < rules.most
    assert rules.up.window_seconds < rules.down.window_seconds


def fleet(cold_seconds: float, backlog: list[float]) -> tuple[Cluster, list[tuple[float, int]]]:
    """What a fleet of 2 does whose replicas tell this backlog, one value for each scrape."""
    told = iter(backlog)
    seen: dict[float, float] = {}

    def read(now: float, replica: Replica) -> float:
        return seen.setdefault(now, next(told) if now not in seen else 0.0)

    assumed = Assumptions(average_seconds=15.0)
    cluster = Cluster(Speed([0.0, 0.001]), mean_tokens=10.0, timeout_seconds=10.0)
    Fleet(cluster, [Scaler(scaler(), read, assumed.average_seconds)], cold_seconds, assumed).begin(2)
    end = assumed.scrape_seconds * (len(backlog) + 0.9)
    record = cluster.run([Request(end, 1)])
    return cluster, record.replicas


def test_a_wish_is_paid_for_at_once_and_serves_when_it_is_warm() -> None:
    cluster, changes = fleet(cold_seconds=20.0, backlog=[2.0, 1.0])
    assert changes[1] == (22.5, 4)  # between the first scrape at 15 s and the second
    assert (
        len(cluster.open_replicas) == 2
    )  # at 43.5 s, when the two have been wanted for 21 s, one sync later
    cluster, _ = fleet(cold_seconds=5.0, backlog=[2.0, 1.0])
    assert len(cluster.open_replicas) == 4


def test_a_pod_without_a_sample_counts_as_idle() -> None:
    one = Scaler(scaler(), read_backlog, 30.0)
    assert one.replicas(0.0, 4) == 2  # nobody has said anything: the fewest
    replica = Replica("r", Speed([0.0, 0.1]), 0.0, mean_tokens=10.0)
    for _ in range(5):
        replica.offer(0.0, Request(0.0, 10))
    one.scrape(10.0, [replica])
    assert one.replicas(11.0, 2) == 4  # 4 s and nothing: 2 s each


def test_busy_is_the_share_of_the_time_since_the_last_look() -> None:
    replica, read = Replica("r", Speed([0.0, 0.1]), 0.0, mean_tokens=10.0), ReadBusy()
    read(0.0, replica)
    replica.offer(5.0, Request(5.0, 10))
    assert read(6.0, replica) == 1 / 6
    assert replica.finish(replica.end).tokens == 10
    assert read(8.0, replica) == 0.0
