"""The kernels, interpreted, against the plain ways: what each part answers, and whole searches. Needs Triton.
"accepted" is how far a GPU's trials lie apart in any precision, as a share of what is allowed there.

A program of its own (`TRITON_INTERPRET=1 python -m tests.model.cuda.interpreted`), since in a process Triton
either interprets or compiles.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import triton.runtime.interpreter as interpreter  # type: ignore[import-not-found]
from torch import Tensor

import training.loss_kernels
from model.config import ModelConfig
from model.cuda.attend_kernels import FusedAttend
from model.cuda.between_kernels import FusedBetween
from model.cuda.choose import FINISH_TOLERANCE, TOLERANCE, Trial
from model.cuda.finish import PlainFinish
from model.cuda.finish_kernels import FusedFinish
from model.cuda.network import CudaNetwork
from model.cuda.select import TOLD
from model.cuda.shapes import step_shape
from model.cuda.state import StateView, StepState
from model.cuda.ways import Ways, plain_ways
from model.decoding import DecodingOptions
from model.decoding.search import NewSegment
from tests.builders import tiny_config
from tests.model.cuda.scenarios import MAX_ROWS, Scenario, Told, random_model, run
from training.loss import TOLERANCE as LOSS_TOLERANCE
from training.loss import LossTrial, WeightedLoss

HOST = torch.device("cpu")


def fused(config: ModelConfig) -> Ways:
    return Ways(FusedAttend(), FusedBetween(), FusedFinish(config))


def parts() -> Iterator[float]:
    """What `model.cuda.choose` measures on a GPU at the start."""
    sizes = [
        {},
        {"d_model": 48, "num_decoder_heads": 4},
        {"target_vocab_size": 3000},
        {"target_vocab_size": 2055},  # whose lines are filled up
        {"embedding_norm": True},
    ]
    for changed in sizes:
        config = tiny_config(**{"share_embeddings": "target_vocab_size" not in changed, **changed})
        own, plain = fused(config), plain_ways(config, HOST)
        trial = Trial(config, HOST, torch.float32)
        yield trial.attend(own.attend, plain.attend)
        yield trial.between(own.between, plain.between)
        yield trial.finish(own.finish, plain.finish)


def losses() -> Iterator[float]:
    """Of training; in blocks of which the last is full, and is not."""
    for size in (1000, 8192, 9000):
        yield LossTrial(HOST, torch.float32, size)(training.loss_kernels.FusedLoss, WeightedLoss)


def accepted() -> Iterator[float]:
    """A GPU's first look at its kernels, in the sizes that matter: they are to be taken."""
    with rounded_as_on_a_gpu():
        config = tiny_config(d_model=512, num_encoder_heads=8, num_decoder_heads=8)
        own, plain = fused(config), plain_ways(config, HOST)
        for dtype, tolerance in TOLERANCE.items():
            trial = Trial(config, HOST, dtype)
            yield trial.attend(own.attend, plain.attend) / tolerance
            yield trial.between(own.between, plain.between) / tolerance
            yield trial.finish(own.finish, plain.finish) / FINISH_TOLERANCE
            loss = LossTrial(HOST, dtype)(training.loss_kernels.FusedLoss, WeightedLoss)
            yield loss / LOSS_TOLERANCE[dtype]


@contextmanager
def rounded_as_on_a_gpu() -> Iterator[None]:
    """Numbers become bfloat16 by rounding to the nearest one; the interpreter cuts off what is too much."""
    usual = interpreter._convert_float

    def convert(numbers: Any, given: Any, wanted: Any, rounding: Any) -> Any:
        if (str(given), str(wanted)) != ("fp32", "bf16"):
            return usual(numbers, given, wanted, rounding)
        rounded = torch.from_numpy(np.array(numbers, dtype=np.float32)).bfloat16()
        return rounded.view(torch.int16).numpy().view(np.uint16)

    interpreter._convert_float = convert
    try:
        yield
    finally:
        interpreter._convert_float = usual


# The end of a step, on anything


def random_step(seed: int, device: torch.device = HOST) -> tuple[ModelConfig, StateView, Tensor, int]:
    """Beams of unequal widths, some rows dead, some too short to end; logits with many ties, few possible
    tokens, or a number that is none."""
    chance = torch.Generator().manual_seed(seed)

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (), generator=chance))

    config = tiny_config(target_vocab_size=number(5, 400), share_embeddings=False)
    most = 32 if number(0, 3) == 0 else 5
    widths = [number(1, most) for _ in range(number(1, 6))]
    shape = step_shape(widths, 16, 16)
    state = StepState(config, sum(widths), 2, device)
    members = [member for width in widths for member in range(width)]
    owners = [segment for segment, width in enumerate(widths) for _ in range(width)]
    rows = {
        "token": [0] * len(owners), "place": list(range(len(owners))),
        "length": [number(0, 15) for _ in owners],
        "segment": owners, "member": members, "least": [number(0, 8) for _ in owners],
    }  # fmt: skip
    segments = {"source": list(range(len(widths))), "source_length": [3] * len(widths), "width": widths}
    totals = [-number(0, 1000) / 97 if number(0, 4) else float("-inf") for _ in owners]
    state.load(shape, rows, segments, totals)
    view = state.view(shape)
    view.ancestors.copy_(torch.randint(0, 4, view.ancestors.shape, generator=chance))
    logits = torch.randint(-6, 6, (shape.rows, config.target_vocab_size), generator=chance).float()
    if number(0, 3) == 0:
        logits[:, 3 + number(0, 3) :] = float("-inf")
    if number(0, 3) == 0:
        logits[number(0, shape.rows - 1), number(0, 4)] = float("nan")
    return config, view, logits.to(device), shape.width


def step_deviation(seed: int, device: torch.device = HOST) -> float:
    """The largest difference that is not in what is left open: of a row that fails, its segment's answers."""
    config, view, logits, width = random_step(seed, device)
    left = []
    for finish in (FusedFinish(config), PlainFinish(config, device)):
        own = replace(view, **{name: getattr(view, name).clone() for name in StateView.__slots__})
        finish(logits.clone(), own, width)
        left.append((own.record[0], own.ancestors, own.length, own.token, own.total))
    (found, *own_state), (expected, *state) = left
    somebody = view.segment < len(view.width) - 1
    fails = expected[TOLD.highest].isnan()
    for field in (TOLD.highest, TOLD.best_value):
        assert torch.equal(found[field].isnan()[somebody], expected[field].isnan()[somebody])
    sound = ~fails & somebody
    gaps = [0.0]
    for field, name in enumerate(TOLD._fields):
        one, other = found[field][sound], expected[field][sound]
        if name == "best_id":  # which of the impossible ones is left open
            possible = expected[TOLD.best_value][sound] > float("-inf")
            one, other = one[possible], other[possible]
        if name == "end_total":
            ends = expected[TOLD.end_row][sound] >= 0
            one, other = one[ends], other[ends]
        gaps.append(_largest_gap(one, other))
    return max(
        *gaps, *(_largest_gap(*(one[sound] for one in pair)) for pair in zip(own_state, state, strict=True))
    )


def _largest_gap(one: Tensor, other: Tensor) -> float:
    gap = torch.where(one == other, 0.0, (one.double() - other.double()).abs())
    return float(gap.max()) if gap.numel() else 0.0


# Whole searches


def searches() -> Iterator[tuple[Told, Told]]:
    options = [
        DecodingOptions(strategy="greedy", min_length=3),
        DecodingOptions(beam_size=4, num_hypotheses=4),
        DecodingOptions(beam_size=2, prefix_ids=(2, 1)),
        DecodingOptions(beam_size=5, length_penalty=0.6),
        DecodingOptions(beam_size=3, no_repeat_ngram_size=2),
        DecodingOptions(strategy="sample", seed=7, top_k=3),
    ]
    sources = ((1, 4, 2, 0), (3, 3, 1, 5, 0), (5, 0), (2, 4, 1, 1, 3, 0), (4, 2, 0), (1, 1, 0))
    new = [
        NewSegment(key, source, one, 14, stream=True)
        for key, (source, one) in enumerate(zip(sources, options, strict=True))
    ]
    scenarios = (Scenario({0: new[:2], 3: new[2:4]}, {5: [0]}), Scenario({0: new[3:], 2: new[:3]}, {}))
    for seed in (0, 1, 2):  # norms behind sublayers and before them
        model = copy.deepcopy(random_model(seed)).float()
        for scenario in scenarios:
            ways = (fused(model.config), plain_ways(model.config, HOST))
            found = [
                run(
                    CudaNetwork(model, device=HOST, dtype=torch.float32, max_rows=MAX_ROWS, ways=one),
                    scenario,
                )
                for one in ways
            ]
            yield found[0], found[1]


def scores_deviation(found: Told, expected: Told) -> float:
    assert (found.stable, found.drafts, found.failed) == (expected.stable, expected.drafts, expected.failed)
    assert found.finished.keys() == expected.finished.keys()
    pairs = [
        (one, other)
        for key, hypotheses in expected.finished.items()
        for one, other in zip(found.finished[key], hypotheses, strict=True)
    ]
    assert all(one.token_ids == other.token_ids for one, other in pairs)
    return max(abs(one.score - other.score) for one, other in pairs)


if __name__ == "__main__":
    sys.stdout.write(f"parts {max(parts())}\n")
    sys.stdout.write(f"losses {max(losses())}\n")
    sys.stdout.write(f"accepted {max(accepted())}\n")
    sys.stdout.write(f"steps {max(map(step_deviation, range(int(sys.argv[1]))))}\n")
    sys.stdout.write(f"searches {max(scores_deviation(*pair) for pair in searches())}\n")
