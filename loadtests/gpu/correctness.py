"""Leg 1: are the GPU's answers the processor's, in every precision; is a replay what a call is; who waits
when.

Knows: networks, searches, scores of translations. Must not know: speed, reports.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from loadtests.gpu.setting import Found, Setting
from loadtests.subject import Subject, target_texts
from model.cuda.network import CudaNetwork
from model.decoding import DecodingOptions, target_limit
from model.decoding.search import NewSegment, Search, decode_batch
from model.network import EagerNetwork, Network
from training.scoring import Scorer

OPTIONS = {"greedy": DecodingOptions(strategy="greedy"), "beam 4": DecodingOptions(beam_size=4)}
MAX_ROWS = 256
WAIT = "called a synchronizing CUDA operation"  # as PyTorch tells of each
Answers = list[tuple[int, ...]]


def correctness(setting: Setting) -> Found:
    what = setting.subject()
    found: dict[str, Any] = {"sentences": len(what.source_ids), "workload": what.workload.name}
    found |= {"ways_taken": {}, "against_cpu_float32": [], "ways": [], "waits": []}
    expected = {name: _answers(EagerNetwork(what.bundle.model), what, one) for name, one in OPTIONS.items()}
    for dtype in setting.precisions:
        network = _network(what, setting, dtype)
        found["ways_taken"][network.precision] = network.ways
        for name, options in OPTIONS.items():
            line = {"precision": network.precision, "search": name}
            compared = _compared(what, _answers(network, what, options), expected[name])
            found["against_cpu_float32"].append(line | compared)
            yield found
    for name in OPTIONS:
        found["waits"].append(_waits(what, setting, name))
        yield found
    for dtype in setting.precisions[:2]:
        found["ways"].append(_ways(what, setting, dtype))
        yield found


def _network(what: Subject, setting: Setting, dtype: torch.dtype, **other: Any) -> CudaNetwork:
    return CudaNetwork(what.bundle.model, device=setting.device, dtype=dtype, max_rows=MAX_ROWS, **other)


def _answers(network: Network, what: Subject, options: DecodingOptions, count: int | None = None) -> Answers:
    sources = what.source_ids[:count]
    return [best[0].token_ids for best in decode_batch(network, sources, options, max_rows=MAX_ROWS)]


def _compared(what: Subject, found: Answers, expected: Answers) -> dict[str, Any]:
    same = sum(one == other for one, other in zip(found, expected, strict=True))
    texts, own = target_texts(what.bundle, found), target_texts(what.bundle, expected)
    references = list(what.workload.references)
    return {
        "equal_sentences": same,
        "of": len(found),
        "equal_tokens_share": _equal_tokens(found, expected),
        "bleu_against_cpu": _bleu(texts, own),
        "bleu_difference": _bleu(texts, references) - _bleu(own, references) if references else None,
    }


def _bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    return Scorer(("bleu",)).corpus(texts, references)["bleu"].value


def _equal_tokens(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> float:
    """The share of positions with the same token, of the longer answer's, its end counted as one."""
    pairs = list(zip(found, expected, strict=True))
    same = sum(sum(a == b for a, b in zip(x, y, strict=False)) + (len(x) == len(y)) for x, y in pairs)
    return same / sum(max(len(x), len(y)) + 1 for x, y in pairs)


def _ways(what: Subject, setting: Setting, dtype: torch.dtype) -> dict[str, Any]:
    """Replayed against called, several steps ahead against one: equal answers of so many."""
    count = 20 if setting.tiny else 300
    usual = _network(what, setting, dtype)
    other = {
        "called": _network(what, setting, dtype, capture=False),
        "one step at a time": _network(what, setting, dtype, steps_ahead=1),
    }
    line: dict[str, Any] = {"precision": usual.precision, "path": usual.path, "of": count * len(OPTIONS)}
    for way, network in other.items():
        same = 0
        for options in OPTIONS.values():
            one, two = (_answers(side, what, options, count) for side in (usual, network))
            same += sum(a == b for a, b in zip(one, two, strict=True))
        line[way] = same
    return line


@torch.inference_mode()
def _waits(what: Subject, setting: Setting, name: str) -> dict[str, Any]:
    """A whole search with every hidden wait for the device made to be heard."""
    network, options = _network(what, setting, torch.bfloat16), OPTIONS[name]
    sources = what.source_ids[: MAX_ROWS // options.rows]
    limits = [target_limit(options, network.config, len(ids)) for ids in sources]
    segments = [
        NewSegment(number, ids, options, limit)
        for number, (ids, limit) in enumerate(zip(sources, limits, strict=True))
    ]
    _steps(network, segments)  # captures what it needs
    waits = network.num_waits
    with warnings.catch_warnings(record=True) as heard, _Listening(setting):
        warnings.simplefilter("always")
        steps = _steps(network, segments)
    hidden = [one for one in heard if WAIT in str(one.message)]
    return {"search": name, "steps": steps, "waits": network.num_waits - waits, "hidden_waits": len(hidden)}


def _steps(network: CudaNetwork, segments: Sequence[NewSegment]) -> int:
    search, steps = Search(network), 0
    search.join(segments)
    while search.keys:
        search.step()
        steps += 1
    return steps


class _Listening:
    """PyTorch warns at each operation that waits for the device."""

    def __init__(self, setting: Setting) -> None:
        self._is_gpu = setting.device.type == "cuda"

    def __enter__(self) -> None:
        if self._is_gpu:
            torch.cuda.set_sync_debug_mode("warn")

    def __exit__(self, *fault: object) -> None:
        if self._is_gpu:
            torch.cuda.set_sync_debug_mode("default")
