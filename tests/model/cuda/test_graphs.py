"""What is asked of PyTorch when work is captured; who asks for it on a GPU is in test_on_a_gpu.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from model.cuda.graphs import WARM_UPS, Graphs


class Device:
    """In place of `torch.cuda`: notes on which stream, and with whom beside it, a graph is captured."""

    def __init__(self) -> None:
        self.num_streams, self.num_capturing = 0, 0
        self.captures: list[tuple[Any, Any]] = []  # stream and pool
        self.most_at_once = 0

    def stream(self, *device: object) -> str:
        self.num_streams += 1
        return f"stream {self.num_streams}"

    @contextmanager
    def graph(self, graph: object, *, pool: Any, stream: Any = "everybody's", **mode: str) -> Iterator[None]:
        self.captures.append((stream, pool))
        self.num_capturing += 1
        self.most_at_once = max(self.most_at_once, self.num_capturing)
        yield
        self.num_capturing -= 1


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(torch.cuda, "Stream", device.stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "graph", device.graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    return device


def graphs() -> Graphs:
    return Graphs(torch.device("cuda"))


def test_all_graphs_of_a_network_have_one_stream_that_is_no_other_network_s(device: Device) -> None:
    one, other, seen = graphs(), graphs(), list[str]()
    for key in ("a", "b", "c"):
        one.capture(key, lambda key=key: seen.append(key))  # type: ignore[misc]
    other.capture("a", lambda: None)
    assert seen == [key for key in "abc" for _ in range(WARM_UPS + 1)]
    assert device.num_streams == 2
    assert len(set(device.captures[:3])) == 1
    assert device.captures[3][0] != device.captures[0][0]
    assert device.captures[3][1] is not device.captures[0][1]


def test_two_threads_do_not_capture_at_once(device: Device) -> None:
    both = [threading.Thread(target=graphs().capture, args=("a", lambda: time.sleep(0.02))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert (len(device.captures), device.most_at_once) == (2, 1)
