"""Leg 2: tokens a second beside the peers with the same weights, and how far each is from the floor.

Knows: who decodes, rounds, the floor. Must not know: how anyone decodes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from statistics import median
from typing import Any

import torch

from loadtests.gpu.floor import Ceiling, as_data, batch_floor, measured
from loadtests.gpu.peers import Decode, NotHere, ctranslate2, generate, verto
from loadtests.gpu.setting import FORCED_TOKENS, Found, Setting
from model.config import ModelConfig
from model.transformer import Transformer

WIDTHS = {"greedy": 1, "beam 4": 4}
CELL_SECONDS = 6.0  # all sides together; no side has fewer than two rounds
MOST_ROUNDS = 9
COMPILE_SECONDS = 60.0  # at least, of a peer that compiles its step
STATIC = "generate, static cache"
LEAST_ALIKE = 16  # sources whose answers are compared


def speed(setting: Setting) -> Found:
    """Sides take turns within a cell: a b c, a b c ..."""
    ceiling = measured(setting)
    shapes = {"base": setting.base(), "shipped": setting.subject().bundle.model}
    cells: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    found = {"ceiling": as_data(ceiling), "forced_tokens": FORCED_TOKENS, "missing": missing, "cells": cells}
    for name, model in shapes.items():
        with _sides(name, model, setting, missing) as sides:
            for (search, width), batch in product(WIDTHS.items(), setting.batches):
                if not setting.has_time(CELL_SECONDS):
                    missing[f"{name}, {search}, batch {batch}"] = "no time was left"
                    continue
                line = {"shape": name, "search": search, "batch": batch}
                cells.append(line | _cell(sides, model.config, setting, ceiling, width, batch))
                yield found
    for name, model in shapes.items():
        if not setting.has_time(COMPILE_SECONDS):
            missing[f"{STATIC}, {name}"] = "no time was left to compile it"
            continue
        batch, sides = (
            setting.batches[len(setting.batches) // 2],
            _compiled_sides(name, model, setting, missing),
        )
        line = {"shape": name, "search": "greedy", "batch": batch}
        cells.append(line | _cell(sides, model.config, setting, ceiling, 1, batch))
        yield found
    yield found


@contextmanager
def _sides(
    shape: str, model: Transformer, setting: Setting, missing: dict[str, str]
) -> Iterator[Mapping[str, Decode]]:
    """Those that run here; why others do not goes to `missing`."""
    with ExitStack() as stack:
        sides = {"verto": verto(model, setting, max(setting.batches) * max(WIDTHS.values()))}
        others: Mapping[str, Callable[[], Decode]] = {
            "generate": lambda: generate(model, setting),
            "ctranslate2": lambda: stack.enter_context(ctranslate2(model, setting)),
        }
        for name, make in others.items():
            try:
                sides[name] = make()
            except NotHere as reason:
                missing[f"{name}, {shape}"] = str(reason)[:300]
        yield sides


def _compiled_sides(
    shape: str, model: Transformer, setting: Setting, missing: dict[str, str]
) -> Mapping[str, Decode]:
    """Verto and a `generate` whose cache does not grow, for which `transformers` compiles a step on a GPU: a
    minute for every new size, so it is asked for one, when all else is known."""
    sides = {"verto": verto(model, setting, max(setting.batches))}
    try:
        sides[STATIC] = generate(model, setting, cache_implementation="static")
    except NotHere as reason:
        missing[f"{STATIC}, {shape}"] = str(reason)[:300]
    return sides


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
