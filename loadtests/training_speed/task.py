"""What every side trains on: a network's sizes, settings, the same batches in the same order.

Knows: recipes, made-up pairs, files. Must not know: sides.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.batching import Batch, make_batch
from training.config import TrainingConfig, check_recipe
from training.epoch_plan import plan_epoch
from training.monitor import Monitor
from training.preparation import prepare

TASK_FILE, BATCHES_FILE, RUN_FOLDER = "task.json", "batches.pt", "run"
NUM_WORDS, NUM_PAIRS, NUM_TINY_PAIRS, NUM_DEV_PAIRS = 12_000, 12_000, 300, 20
MEDIAN_WORDS, SPREAD, MOST_WORDS = 8, 0.5, 40  # of a sentence: log-normal, as those of Tatoeba about are

SHARED = {"norm": "pre", "final_norm": True, "dropout": 0.1, "attention_dropout": 0.1,
           "activation_dropout": 0.1, "max_source_length": 256, "max_target_length": 256}  # fmt: skip
SHAPES: Mapping[str, dict[str, Any]] = {
    "tiny": {"d_model": 16, "num_encoder_layers": 1, "num_decoder_layers": 1, "num_encoder_heads": 2,
             "num_decoder_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    "shipped": {"d_model": 256, "num_encoder_layers": 5, "num_decoder_layers": 3, "num_encoder_heads": 4,
                "num_decoder_heads": 4, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024},
    "base": {"d_model": 512, "num_encoder_layers": 6, "num_decoder_layers": 6, "num_encoder_heads": 8,
             "num_decoder_heads": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """`network` holds `ModelConfig`'s fields, `recipe` is what Verto trains by."""

    folder: Path
    network: Mapping[str, Any]
    recipe: Mapping[str, Any]
    threads: int

    @classmethod
    def load(cls, folder: Path) -> Task:
        return cls(folder, **json.loads((folder / TASK_FILE).read_text(encoding="utf-8")))

    @property
    def run_folder(self) -> Path:
        """Verto's, in which the pairs are prepared."""
        return self.folder / RUN_FOLDER

    @property
    def config(self) -> TrainingConfig:
        return check_recipe(dict(self.recipe))

    @property
    def batches(self) -> list[Batch]:
        stored = torch.load(self.folder / BATCHES_FILE, weights_only=True)
        return [Batch(source, mask, given, wanted, count) for source, mask, given, wanted, count in stored]


def renumbering(network: Mapping[str, Any], *, pad: int, start: int, end: int) -> Tensor:
    """Verto's ids to those of a peer with other places for the special tokens, [V]; the rest in order."""
    places = {network["pad_id"]: pad, network["decoder_start_id"]: start, network["eos_id"]: end}
    size = network["source_vocab_size"]
    free = iter(i for i in range(size) if i not in places.values())
    return torch.tensor([places[i] if i in places else next(free) for i in range(size)])


def make_task(
    folder: Path, shape: str, precision: str, max_tokens: int, num_batches: int, threads: int
) -> Task:
    """Write the pairs, learn a vocabulary, cut the batches. The same arguments make the same task."""
    vocabulary = 400 if shape == "tiny" else 8000
    recipe = _recipe(shape, precision, max_tokens, vocabulary)
    _write_pairs(folder, NUM_TINY_PAIRS if shape == "tiny" else NUM_PAIRS)
    config = check_recipe(recipe)
    data = prepare(config, folder, folder / RUN_FOLDER, Monitor(folder / RUN_FOLDER, 0))
    plan = plan_epoch(data.train, max_tokens, config.batch.pool_batches, config.seed, 0)
    network = data.network
    made = [
        make_batch(data.train, plan[i], network.pad_id, network.decoder_start_id) for i in range(num_batches)
    ]
    stored = [
        (b.source_ids, b.source_mask, b.target_input, b.target_output, b.num_target_tokens) for b in made
    ]
    torch.save(stored, folder / BATCHES_FILE)
    said = {"network": network.to_dict(), "recipe": recipe, "threads": threads}
    (folder / TASK_FILE).write_text(json.dumps(said), encoding="utf-8")
    return Task.load(folder)


def _recipe(shape: str, precision: str, max_tokens: int, vocabulary: int) -> dict[str, Any]:
    never = 1_000_000  # steps: nothing but steps is to be timed
    return {
        "name": "speed", "directions": [["en", "de"]], "max_steps": never, "precision": precision,
        "data": {"train": [{"tsv": "train.tsv"}], "dev": [{"tsv": "dev.tsv"}], "max_tokens": 100},
        "tokenizer": {"kind": "bpe", "vocab_size": vocabulary},
        "model": {**SHARED, **SHAPES[shape]},
        "batch": {"max_tokens": max_tokens},
        "validation": {"interval_steps": never},
        "checkpoint": {"interval_steps": never},
    }  # fmt: skip


def _write_pairs(folder: Path, num_pairs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = made_up_pairs(random.Random(1))
    for name, count in (("dev.tsv", NUM_DEV_PAIRS), ("train.tsv", num_pairs)):
        text = "".join(next(lines) for _ in range(count))
        (folder / name).write_text(text, encoding="utf-8")


def made_up_pairs(chance: random.Random) -> Iterator[str]:
    """Lines of two unrelated sentences of about the same length: a step takes as long, whatever they mean.

    Words are as frequent as Zipf's law says, so that pieces of a vocabulary are about as long as real ones.
    """
    words = _words(chance)
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    while True:
        length = math.exp(chance.gauss(math.log(MEDIAN_WORDS), SPREAD))
        sides = [min(MOST_WORDS, max(1, round(length * chance.gauss(1, 0.12)))) for _ in range(2)]
        yield (
            "\t".join(" ".join(chance.choices(words, cum_weights=weights, k=count)) for count in sides) + "\n"
        )


def _words(chance: random.Random) -> list[str]:
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "is")]
    words = dict.fromkeys(
        "".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3, 4)))) for _ in range(2 * NUM_WORDS)
    )
    return list(words)[:NUM_WORDS]
