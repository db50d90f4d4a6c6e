"""What the native network is asked wrongly is refused in words, and numbers that are none do not hide."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from model.decoding.options import DecodingOptions
from model.decoding.search import NewSegment, Search
from model.kv_cache import CacheOverflow
from model.native.binding import NUMBERS, Library
from model.native.network import NativeNetwork
from tests.builders import TINY_VOCABULARY, tiny_model
from tests.model.native.kernels import native
from tests.server_process import ROOT


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def said_by(code: str) -> str:
    """What another process prints that runs it."""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def network(best: Library) -> NativeNetwork:
    return native(tiny_model(), best)


def test_an_unknown_precision_is_refused_by_name(best: Library) -> None:
    with pytest.raises(ValueError, match=r"float32, bfloat16, int8, got 'int4'"):
        native(tiny_model(), best, "int4")


def test_no_threads_are_refused(best: Library) -> None:
    with pytest.raises(ValueError, match="num_threads must be at least 1, got 0"):
        native(tiny_model(), best, num_threads=0)


def test_int8_sums_that_could_overflow_are_refused(best: Library) -> None:
    model = tiny_model(d_model=8, encoder_ffn_dim=66_311)
    with pytest.raises(ValueError, match="at most 66310 inputs, got 66311"):
        native(model, best, "int8")


def test_a_token_that_is_none_is_refused(network: NativeNetwork) -> None:
    for wrong in (-1, TINY_VOCABULARY):
        with pytest.raises(IndexError, match=f"token id {wrong} is not in 0..23"):
            network.open([[5, wrong]], [1], [4])
        cache = network.open([[5]], [1], [4])
        with pytest.raises(IndexError, match=f"token id {wrong} is not in 0..23"):
            network.step(torch.tensor([wrong]), cache)


def test_sources_and_capacities_out_of_bounds_are_refused(network: NativeNetwork) -> None:
    for source, capacity, field in (
        ([], 4, "max_source_length"),
        ([5] * 65, 4, "max_source_length"),
        ([5], 0, "max_target_length"),
        ([5], 65, "max_target_length"),
    ):
        with pytest.raises(ValueError, match=rf"1\.\.{field}, which is 64"):
            network.open([source], [1], [capacity])
    for rows in ([], [0], [1, 1]):
        with pytest.raises(ValueError, match="row count"):
            network.open([[5]], rows, [4])
    with pytest.raises(ValueError, match="row count"):
        network.open([], [], [])


def test_another_number_of_tokens_than_rows_is_refused(network: NativeNetwork) -> None:
    with pytest.raises(ValueError, match="2 tokens for 1 rows"):
        network.step(torch.tensor([2, 2]), network.open([[5]], [1], [4]))


def test_a_full_segment_overflows_and_can_leave(network: NativeNetwork) -> None:
    cache = network.open([[5], [6]], [1, 2], [4, 2])
    for _ in range(2):
        network.step(torch.tensor([2, 2, 2]), cache)
    with pytest.raises(CacheOverflow, match="segment 1 holds 2 positions, its capacity is 2"):
        network.step(torch.tensor([2, 2, 2]), cache)
    cache.keep(torch.tensor([True, False]))
    network.step(torch.tensor([2]), cache)


def test_a_cache_of_another_network_does_not_join(network: NativeNetwork, best: Library) -> None:
    own, other = network.open([[5]], [1], [4]), native(tiny_model(), best).open([[5]], [1], [4])
    with pytest.raises(ValueError, match="same network"):
        own.join(other)


def test_parents_stay_within_their_segment(network: NativeNetwork) -> None:
    cache = network.open([[5], [6]], [1, 2], [4, 4])
    for parents in ([1, 1, 2], [0, 0, 2], [0, 1, 3], [-1, 1, 2]):
        with pytest.raises(ValueError, match="same segment"):
            cache.reorder(torch.tensor(parents))
    with pytest.raises(ValueError, match="each of 3 rows"):
        cache.reorder(torch.tensor([0, 1]))


def test_keep_wants_a_boolean_for_each_segment(network: NativeNetwork) -> None:
    cache = network.open([[5], [6]], [1, 2], [4, 4])
    for wrong in (torch.tensor([True]), torch.tensor([1, 0])):
        with pytest.raises(ValueError, match="one boolean for each of 2 segments"):
            cache.keep(wrong)


@pytest.mark.parametrize("precision", NUMBERS)
@pytest.mark.parametrize(
    "name",
    [
        "decoder.0.feed_forward.inner.weight",
        "encoder.0.after_self.norm.weight",
        "output.weight",
    ],
)
def test_a_weight_that_is_no_number_fails_the_segment(library: Library, precision: str, name: str) -> None:
    for value in (float("nan"), float("inf")):
        model = tiny_model()
        model.get_parameter(name).view(-1)[3] = value
        search = Search(native(model, library, precision))
        search.join([NewSegment(1, [5, 6, 3], DecodingOptions(beam_size=2), 6)])
        failed = search.step().failed  # infinity may come to nothing: relu(-inf) is 0
        assert failed == (1,) or value == float("inf")


def test_one_segment_that_is_no_number_harms_no_other(library: Library) -> None:
    model = tiny_model(share_embeddings=False)
    model.source_embedding.tokens.weight[7] = float("nan")
    network = native(model, library, num_threads=2)
    scores = network.step(torch.tensor([2, 2, 2]), network.open([[5], [6, 7], [8]], [1, 1, 1], [4] * 3))
    assert scores.log_probs().isnan().all(dim=1).tolist() == [False, True, False]


# A network is not for a fork, but what forks has one, and ends as any process does.
_FORK = """
import os, sys, threading
import torch
from tests.builders import tiny_model
from tests.model.native.kernels import library_of, native

network = native(tiny_model(), library_of("{level}"), num_threads=3)
cache = network.open([[5]], [1], [4])
with torch.inference_mode():
    network.step(torch.tensor([2]), cache)
if not (child := os.fork()):
    del cache, network
    sys.exit(7)
late = threading.Timer(20, os.kill, (child, 9))
late.start()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
late.cancel()
"""


def test_a_fork_of_a_process_with_a_network_comes_to_its_end(best: Library) -> None:
    assert said_by(_FORK.format(level=best.level)) == "7\n"


_END = """
import threading, time
import torch
from tests.builders import tiny_model
from tests.model.native.kernels import library_of, native, random_sources

model = tiny_model(d_model=256, decoder_ffn_dim=2048, encoder_ffn_dim=2048, max_source_length=256)
network = native(model, library_of("{level}"))
sources, begun = random_sources(1, [200] * 64, 24), threading.Event()

def work():
    with torch.inference_mode():
        while True:
            begun.set()
            network.open(sources, [1] * 64, [8] * 64)

threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(0.2)
"""


def test_a_process_ends_well_whatever_its_threads_are_at(best: Library) -> None:
    assert said_by(_END.format(level=best.level)) == ""


# In a process of its own, whose memory has no room for the stacks of so many.
_MANY_THREADS = """
import resource
from pathlib import Path
import torch
from model.native.binding import NativeError
from tests.builders import tiny_model
from tests.model.native.kernels import library_of, native

model, library = tiny_model(), library_of("{level}")
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (200 << 20), resource.RLIM_INFINITY))
try:
    native(model, library, num_threads=500)
except NativeError as error:
    print(error)
network = native(model, library, num_threads=3)
with torch.inference_mode():
    scores = network.step(torch.tensor([2]), network.open([[5]], [1], [2]))
print(bool(scores.log_probs().isfinite().all()))
"""


def test_threads_that_cannot_be_started_are_told_and_fewer_may_be(best: Library) -> None:
    lines = said_by(_MANY_THREADS.format(level=best.level)).splitlines()
    assert re.fullmatch(r"\d+ of 500 threads started: Resource temporarily unavailable", lines[0])
    assert lines[1:] == ["True"]


# In a process of its own, whose memory may then be no more than it is.
_LITTLE_MEMORY = """
import resource
from pathlib import Path
import torch
from model.native.binding import NUMBERS
from tests.builders import tiny_model
from tests.model.native.kernels import library_of, native, random_sources

def size():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

with torch.inference_mode():
    model = tiny_model(3, d_model=256, encoder_ffn_dim=1024, decoder_ffn_dim=1024,
                       max_source_length=256, max_target_length=256)
    network = native(model, library_of("{level}"), "{precision}", num_threads=3)
    few, many = random_sources(1, [9, 4], 24), random_sources(2, [200] * 80, 24)
    def answer():
        cache = network.open(few, [1, 1], [8, 8])
        return network.step(torch.tensor([2, 2]), cache).log_probs().clone()
    before = answer()
    resource.setrlimit(resource.RLIMIT_AS, (size() + (20 << 20), resource.RLIM_INFINITY))
    try:
        network.open(many, [4] * 80, [200] * 80)
    except MemoryError as error:
        print(error)
    print(torch.equal(before, answer()))
"""


@pytest.mark.parametrize("precision", NUMBERS)
def test_memory_that_runs_out_is_told_and_the_network_goes_on(best: Library, precision: str) -> None:
    said = said_by(_LITTLE_MEMORY.format(level=best.level, precision=precision))
    assert said == "not enough memory\nTrue\n"


# Rows take their blocks one by one: of 300 the first 255 find one in the memory that a step before has taken.
_NO_MORE_BLOCKS = """
import resource
from pathlib import Path
import torch
from tests.builders import tiny_model
from tests.model.native.kernels import library_of, native, random_tokens

with torch.inference_mode():
    network = native(tiny_model(3, d_model=256), library_of("{level}"))
    assert 256 * network.bytes_per_position * 16 == 16 << 20
    first = network.open([[5]], [1], [4])
    network.step(torch.tensor([2]), first)
    cache, other = (network.open([[5, 6], [7]], [200, 100], [4, 4]) for _ in range(2))
    tokens = random_tokens(1, 300, 24)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), resource.RLIM_INFINITY))
    before = cache.num_bytes
    try:
        network.step(tokens, cache)
    except MemoryError as error:
        print(error, cache.num_bytes - before)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for _ in range(2):
        again = network.step(tokens, cache).log_probs().clone()
        print(torch.equal(again, network.step(tokens, other).log_probs()))
"""


def test_a_step_without_memory_for_all_rows_leaves_the_cache_as_it_was(best: Library) -> None:
    assert said_by(_NO_MORE_BLOCKS.format(level=best.level)) == "not enough memory 0\nTrue\nTrue\n"
