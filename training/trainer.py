"""The training loop: batch, loss, backward, clip, step, log, save, validate.

Knows: a model, encoded pairs, one optimiser, when to stop. Must not know: raw text files, bundles.
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn

from model.decoding.options import DecodingOptions
from training.batching import Batch, make_batch
from training.config import OptimizerConfig, TrainingConfig
from training.epoch_plan import plan_epoch
from training.errors import TrainingDiverged
from training.evaluation import Scores, mean_loss, score
from training.first_weights import load_first_weights
from training.loss import smoothed_cross_entropy
from training.monitor import Monitor
from training.networks import as_transformer, build_network, translate
from training.preparation import PreparedData
from training.schedule import learning_rate
from training.state import (
    STATE_FILE,
    Progress,
    drop_snapshots_after,
    load_state,
    save_snapshot,
    save_state,
)

LOG_INTERVAL_STEPS = 100
# An unfinished model may never say stop: so many target tokens a source token are enough to see that.
VALIDATION_LENGTH_RATIO = 3.0


class Trainer:
    """One run in one folder: `resume`, then `run`."""

    def __init__(
        self, config: TrainingConfig, data: PreparedData, run_folder: Path, monitor: Monitor
    ) -> None:
        self.config, self.data, self.folder, self.monitor = config, data, run_folder, monitor
        self.device = torch.device(config.device)
        torch.manual_seed(config.seed)
        self.model = build_network(config, data.network).to(self.device)
        self.optimizer = build_optimizer(config.optimizer, self.model)
        self.progress = Progress()
        self.stop_requested = False

    def resume(self) -> None:
        """Go on from the saved state, or from nothing. Raises `ResumeError`."""
        path = self.folder / STATE_FILE
        if path.exists():
            self.progress = load_state(path, self.model, self.optimizer, self._key())
            self.monitor.say(f"resumed at step {self.progress.step:,} (epoch {self.progress.epoch})")
        elif self.config.start_from is not None:
            load_first_weights(as_transformer(self.model), Path(self.config.start_from))
            self.monitor.say(f"first weights: those of {self.config.start_from}")
        drop_snapshots_after(self.snapshot_folder, self.progress.step)
        self.monitor.start_at(self.progress.step)

    @property
    def snapshot_folder(self) -> Path:
        return self.folder / "snapshots"

    # The loop -----------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Train until `max_steps` (True), or until `max_seconds` or a signal, with the state saved (False).

        Raises `TrainingDiverged`; the state that was saved last stays as it is.
        """
        window = _Window()
        with self._signals():
            for batch in self._batches():
                if self._should_stop():
                    break
                window.add(self._step(batch))
                window = self._after_step(window)
        self._save()
        return self.progress.step >= self.config.max_steps

    def _step(self, batch: Batch) -> _Step:
        """One update. Raises `TrainingDiverged` before the weights are touched."""
        started = time.perf_counter()
        settings = self.config.optimizer
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.progress.step + 1, settings, self.config.max_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self._check_finite(float(loss.detach()), float(norm.detach()))
        self.optimizer.step()
        seconds = time.perf_counter() - started
        done = _Step(float(loss.detach()), float(norm.detach()), batch.num_target_tokens, seconds)
        self._advance(done)
        return done

    def _advance(self, done: _Step) -> None:
        self.progress.step += 1
        self.progress.batch += 1
        self.progress.target_tokens += done.tokens
        self.progress.seconds += done.seconds

    def _loss(self, batch: Batch) -> Tensor:
        with self._precision():
            logits = self.model(batch.source_ids, batch.source_mask, batch.target_input)
        smoothing = self.config.optimizer.label_smoothing
        return smoothed_cross_entropy(logits, batch.target_output, self.data.network.pad_id, smoothing)

    def _check_finite(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        rate = self.config.optimizer.peak_learning_rate
        raise TrainingDiverged(
            f"step {self.progress.step + 1}: loss {loss}, gradient norm {norm}; the saved state is sound; "
            f"lower optimizer.peak_learning_rate (now {rate}) or raise warmup_steps, and resume"
        )

    def _batches(self) -> Iterator[Batch]:
        """Batches from the saved place in the data onwards, epoch after epoch."""
        settings, network, progress = self.config.batch, self.data.network, self.progress
        while True:
            plan = plan_epoch(
                self.data.train, settings.max_tokens, settings.pool_batches, self.config.seed, progress.epoch
            )
            for indices in plan[progress.batch :]:
                batch = make_batch(
                    self.data.train,
                    indices,
                    network.pad_id,
                    network.decoder_start_id,
                    epoch=progress.epoch,
                )
                yield batch.to(self.device)
            progress.epoch, progress.batch = progress.epoch + 1, 0

    def _should_stop(self) -> bool:
        limit = self.config.max_seconds
        out_of_time = limit is not None and self.progress.seconds >= limit
        return self.stop_requested or out_of_time or self.progress.step >= self.config.max_steps

    def _precision(self) -> AbstractContextManager[object]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    # Beside the loop ----------------------------------------------------------------------------------------

    def _after_step(self, window: _Window) -> _Window:
        """Log, save, validate where it is time to; the window that goes on."""
        step, last = self.progress.step, self.progress.step >= self.config.max_steps
        self.monitor.at(step, f"loss {window.loss / window.steps:.3f}")
        if step % LOG_INTERVAL_STEPS == 0 or last:
            window.report(self)
            window = _Window()
        if step % self.config.checkpoint.interval_steps == 0 or last:
            save_snapshot(self.snapshot_folder, step, self.model, self.config.checkpoint.keep)
            self._save()
        if step % self.config.validation.interval_steps == 0 or last:
            self.validate()
        return window

    def _save(self) -> None:
        save_state(self.folder / STATE_FILE, self.model, self.optimizer, self.progress, self._key())

    def _key(self) -> str:
        """What must not change within one run: network, seed, data, batches. Lengths and rates may."""
        fixed = self.config.model_dump(
            mode="json",
            include={"model", "seed", "data", "batch", "tokenizer", "baseline"},
            exclude_defaults=True,  # a setting that is new in Verto leaves older states usable
        )
        digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode())
        for content in self.data.tokenizer.files().values():
            digest.update(content)
        return digest.hexdigest()

    def validate(self) -> Scores:
        """Dev loss, BLEU and chrF, said and recorded. Draws no random number: the run goes on unchanged."""
        settings = self.config.validation
        pairs = self.data.dev_text.pairs[: settings.num_sentences]
        options = DecodingOptions(strategy=settings.strategy, max_length_ratio=VALIDATION_LENGTH_RATIO)
        with self._precision():
            loss = mean_loss(self.model, self.data.network, self.data.dev, self.config.batch.max_tokens)
        hypotheses = translate(self.model, self.data.tokenizer, [p.source for p in pairs], options)
        found = score(hypotheses, [pair.target for pair in pairs])
        step = self.progress.step
        self.monitor.record(step, dev_loss=loss, dev_bleu=found.bleu, dev_chrf=found.chrf)
        self.monitor.say(f"step {step:,}: dev loss {loss:.3f}, BLEU {found.bleu:.1f}, chrF {found.chrf:.1f}")
        return found

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """A first Ctrl-C or SIGTERM ends the run after the current step, with its state saved."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets only the main thread listen to signals
            return

        def stop(number: int, frame: FrameType | None) -> None:
            self.stop_requested = True
            signal.signal(number, signal.default_int_handler)  # a second one ends it at once
            self.monitor.say("stopping after this step; the same command resumes")

        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class _Step:
    """What one update was."""

    loss: float  # label-smoothed, nats per target token
    norm: float  # of the gradient, before clipping
    tokens: int  # target tokens
    seconds: float


@dataclass
class _Window:
    """Sums over the steps since the last report."""

    loss: float = 0.0
    norm: float = 0.0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, step: _Step) -> None:
        self.loss += step.loss
        self.norm += step.norm
        self.steps += 1
        self.tokens += step.tokens
        self.seconds += step.seconds

    def report(self, trainer: Trainer) -> None:
        """Record and say the means."""
        loss, norm, speed = self.loss / self.steps, self.norm / self.steps, self.tokens / self.seconds
        progress = trainer.progress
        rate = trainer.optimizer.param_groups[0]["lr"]
        trainer.monitor.record(
            progress.step, loss=loss, gradient_norm=norm, learning_rate=rate, tokens_per_second=speed,
            target_tokens=progress.target_tokens, seconds=progress.seconds,
        )  # fmt: skip
        trainer.monitor.say(
            f"step {progress.step:,} epoch {progress.epoch}: loss {loss:.3f}, gradient {norm:.2f}, "
            f"rate {rate:.2e}, {speed:,.0f} target tokens/s"
        )


def build_optimizer(settings: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Adam with the paper's betas and epsilon by default (section 5.3)."""
    return torch.optim.Adam(
        model.parameters(),
        lr=settings.peak_learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,
    )
