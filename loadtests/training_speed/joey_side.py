"""Joey NMT's model and its own loop (`TrainManager.train_and_validate`) over ready batches.

Knows: its classes, how its vocabulary numbers special tokens. Must not know: Verto's network, other sides.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from joeynmt.batch import Batch as JoeyBatch  # type: ignore[import-not-found]
from joeynmt.config import parse_train_args  # type: ignore[import-not-found]
from joeynmt.model import build_model  # type: ignore[import-not-found]
from joeynmt.training import TrainManager  # type: ignore[import-not-found]
from joeynmt.vocabulary import Vocabulary  # type: ignore[import-not-found]
from torch import Tensor

from loadtests.training_speed.pace import Pace
from loadtests.training_speed.task import Task, renumbering
from training.batching import Batch

UNKNOWN, PAD, START, END = range(4)  # its own numbers
CPU = torch.device("cpu")


class PacedBatches:
    """Stands where its loop expects a data set and its loader: every batch is made before time runs."""

    def __init__(self, batches: Sequence[JoeyBatch], pace: Pace) -> None:
        self.batches, self.pace, self.seed = batches, pace, 0
        self.batch_sampler = self

    def make_iter(self, **settings: Any) -> PacedBatches:
        return self

    def set_seed(self, seed: int) -> None:
        pass

    def __iter__(self) -> Iterator[JoeyBatch]:
        """The step of a batch is done when the next one is asked for."""
        self.pace.ready()
        for batch in self.batches:
            yield batch
            self.pace.step_done(batch.ntokens)


def main(folder: Path) -> None:
    task, pace = Task.load(folder), Pace()
    torch.set_num_threads(task.threads)
    torch.manual_seed(1)
    network = task.network
    vocabulary = _vocabulary(network["source_vocab_size"])
    model = build_model(model_settings(network), vocabulary, vocabulary)
    model.loss_function = ("crossentropy", task.config.optimizer.label_smoothing)
    half = task.config.precision == "bfloat16"  # its own settings know float16 alone, and that on a GPU
    manager = TrainManager(
        rank=0, model=model, model_dir=folder, device=CPU, train_args=parse_train_args(training_settings()),
        autocast={"device_type": "cpu", "enabled": half, "dtype": torch.bfloat16},
    )  # fmt: skip
    numbers = renumbering(network, pad=PAD, start=START, end=END)
    data = PacedBatches([joey_batch(batch, numbers, network) for batch in task.batches], pace)
    manager.train_and_validate(data, data)


def _vocabulary(size: int) -> Vocabulary:
    symbols = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None, lang_tags=[],
        unk_id=UNKNOWN, pad_id=PAD, bos_id=START, eos_id=END, sep_id=None,
    )  # fmt: skip
    return Vocabulary([f"piece{i}" for i in range(size - 4)], symbols)


def model_settings(network: Mapping[str, Any]) -> dict[str, Any]:
    """The section `model` of its configuration. It has one share of dropout for all places."""

    def side(name: str) -> dict[str, Any]:
        return {
            "type": "transformer", "num_layers": network[f"num_{name}_layers"],
            "num_heads": network[f"num_{name}_heads"], "hidden_size": network["d_model"],
            "ff_size": network[f"{name}_ffn_dim"], "dropout": network["dropout"],
            "embeddings": {"embedding_dim": network["d_model"], "scale": True}, "layer_norm": network["norm"],
            "activation": network["activation"],
        }  # fmt: skip

    return {
        "initializer": "xavier_uniform", "bias_initializer": "zeros", "embed_initializer": "xavier_uniform",
        "tied_embeddings": True, "tied_softmax": True, "encoder": side("encoder"), "decoder": side("decoder"),
    }  # fmt: skip


def training_settings() -> dict[str, Any]:
    """The section `training`: nothing but steps, as often as they are asked for."""
    return {
        "normalization": "tokens", "optimizer": "adam", "adam_betas": [0.9, 0.98], "learning_rate": 1e-4,
        "scheduling": "warmupinversesquareroot", "learning_rate_warmup": 4000, "clip_grad_norm": 1.0,
        "batch_type": "token", "batch_size": 1, "epochs": 1, "logging_freq": 100,
        "validation_freq": 1_000_000,
    }  # fmt: skip


def joey_batch(batch: Batch, numbers: Tensor, network: Mapping[str, Any]) -> JoeyBatch:
    source = numbers[batch.source_ids]
    target = torch.cat((numbers[batch.target_input[:, :1]], numbers[batch.target_output]), 1)
    return JoeyBatch(
        src=source, src_length=batch.source_mask.sum(1), src_prompt_mask=None, trg=target,
        trg_prompt_mask=None, indices=torch.arange(len(source)), device=CPU, pad_index=PAD, eos_index=END,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
