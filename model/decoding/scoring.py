"""How hypotheses of different lengths compare: Wu et al. 2016, equation 14 (its coverage term: coverage.py).

Knows: sums of log-probabilities and lengths. Must not know: tensors, rows, searches.
"""

from __future__ import annotations

NEVER = float("-inf")  # the log-probability of what must not be


def length_penalty(num_tokens: int, alpha: float) -> float:
    """((5 + |Y|) / 6)^alpha; |Y| counts `</s>`. 1 for alpha 0 and for a single token."""
    return float(((5 + num_tokens) / 6) ** alpha)


def normalised_score(log_prob: float, num_tokens: int, alpha: float) -> float:
    """The score of a hypothesis of `num_tokens` tokens (`</s>` counted) with the summed `log_prob`."""
    return log_prob / length_penalty(num_tokens, alpha)
