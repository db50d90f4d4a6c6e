"""The learning rate as a pure function of the step (section 5.3 of Vaswani et al. 2017).

Knows: numbers. Must not know: optimisers, time.
"""

from __future__ import annotations

import math

from training.run_config import OptimizerConfig


def learning_rate(step: int, config: OptimizerConfig, max_steps: int) -> float:
    """The rate of step 1, 2, ...: linear warm-up to the peak, then the peak times sqrt(warmup / step).

    The paper's rate is this one with the peak of `paper_peak`. Over the last `final_decay_steps` of
    `max_steps` the rate is also scaled linearly down to 0 (reached one step after the end).
    """
    rise, fall = step / config.warmup_steps, math.sqrt(config.warmup_steps / step)
    left = max_steps + 1 - step
    end = min(1.0, left / config.final_decay_steps) if config.final_decay_steps else 1.0
    return config.peak_learning_rate * min(rise, fall) * max(0.0, end)


def paper_peak(d_model: int, warmup_steps: int) -> float:
    """The peak that equation 3 of the paper implies: d_model^-0.5 warmup_steps^-0.5."""
    return 1 / math.sqrt(d_model * warmup_steps)
