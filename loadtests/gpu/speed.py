"""Leg 2: tokens a second beside the peers with the same weights, and how far each is from the floor.

Knows: who decodes, rounds, the floor. Must not know: how anyone decodes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median
from typing import Any

import torch

from loadtests.gpu.floor import Ceiling, as_data, batch_floor, measured
from loadtests.gpu.peers import Decode, NotHere, ctranslate2, generate, verto
from loadtests.gpu.setting import FORCED_TOKENS, Setting
from model.config import ModelConfig
from model.transformer import Transformer

WIDTHS = {"greedy": 1, "beam 4": 4}
CELL_SECONDS = 6.0  # all sides together; no side has fewer than two rounds
MOST_ROUNDS = 9
LEAST_ALIKE = 16  # sources whose answers are compared


def speed(setting: Setting) -> dict[str, Any]:
    """Sides take turns within a cell: a b c, a b c ..."""
    ceiling = measured(setting)
    shapes = {"base": setting.base(), "shipped": setting.subject().bundle.model}
    cells: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for name, model in shapes.items():
        with _sides(name, model, setting, missing) as sides:
            for search, width in WIDTHS.items():
                for batch in setting.batches:
                    line = {"shape": name, "search": search, "batch": batch}
                    cells.append(line | _cell(sides, model.config, setting, ceiling, width, batch))
    return {"ceiling": as_data(ceiling), "forced_tokens": FORCED_TOKENS, "missing": missing, "cells": cells}


@contextmanager
def _sides(
    shape: str, model: Transformer, setting: Setting, missing: dict[str, str]
) -> Iterator[Mapping[str, Decode]]:
    """Those that run here; why others do not goes to `missing`."""
    with ExitStack() as stack:
        sides = {"verto": verto(model, setting, max(setting.batches) * max(WIDTHS.values()))}
        others: Mapping[str, Callable[[], Decode]] = {
            "generate": lambda: generate(model, setting),
            "generate, static cache": lambda: _tried(generate(model, setting, cache_implementation="static")),
            "ctranslate2": lambda: stack.enter_context(ctranslate2(model, setting)),
        }
        for name, make in others.items():
            try:
                sides[name] = make()
            except NotHere as reason:
                missing[f"{name}, {shape}"] = str(reason)[:300]
        yield sides


def _tried(decode: Decode) -> Decode:
    """Raises NotHere when it does not decode at all."""
    try:
        decode(((5, 6, 0),), 1)
    except Exception as error:  # whatever transformers makes of it
        raise NotHere(f"{type(error).__name__}: {error}") from error
    return decode


def _cell(
    sides: Mapping[str, Decode],
    config: ModelConfig,
    setting: Setting,
    ceiling: Ceiling,
    width: int,
    batch: int,
) -> dict[str, Any]:
    sources = _sources(config, batch)
    times: dict[str, list[float]] = {name: [] for name in sides}
    answers = {}
    failed: dict[str, str] = {}
    for name, decode in sides.items():  # warm up, and see what they answer
        try:
            answers[name] = decode(sources, width)
        except Exception as error:  # memory, mostly: the others are still worth knowing
            failed[name] = f"{type(error).__name__}: {error}"[:200]
            torch.cuda.empty_cache()
    began = time.perf_counter()
    for turn in range(2 if setting.tiny else MOST_ROUNDS):
        if turn >= 2 and time.perf_counter() - began > CELL_SECONDS:
            break
        for name in answers:
            times[name].append(setting.seconds(partial(sides[name], sources, width)))
    floor = batch_floor(config, ceiling, batch, width, FORCED_TOKENS)
    return {
        "floor_tokens_per_second": batch * FORCED_TOKENS / floor,
        "failed": failed,
        "sides": {
            name: {
                "tokens_per_second": batch * FORCED_TOKENS / median(times[name]),
                "over_floor": median(times[name]) / floor,
                "rounds": len(times[name]),
                "same_as_verto": _alike(answers[name], answers.get("verto", [])),
                "tokens_of_first": len(answers[name][0]),
            }
            for name in answers
        },
    }


def _alike(one: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> float:
    pairs = list(zip(one, other, strict=False))[:LEAST_ALIKE]
    return sum(a == b for a, b in pairs) / max(1, len(pairs))


def _sources(config: ModelConfig, count: int) -> list[tuple[int, ...]]:
    """Random tokens, all of one length, `</s>` last."""
    rng, special = random.Random(0), {config.pad_id, config.eos_id, config.decoder_start_id}
    usable = [number for number in range(config.source_vocab_size) if number not in special]
    return [(*rng.choices(usable, k=FORCED_TOKENS - 1), config.eos_id) for _ in range(count)]
