"""Work on fixed tensors that is captured once for each shape, and replayed ever after.

Knows: the device's streams and graphs. Must not know: what the work is. Where a device has no graphs, the
work is called instead: so that the rest of this package runs, and is tested, without a GPU.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

T = TypeVar("T")

WARM_UPS = 2  # libraries choose and set up their kernels in the first calls, which cannot be captured
_CAPTURING = threading.Lock()  # PyTorch captures one graph at a time, of all that a process's threads want


class Graphs:
    """Replays by key. What a function answers must be tensors that its replays write, or None.

    All graphs share one pool of memory: an answer is valid until another graph is replayed. They are captured
    on a stream of their own. What products need besides is kept by cuBLAS for each stream (32 MiB on an H200)
    and allocated when it is first used there: so in this pool, and there as long as its graphs are. Of a
    stream that others capture on, it would be where another network's graphs were, and gone with these.
    """

    def __init__(self, device: torch.device, *, capture: bool = True) -> None:
        self.captures = capture and device.type == "cuda"
        self._captured: dict[Hashable, tuple[Any, Any]] = {}
        self._pool = torch.cuda.graph_pool_handle() if self.captures else None
        self._stream = torch.cuda.Stream(device) if self.captures else None  # type: ignore[no-untyped-call]
        self.seconds = 0.0  # spent on capturing, all together

    def __len__(self) -> int:
        return len(self._captured)

    def wants(self, key: Hashable) -> bool:
        """Whether `run` would have to capture first, with the tensors as they are."""
        return self.captures and key not in self._captured

    def capture(self, key: Hashable, work: Callable[[], object]) -> None:
        """Runs `work` a few times: the caller has laid the tensors out so that this harms nobody."""
        started = time.perf_counter()
        with _CAPTURING:
            self._captured[key] = self._recorded(work)
        self.seconds += time.perf_counter() - started

    def _recorded(self, work: Callable[[], object]) -> tuple[Any, Any]:
        for _ in range(WARM_UPS):
            work()
        graph = torch.cuda.CUDAGraph()
        # "thread_local": what the thread of another model asks the device for meanwhile is not our business.
        how: dict[str, Any] = {"pool": self._pool, "stream": self._stream}
        with torch.cuda.graph(graph, **how, capture_error_mode="thread_local"):
            answer = work()
        return graph, answer

    def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """What `work` answers."""
        if not self.captures:
            return work()
        graph, answer = self._captured[key]
        graph.replay()
        result: T = answer
        return result
