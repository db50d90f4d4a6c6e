"""A simulated replica does what queueing theory says of the cases that theory knows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.scaling.cluster import Cluster, Record
from loadtests.scaling.replica import Replica, Speed
from loadtests.scaling.traffic import Request

FOREVER = 1e9  # a timeout beyond which nobody is refused


def run(speed: Speed, requests: Sequence[Request], replicas: int = 1, timeout: float = FOREVER) -> Record:
    cluster = Cluster(speed, mean_tokens=10.0, timeout_seconds=timeout)
    for _ in range(replicas):
        cluster.add(0.0)
    return cluster.run(requests)


def poisson(rate: float, count: int, lengths: Sequence[int], seed: int = 0) -> list[Request]:
    rng, now, requests = random.Random(seed), 0.0, []
    for _ in range(count):
        now += rng.expovariate(rate)
        requests.append(Request(now, rng.choice(lengths)))
    return requests


def mean_time(record: Record) -> float:
    return sum(seconds for _, seconds in record.answered) / len(record.answered)


def test_alone_a_sentence_takes_its_encoding_and_its_steps() -> None:
    speed = Speed([0.0, 0.01, 0.02], encode_base_seconds=0.5, encode_token_seconds=0.1)
    ((_, seconds),) = run(speed, [Request(3.0, 10)]).answered
    assert seconds == pytest.approx(0.5 + 10 * 0.1 + 10 * 0.01)


def test_those_who_run_wait_while_another_is_encoded_and_share_the_steps() -> None:
    speed = Speed([0.0, 1.0, 2.0], encode_base_seconds=5.0)
    record = run(speed, [Request(0.0, 10), Request(8.0, 2)])
    # The first is encoded until 5, has done 3 steps at 8, stands still until 13, shares 2 steps of 2 s with
    # the other until 17, and does its last 5 alone.
    assert record.answered == [(8.0, pytest.approx(9.0)), (0.0, pytest.approx(22.0))]


def test_one_place_is_the_queue_of_pollaczek_and_khinchine() -> None:
    lengths, load = (1, 1, 1, 1, 11), 0.6
    mean, square = sum(lengths) / 5, sum(one * one for one in lengths) / 5
    record = run(Speed([0.0, 1.0]), poisson(load / mean, 60_000, lengths))
    expected = mean + (load / mean) * square / (2 * (1 - load))
    assert mean_time(record) == pytest.approx(expected, rel=0.06)


def test_a_step_as_long_as_there_are_sentences_is_processor_sharing() -> None:
    """Its mean time does not depend on how lengths vary: S / (1 - load)."""
    places = 400  # as good as without an end
    speed = Speed([0.0, *(float(number) for number in range(1, places + 1))])
    for lengths in ((3, 3), (1, 1, 1, 1, 11)):
        mean = sum(lengths) / len(lengths)
        record = run(speed, poisson(0.6 / mean, 60_000, lengths))
        assert mean_time(record) == pytest.approx(mean / 0.4, rel=0.06)


def test_places_that_do_not_disturb_each_other_are_the_queue_of_erlang() -> None:
    """M/M/k with 4 servers at a load of 0.8: the mean wait is C(k, a) / (k mu - lambda)."""
    places, mean, load = 4, 200.0, 0.8
    rng = random.Random(5)
    lengths = [max(1, round(rng.expovariate(1 / mean))) for _ in range(20_000)]
    mean = sum(lengths) / len(lengths)
    rate = load * places / mean
    record = run(Speed([0.0] + [1.0] * places), poisson(rate, 60_000, lengths))
    offered = load * places
    last = offered**places / math.factorial(places) / (1 - load)
    waits = last / (sum(offered**n / math.factorial(n) for n in range(places)) + last)
    assert mean_time(record) == pytest.approx(mean + waits / (places / mean - rate), rel=0.08)


def test_who_always_waits_is_served_at_the_capacity() -> None:
    speed = Speed([0.0, 0.010, 0.012, 0.014], encode_base_seconds=0.001, encode_token_seconds=0.0005)
    record = run(speed, [Request(0.0, 10) for _ in range(3_000)])
    took = max(seconds for _, seconds in record.answered)
    assert 3_000 / took == pytest.approx(speed.capacity(10.0), rel=0.01)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), max_size=60),
    st.integers(1, 3),
    st.floats(0.01, 20.0),
    st.floats(0, 6),
)
def test_every_request_is_answered_or_refused_once_whatever_dies(
    drawn: list[tuple[float, int]], replicas: int, timeout: float, dies: float
) -> None:
    requests = [Request(at, tokens) for at, tokens in sorted(drawn)]
    cluster = Cluster(Speed([0.0, 0.05, 0.08, 0.10], 0.01), mean_tokens=10.0, timeout_seconds=timeout)
    victims = [cluster.add(0.0) for _ in range(replicas)]
    cluster.at(dies, lambda now: cluster.kill(now, victims[0]))
    record = cluster.run(requests)
    told = sorted([at for at, _ in record.answered] + record.refused)
    assert told == [one.arrived for one in requests]
    assert record.arrived == len(requests)
    assert all(seconds > 0 for _, seconds in record.answered)


def test_more_load_never_makes_it_faster_and_more_replicas_never_slower() -> None:
    speed = Speed([0.0, 0.010, 0.012, 0.014], 0.001)
    by_rate = [mean_time(run(speed, poisson(rate, 8_000, (5, 10, 15)))) for rate in (5, 15, 19, 21)]
    assert by_rate == sorted(by_rate)
    by_count = [mean_time(run(speed, poisson(20, 8_000, (5, 10, 15)), count)) for count in (4, 3, 2, 1)]
    assert by_count == sorted(by_count)


def test_refusals_begin_where_the_server_begins_them_and_bound_the_wait() -> None:
    speed = Speed([0.0, 0.1], 0.0)
    record = run(speed, [Request(0.0, 10) for _ in range(100)], timeout=20.0)
    # One runs; 8 s of work may wait before one more is taken.
    assert len(record.answered) == 1 + 9
    assert len(record.refused) == 90


def test_the_backlog_is_what_waits_and_not_what_runs() -> None:
    replica = Replica("r", Speed([0.0, 0.1]), 0.0, mean_tokens=10.0)
    assert replica.backlog_seconds == 0.0
    replica.offer(0.0, Request(0.0, 10))
    assert (replica.held, replica.backlog_seconds) == (1, 0.0)
    replica.offer(0.0, Request(0.0, 20))
    assert replica.backlog_seconds == pytest.approx(2.0)
    assert replica.busy_until(0.5) == pytest.approx(0.5)
    assert [one.tokens for one in replica.lose_all(0.5)] == [10, 20]


def test_a_closed_replica_finishes_what_it_has_and_goes() -> None:
    cluster = Cluster(Speed([0.0, 0.1]), mean_tokens=10.0, timeout_seconds=FOREVER)
    first, _ = cluster.add(0.0), cluster.add(0.0)
    cluster.at(0.5, lambda now: cluster.close(first))
    record = cluster.run([Request(0.0, 10), Request(0.0, 10), Request(0.6, 10)])
    assert len(record.answered) == 3
    assert first not in cluster.replicas
    assert max(seconds for _, seconds in record.answered) == pytest.approx(1.4)  # behind the other's
