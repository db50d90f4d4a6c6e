"""Leg 5: training steps of transformer-base and big in bf16, as a share of the device's rate of products.

Knows: the trainer's own update, operations of a step. Must not know: data, recipes' files, decoding.
Letters: D width, F of the feed-forward, V vocabulary, S source and T target tokens of each sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from loadtests.gpu.floor import Ceiling, as_data, measured
from loadtests.gpu.setting import Found, Setting
from model.config import ModelConfig
from model.transformer import Transformer
from training.batching import Batch
from training.config import TrainingConfig, check_recipe
from training.distributed import World
from training.loss import chosen_loss
from training.stream import Place, Share
from training.update import Learner

LENGTH = 32  # of every source and target: about a sentence of news in pieces, and nothing is padded
BATCH_TOKENS = 25_000  # section 5.1 of Vaswani et al. 2017
WARM_UP_STEPS, STEPS, REPEATS = 5, 10, 3
COMPILE_SECONDS = 40.0  # at least; a compiled cell that would not be ready in time is not begun


def training(setting: Setting) -> Found:
    """Both shapes, without `torch.compile` and then with it. What fails leaves its reason, not the others."""
    ceiling, lines, failed = measured(setting), list[dict[str, Any]](), dict[str, str]()
    for compiled, (name, config) in product((False, True), _shapes(setting)):
        if compiled and not setting.has_time(COMPILE_SECONDS):
            failed[_named(name, compiled)] = "no time was left to compile it"
            continue
        try:
            line = _timed(config, setting, compiled)
        except Exception as error:  # of a compiler, or of memory: the other cells are worth their time
            failed[_named(name, compiled)] = f"{type(error).__name__}: {error}"
            continue
        share = line["operations_per_second"] / ceiling.rate
        lines.append({"shape": name, "compiled": compiled, **line, "share_of_rate": share})
        torch.compiler.reset()
        yield _so_far(ceiling, lines, failed)
    yield _so_far(ceiling, lines, failed)


def _so_far(ceiling: Ceiling, lines: list[dict[str, Any]], failed: dict[str, str]) -> dict[str, Any]:
    return {"ceiling": as_data(ceiling), "lines": lines, "failed": failed}


def _named(shape: str, compiled: bool) -> str:
    return f"{shape}, {'compiled' if compiled else 'eager'}"


def _shapes(setting: Setting) -> Iterator[tuple[str, ModelConfig]]:
    vocabulary = 300 if setting.tiny else 32_000
    for name, made in (("base", ModelConfig.base), ("big", ModelConfig.big)):
        config = made(vocabulary, norm="pre", final_norm=True)
        if setting.tiny:
            config = replace(config, d_model=64, encoder_ffn_dim=64, decoder_ffn_dim=64)
            config = replace(config, num_encoder_layers=1, num_decoder_layers=1)
        yield name, config


def _timed(config: ModelConfig, setting: Setting, compiled: bool) -> dict[str, Any]:
    """The best of a few repeats, each of several updates; `loss`: by which way (see `training.loss`)."""
    sentences = 2 if setting.tiny else BATCH_TOKENS // LENGTH
    learner = Learner(
        _settings(setting, compiled), Transformer(config), config.pad_id, setting.device, World()
    )
    share = Share(((Place(0, 0), _batch(config, sentences)),), Place(0, 1))
    steps, repeats = (1, 1) if setting.tiny else (STEPS, REPEATS)
    for step in range(1, 1 + (1 if setting.tiny else WARM_UP_STEPS)):
        learner.update(step, share)
    seconds = min(setting.seconds(lambda: learner.update(1, share), steps) for _ in range(repeats))
    return {
        "loss": chosen_loss(next(learner.network.parameters()).device, torch.bfloat16).__name__,
        "step_seconds": seconds,
        "tokens_per_second": sentences * LENGTH / seconds,
        "operations_per_second": training_operations(config, sentences, LENGTH, LENGTH) / seconds,
    }


def _settings(setting: Setting, compiled: bool) -> TrainingConfig:
    file = [{"tsv": "unused"}]
    return check_recipe({
        "name": "speed", "directions": [["en", "de"]], "precision": "bfloat16", "compile": compiled,
        "device": str(setting.device), "data": {"train": file, "dev": file},
    })  # fmt: skip


def _batch(config: ModelConfig, sentences: int) -> Batch:
    """Random tokens: how long a step takes does not depend on which."""
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(4, config.source_vocab_size, (2, sentences, LENGTH), generator=chance)
    start = torch.full((sentences, 1), config.decoder_start_id)
    mask = torch.ones(sentences, LENGTH, dtype=torch.bool)
    return Batch(ids[0], mask, torch.cat((start, ids[1][:, :-1]), 1), ids[1], sentences * LENGTH)


def training_operations(config: ModelConfig, sentences: int, source: int, target: int) -> float:
    """Of one update: additions and multiplications of its products, forward once and backward twice.

    Attention counts over all positions, masked or not, as usual (Chowdhery et al. 2022, appendix B).
    """
    width = config.d_model
    encoder = source * (4 * width**2 + 2 * width * config.encoder_ffn_dim) + 2 * width * source**2
    from_target = target * (6 * width**2 + 2 * width * config.decoder_ffn_dim) + 2 * width * target**2
    across = 2 * width**2 * source + 2 * width * source * target
    layers = config.num_encoder_layers * encoder + config.num_decoder_layers * (from_target + across)
    return 2 * 3 * sentences * (layers + target * width * config.target_vocab_size)
