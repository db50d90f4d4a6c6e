"""Tiny training runs with defaults: a recipe, prepared data, a monitor that remembers what it is told.

Knows: the public constructors of `training`. Must not know: what a test wants to find out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.language_signals import UNTOLD
from model.tokenizer import Tokenizer
from tests.builders import tiny_sentences, tiny_tokenizer
from training.config import TrainingConfig, check_recipe
from training.corpus import Pair
from training.encoding import encode_pairs
from training.monitor import Monitor
from training.preparation import DevText, HeldOut, PreparedData, network_config
from training.trainer import Trainer

TINY_MODEL = {
    "d_model": 16,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "num_encoder_heads": 2,
    "num_decoder_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_source_length": 64,
    "max_target_length": 64,
}


def recipe(**sections: Any) -> dict[str, Any]:
    """A valid recipe; a section given as a mapping is merged into the default, other values replace it."""
    values: dict[str, Any] = {
        "name": "tiny",
        "directions": [["en", "de"]],
        "max_steps": 12,
        "data": {"train": [{"tsv": "train.tsv"}], "dev": [{"tsv": "dev.tsv"}], "max_tokens": 64},
        "tokenizer": {"kind": "bpe", "vocab_size": 400},
        "model": TINY_MODEL,
        "batch": {"max_tokens": 200},
        "optimizer": {"warmup_steps": 4, "peak_learning_rate": 0.01},
        "validation": {"interval_steps": 1000, "num_sentences": 3},
        "checkpoint": {"interval_steps": 1000},
        "decoding": {"strategy": "greedy", "max_length": 12},
    }
    for name, given in sections.items():
        merges = isinstance(given, dict) and isinstance(values.get(name), dict)
        values[name] = {**values[name], **given} if merges else given
    return values


def config(**sections: Any) -> TrainingConfig:
    return check_recipe(recipe(**sections))


@functools.cache
def pairs(count: int) -> tuple[Pair, ...]:
    """Made-up sentences and the same words backwards."""
    return tuple(Pair(text, " ".join(reversed(text.split()))) for text in tiny_sentences(count))


def prepared(settings: TrainingConfig, count: int = 40, tokenizer: Tokenizer | None = None) -> PreparedData:
    """What `prepare` would give for `count` pairs, without any file; dev and test are some of these pairs."""
    tokenizer = tokenizer or tiny_tokenizer()
    encoded = encode_pairs(tokenizer, pairs(count), settings.data.max_tokens)
    (direction,), dev = settings.directions, pairs(count)[:6]
    return PreparedData(
        tokenizer=tokenizer,
        network=network_config(settings, tokenizer),
        train=encoded,
        signals=UNTOLD,
        dev=(
            DevText(HeldOut("dev", dev, direction), encode_pairs(tokenizer, dev, settings.data.max_tokens)),
        ),
        tests=(HeldOut("test", pairs(count)[6:9], direction),),
        cleaning=f"{count} pairs read, {count} kept",
    )


class ListeningMonitor(Monitor):
    """Shows and writes nothing. `on_step` is called after each step, as a user who watches might act."""

    def __init__(self, on_step: Callable[[int], None] = lambda step: None) -> None:
        super().__init__(Path(), 0)
        self.on_step = on_step
        self.lines: list[str] = []
        self.records: list[dict[str, float]] = []
        self.started_at: int | None = None

    def start_at(self, step: int) -> None:
        self.started_at = step

    def say(self, line: str) -> None:
        self.lines.append(line)

    def at(self, step: int, note: str) -> None:
        self.on_step(step)

    def record(self, step: int, **values: float) -> None:
        self.records.append({"step": step, **values})


def trainer(folder: Path, monitor: Monitor | None = None, count: int = 40, **sections: Any) -> Trainer:
    """A trainer of `count` pairs that has resumed what lies in `folder`."""
    settings = config(**sections)
    made = Trainer(settings, prepared(settings, count), folder, monitor or ListeningMonitor())
    made.resume()
    return made
