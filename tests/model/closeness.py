"""How far apart two tensors are: the question of every numerical test.

`torch.testing` answers it too, but its first use imports about as much again as torch itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor


def distance(actual: Tensor | npt.NDArray[np.float64], expected: Tensor | npt.NDArray[np.float64]) -> float:
    """The largest absolute difference, compared in float64; not a number where either is not."""
    a, b = _array(actual), _array(expected)
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    return float(np.abs(a - b).max(initial=0.0))


def _array(values: Tensor | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Float64, whatever it was."""
    array = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    return np.asarray(array, dtype=np.float64)
