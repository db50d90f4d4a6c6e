"""When an engine's process is started again: at once after a death at work, less and less often otherwise."""

from __future__ import annotations

from service.engine.restart_policy import (
    FIRST_DELAY_SECONDS,
    MAX_DELAY_SECONDS,
    MAX_FAILED_STARTS,
    MAX_FRUITLESS_LIVES,
    RestartPolicy,
)


def test_after_a_death_at_work_the_next_one_starts_at_once() -> None:
    policy = RestartPolicy()
    policy.died_at_work()
    assert (policy.delay_seconds, policy.is_hopeless) == (0.0, False)


def test_failed_starts_wait_twice_as_long_each_time_up_to_a_bound_and_become_hopeless() -> None:
    policy, delays, hopeless = RestartPolicy(), list[float](), list[bool]()
    for _ in range(40):
        policy.failed_to_start()
        delays.append(policy.delay_seconds)
        hopeless.append(policy.is_hopeless)
    assert delays[:3] == [FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS]
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY_SECONDS
    assert hopeless.index(True) == MAX_FAILED_STARTS - 1
    assert all(hopeless[MAX_FAILED_STARTS:])


def test_an_answer_makes_up_for_all_that_was_before() -> None:
    policy = RestartPolicy()
    for _ in range(MAX_FRUITLESS_LIVES + MAX_FAILED_STARTS):
        policy.died_at_work()
        policy.failed_to_start()
    assert policy.is_hopeless
    policy.served()
    assert (policy.delay_seconds, policy.is_hopeless) == (0.0, False)


def test_lives_without_any_answer_become_hopeless_too_and_wait() -> None:
    policy = RestartPolicy()
    for _ in range(MAX_FRUITLESS_LIVES - 1):
        policy.died_at_work()
        assert (policy.delay_seconds, policy.is_hopeless) == (0.0, False)
    policy.died_at_work()
    assert policy.is_hopeless
    assert policy.delay_seconds > 0


def test_a_start_that_works_forgives_failed_starts_but_not_fruitless_lives() -> None:
    policy = RestartPolicy()
    for _ in range(MAX_FAILED_STARTS - 1):
        policy.failed_to_start()
    policy.died_at_work()
    policy.failed_to_start()
    assert policy.delay_seconds == FIRST_DELAY_SECONDS
    assert not policy.is_hopeless
