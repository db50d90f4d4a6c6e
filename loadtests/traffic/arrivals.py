"""When requests are due: moments in seconds, at a rate that asks no server whether it keeps up.

Knows: random numbers. Must not know: what is sent.

    constant  |  |  |  |  |  |  |  |
    poisson   ||   |  | |    ||  |
    bursts    ||||||||          ||||||||        BURST_FACTOR times the rate, then nothing, every BURST_SECONDS
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping

CONSTANT, POISSON, BURSTS = "constant", "poisson", "bursts"
BURST_SECONDS, BURST_FACTOR = 3.0, 3.0


def constant(rate: float, seed: int) -> Iterator[float]:
    """One every 1/`rate` seconds, for ever."""
    return (number / rate for number in itertools.count(1))


def poisson(rate: float, seed: int) -> Iterator[float]:
    """`rate` a second on average, each independent of all others, for ever."""
    rng = random.Random(seed)
    return itertools.accumulate(rng.expovariate(rate) for _ in itertools.count())


def bursts(rate: float, seed: int) -> Iterator[float]:
    """`rate` a second on average, all of them in the first part of every `BURST_SECONDS`, for ever."""
    busy = BURST_SECONDS / BURST_FACTOR
    for moment in poisson(rate * BURST_FACTOR, seed):
        periods, within = divmod(moment, busy)
        yield periods * BURST_SECONDS + within


ARRIVALS: Mapping[str, Callable[[float, int], Iterator[float]]] = {
    POISSON: poisson,
    CONSTANT: constant,
    BURSTS: bursts,
}


def moments(arrivals: str, rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Those within `seconds`, ascending."""
    return itertools.takewhile(lambda moment: moment < seconds, ARRIVALS[arrivals](rate, seed))
