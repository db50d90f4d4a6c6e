"""The learning rate against the paper's formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.run_config import OptimizerConfig
from training.schedule import learning_rate, paper_peak

STEPS = st.integers(1, 1_000_000)


def settings(warmup_steps: int = 4000, peak: float = 1e-3, final_decay_steps: int = 0) -> OptimizerConfig:
    return OptimizerConfig(
        peak_learning_rate=peak, warmup_steps=warmup_steps, final_decay_steps=final_decay_steps
    )


@given(step=STEPS, warmup=st.integers(1, 50_000), d_model=st.integers(1, 4096))
def test_with_the_papers_peak_it_is_the_papers_formula(step: int, warmup: int, d_model: int) -> None:
    paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)  # equation 3
    ours = learning_rate(step, settings(warmup, paper_peak(d_model, warmup)), max_steps=1_000_000)
    assert ours == pytest.approx(paper, rel=1e-12)


@given(warmup=st.integers(1, 50_000), peak=st.floats(1e-6, 1.0))
def test_the_peak_is_reached_where_the_warm_up_ends_and_never_passed(warmup: int, peak: float) -> None:
    config = settings(warmup, peak)
    assert learning_rate(warmup, config, 10**6) == peak
    assert learning_rate(max(1, warmup - 1), config, 10**6) <= peak
    assert learning_rate(warmup + 1, config, 10**6) < peak


def test_it_rises_linearly_then_falls_with_the_inverse_square_root() -> None:
    config = settings(warmup_steps=100)
    assert [learning_rate(step, config, 10**6) for step in (1, 50, 100)] == pytest.approx([1e-5, 5e-4, 1e-3])
    assert [learning_rate(step, config, 10**6) for step in (400, 10_000)] == pytest.approx([5e-4, 1e-4])


@given(step=STEPS)
def test_the_same_step_has_the_same_rate(step: int) -> None:
    config = settings()
    first = learning_rate(step, config, 10**6)
    learning_rate(step + 1, config, 10**6)
    assert learning_rate(step, config, 10**6) == first > 0


def test_the_last_steps_fall_linearly_to_nothing() -> None:
    config, plain = settings(10, final_decay_steps=100), settings(10)
    shares = [
        learning_rate(step, config, 1000) / learning_rate(step, plain, 1000) for step in range(900, 1001)
    ]
    assert shares[:2] == [1.0, 1.0]
    assert shares[1:] == pytest.approx([(1001 - step) / 100 for step in range(901, 1001)])
    assert learning_rate(1001, config, 1000) == 0.0
    assert learning_rate(5000, config, 1000) == 0.0
