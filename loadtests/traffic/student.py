"""How many standard errors an interval needs where the error itself was told from few values.

Knows: Student's t distribution. Must not know: what is measured.
"""

from __future__ import annotations

import math

import numpy

MOST_DEGREES = 1000.0  # from here on it is the normal distribution to three digits
_STEPS = 100_001


def errors_within(share: float, degrees: float) -> float:
    """So many lie on both sides of the truth in `share` of all cases, with these degrees of freedom.

    t is the square root of `degrees` times the tangent of an angle, whose density is a power of its cosine.
    """
    degrees = min(degrees, MOST_DEGREES)
    angles = numpy.linspace(0.0, math.pi / 2, _STEPS)
    density = numpy.cos(angles) ** (degrees - 1)
    below = numpy.concatenate([[0.0], numpy.cumsum(density[1:] + density[:-1])])
    return math.sqrt(degrees) * math.tan(float(numpy.interp(share * below[-1], below, angles)))
