"""On a GPU, with true graphs: the searches of the processor, and no wait but the stated ones.

Run with `make test ARGS="-m gpu"` where there is one; no other test needs one.
"""

from __future__ import annotations

import pytest
import torch

from model.cuda.network import CudaNetwork
from model.decoding import DecodingOptions
from model.decoding.search import NewSegment, Search
from tests.model.cuda.scenarios import MAX_ROWS, Scenario, assert_same, eager, random_model, run
from training.loss import chosen_loss

pytestmark = pytest.mark.gpu

OPTIONS = (
    DecodingOptions(strategy="greedy", min_length=3),
    DecodingOptions(beam_size=4, num_hypotheses=4),
    DecodingOptions(beam_size=2, prefix_ids=(2, 1)),
    DecodingOptions(no_repeat_ngram_size=2),
    DecodingOptions(strategy="sample", seed=7, top_k=3),
)
SOURCES = ((1, 4, 2, 0), (3, 3, 1, 5, 0), (5, 0), (2, 4, 1, 1, 3, 0), (4, 2, 0))


def network(dtype: torch.dtype = torch.float64) -> CudaNetwork:
    return CudaNetwork(random_model(1), device="cuda", dtype=dtype, max_rows=MAX_ROWS)


def segments(some: slice) -> list[NewSegment]:
    pairs = list(enumerate(zip(SOURCES, OPTIONS, strict=True)))[some]
    return [NewSegment(key, source, options, 16, stream=True) for key, (source, options) in pairs]


@pytest.mark.parametrize("count", [3, 5])
def test_replayed_searches_are_those_of_the_processor(count: int) -> None:
    scenario = Scenario({0: segments(slice(0, 2)), 3: segments(slice(2, count))}, {5: [0]})
    on_gpu = network()
    assert on_gpu.path == "cuda-graph"
    assert_same(run(on_gpu, scenario), run(eager(1), scenario))


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@torch.inference_mode()
def test_nothing_waits_in_secret() -> None:
    search = Search(network(torch.float32))
    for secret in ("default", "error"):  # the first time captures what the second replays
        torch.cuda.set_sync_debug_mode(secret)
        try:
            search.join(segments(slice(0, 2)))
            while search.keys:
                search.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@torch.inference_mode()
def test_the_kernels_end_steps_as_the_plain_way_does() -> None:
    """Beams of 1 to 32 rows; interpreted elsewhere (test_ways.py), here by the device."""
    from tests.model.cuda.interpreted import step_deviation  # needs Triton

    assert max(step_deviation(seed, torch.device("cuda")) for seed in range(40)) < 1e-4


def test_the_kernels_are_taken() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        assert network(dtype).ways == "FusedAttend, FusedBetween, FusedFinish"
        assert chosen_loss(torch.device("cuda"), dtype).__name__ == "FusedLoss"
