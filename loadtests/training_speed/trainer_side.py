"""The Hugging Face Trainer's own loop over ready batches, with the network of M2M-100 in Verto's sizes.

Knows: its classes and settings. Must not know: Verto's network, other sides.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import Sampler, SequentialSampler
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from loadtests.training_speed.pace import Pace
from loadtests.training_speed.task import Task
from training.batching import Batch

IGNORED = -100  # its label of what is not to be learned
Item = Mapping[str, Tensor]


class InOrder(Trainer):
    """One ready batch after the other."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return SequentialSampler(cast(Sized, self.train_dataset))


class Paced(TrainerCallback):
    def __init__(self, tokens: Sequence[int], pace: Pace) -> None:
        self.tokens, self.pace = tokens, pace

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.pace.ready()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.pace.step_done(self.tokens[state.global_step - 1])


def main(folder: Path) -> None:
    task, pace = Task.load(folder), Pace()
    torch.set_num_threads(task.threads)
    torch.manual_seed(1)
    batches, pad_id = task.batches, task.network["pad_id"]
    trainer = InOrder(
        model=M2M100ForConditionalGeneration(network_settings(task.network)),
        args=training_settings(task, folder / "trainer", len(batches)),
        train_dataset=[item(batch, pad_id) for batch in batches],
        data_collator=lambda items: items[0],
        callbacks=[Paced([batch.num_target_tokens for batch in batches], pace)],
    )
    trainer.train()


def network_settings(network: Mapping[str, Any]) -> M2M100Config:
    """Pre-norm with final norms, sinusoidal positions and one table of tokens, as Verto's."""
    return M2M100Config(
        vocab_size=network["source_vocab_size"], d_model=network["d_model"],
        encoder_layers=network["num_encoder_layers"], decoder_layers=network["num_decoder_layers"],
        encoder_attention_heads=network["num_encoder_heads"],
        decoder_attention_heads=network["num_decoder_heads"],
        encoder_ffn_dim=network["encoder_ffn_dim"], decoder_ffn_dim=network["decoder_ffn_dim"],
        activation_function=network["activation"], dropout=network["dropout"],
        attention_dropout=network["attention_dropout"], activation_dropout=network["activation_dropout"],
        encoder_layerdrop=0.0, decoder_layerdrop=0.0, scale_embedding=True, use_cache=False,
        max_position_embeddings=network["max_source_length"], pad_token_id=network["pad_id"],
        eos_token_id=network["eos_id"], bos_token_id=network["decoder_start_id"],
        decoder_start_token_id=network["decoder_start_id"],
    )  # fmt: skip


def training_settings(task: Task, folder: Path, num_batches: int) -> TrainingArguments:
    config = task.config
    return TrainingArguments(
        output_dir=str(folder), max_steps=num_batches, per_device_train_batch_size=1, use_cpu=True,
        bf16=config.precision == "bfloat16", label_smoothing_factor=config.optimizer.label_smoothing,
        learning_rate=1e-4, adam_beta2=0.98, lr_scheduler_type="inverse_sqrt", warmup_steps=4000,
        max_grad_norm=config.optimizer.clip_norm, save_strategy="no", report_to=[], logging_steps=100,
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip


def item(batch: Batch, pad_id: int) -> Item:
    labels = batch.target_output.masked_fill(batch.target_output == pad_id, IGNORED)
    return {
        "input_ids": batch.source_ids, "attention_mask": batch.source_mask.long(),
        "decoder_input_ids": batch.target_input, "labels": labels,
    }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
