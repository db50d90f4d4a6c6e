"""Both sides of a comparison in memory, and proof that they are the same network.

Knows: sides, shapes. Must not know: clocks, reports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from loadtests.bench.cells import CTRANSLATE2
from loadtests.bench.shapes import FORCED_LENGTH, Shape
from loadtests.bench.sides import Ask, CTranslate2, Generate, Side, Verto
from loadtests.kernels import served
from loadtests.peers.ctranslate2_model import converted
from model.native.binding import Library

PROVEN_SENTENCES = 16
# Random weights have near-ties, which two right programs may break in different ways.
LEAST_ALIKE = 0.9


class DifferentNetworks(RuntimeError):
    """The sides do not compute the same, so that their times say nothing; names how many answers agree."""


@dataclass(frozen=True, slots=True)
class Contestants:
    verto: Side
    peer: Side


@contextlib.contextmanager
def contestants(
    shape: Shape, precision: str, peer: str, threads: int, library: Library | None
) -> Iterator[Contestants]:
    """Until the block is left. Raises DifferentNetworks."""
    with contextlib.ExitStack() as stack:
        if peer == CTRANSLATE2:
            folder = stack.enter_context(converted(shape.model, shape.tokens))
            other: Side = CTranslate2(shape, folder, precision, threads)
        else:
            other = Generate(shape)
        sides = Contestants(Verto(served(shape.model, precision, threads, library), shape.defaults), other)
        if precision == "float32":
            check_alike(shape, sides)
        yield sides


def check_alike(shape: Shape, sides: Contestants) -> None:
    """Greedy search must find the same tokens on both sides. Raises DifferentNetworks."""
    sources, ask = shape.forced[:PROVEN_SENTENCES], Ask("greedy", FORCED_LENGTH)
    pairs = zip(sides.verto.translate(sources, ask), sides.peer.translate(sources, ask), strict=True)
    alike = sum(ours == theirs for ours, theirs in pairs)
    if alike < LEAST_ALIKE * len(sources):
        raise DifferentNetworks(
            f"{shape.name}: greedy answers of Verto and {sides.peer.name} in float32 agree for {alike} of "
            f"{len(sources)} sources; compare their weights and options first"
        )
