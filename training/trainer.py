"""The training loop: batches, update, log, save, look at the dev text, until it is time to stop.

Knows: the order of these, and where a run's files lie. Must not know: how an update is made, text, bundles.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import torch
from torch import nn

from training.config import TrainingConfig, load_recipe
from training.distributed import World
from training.ema import MovingAverage
from training.errors import OtherRunError, RecipeError, ResumeError
from training.first_weights import load_first_weights
from training.monitor import Monitor
from training.networks import as_transformer, build_network
from training.preparation import PreparedData
from training.run_key import other_setting, run_key
from training.snapshots import (
    drop_snapshots_after,
    keep_snapshots,
    save_snapshot,
    snapshot_paths,
    snapshots_of,
)
from training.state import STATE_FILE, Progress, load_state, save_state
from training.stopping import StopWish
from training.stream import BatchStream, Place, Upcoming
from training.update import Learner
from training.validation import Look, compare_by, look, other_dev_text, remember, waited_enough
from training.window import Window

LOG_INTERVAL_STEPS = 100
RECIPE_FILE = "config.yaml"  # of the run whose state lies beside it


class Trainer:
    """One run in one folder: `resume`, then `run`. Of several processes only the first writes in the folder.

    Raises `RecipeError` when the processes cannot share the steps evenly.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: PreparedData,
        run_folder: Path,
        monitor: Monitor,
        world: World | None = None,
    ) -> None:
        self.config, self.data, self.folder, self.monitor = config, data, run_folder, monitor
        self.world = world = world or World()
        world.check_even(config.batch.batches_per_update)
        torch.manual_seed(config.seed)
        network = build_network(config, data.network)
        self.learner = Learner(config, network, data.network.pad_id, world.device(config.device), world)
        decay = config.checkpoint.ema_decay
        self.average = MovingAverage(self.model, decay) if decay and world.is_main else None
        self.stream = BatchStream(config, data, world)
        self.progress = Progress()
        self.stop_wish = StopWish(world.size > 1, self._say_stopping)

    @property
    def model(self) -> nn.Module:
        """The network with the weights of the last step."""
        return self.learner.network

    def resume(self) -> None:
        """Go on from the saved state, or from nothing. Raises `ResumeError`."""
        path = self.folder / STATE_FILE
        if path.exists():
            self.progress = self._loaded(path)
            self._check_dev_text()
            self.monitor.say(f"resumed at step {self.progress.step:,} (epoch {self.progress.epoch})")
        else:
            self._begin()
        self.progress.dev_sha256 = dict(self.data.dev_sha256)
        if change := compare_by(self.progress, self.config.validation):
            self.monitor.say(change)
        self.world.wait()  # until all have read what the first process changes from here on
        if self.world.is_main:
            self._forget_what_is_ahead()

    def _loaded(self, path: Path) -> Progress:
        """A state of a run with other settings is refused with the setting, where its recipe tells it."""
        optimizer, beginning = self.learner.optimizer, self.config.start_from
        try:
            return load_state(path, self.model, optimizer, self._key(), self.average, beginning)
        except OtherRunError:
            with suppress(RecipeError):  # it may be gone, or of another version of Verto
                if change := other_setting(load_recipe(self.folder / RECIPE_FILE), self.config):
                    advice = "put back what it was, or use another run folder"
                    raise ResumeError(f"{self.folder}: {change}; {advice}") from None
            raise

    def _check_dev_text(self) -> None:
        """Looks at one dev text are no better or worse than looks at another."""
        if change := other_dev_text(self.progress, self.data.dev_sha256):
            raise ResumeError(
                f"{self.folder}: the saved run cannot go on with another dev text ({change}); put back what "
                "it was, or use another run folder"
            )

    def _begin(self) -> None:
        """First weights that are a bundle's, where the recipe says so."""
        if self.config.start_from is not None:
            load_first_weights(as_transformer(self.model), self.data.tokenizer, Path(self.config.start_from))
            self.monitor.say(f"first weights: those of {self.config.start_from}")
        if self.average is not None:
            self.average.restart()

    def _forget_what_is_ahead(self) -> None:
        """What came after the saved state is made again."""
        folder, progress = self.snapshot_folder, self.progress
        drop_snapshots_after(folder, progress.step)
        if self.config.checkpoint.choose == "best":
            paths = snapshots_of(folder, [step for _, step in progress.best_steps])
            both = zip(progress.best_steps, paths, strict=True)
            progress.best_steps = [one for one, path in both if path.exists()]
        self.monitor.start_at(progress.step)

    # The loop -----------------------------------------------------------------------------------------------

    def run(self, leg_ends: float = math.inf) -> bool:
        """Train to the end (True), or until time is up or a signal comes, with the state saved (False).

        The end is `max_steps`, or `validation.patience` looks without a better one. Time is up with
        `max_seconds` of steps, or at `leg_ends` (a time of `time.monotonic`). Raises `TrainingDiverged`; the
        state that was saved last stays as it is.
        """
        window = Window()
        with self.stop_wish.heard():
            shares = Upcoming(self.stream.shares(Place(self.progress.epoch, self.progress.batch)))
            while not self._should_stop(leg_ends):
                self._step(shares, window)
                if self.world.is_main:
                    window = self._after_step(window)
            self._save()
            self.world.wait()  # or another one, which hears no wish any more, would end before it is saved
        # Who asked during the last step, or while it was saved, does not want what follows either.
        was_asked = self.world.total(int(self.stop_wish.asked)) > 0
        return self.world.from_main(self.finished) and not was_asked

    @property
    def finished(self) -> bool:
        """Whether there is no further step to make."""
        done = self.progress.step >= self.config.max_steps
        return done or waited_enough(self.progress, self.config.validation)

    def _should_stop(self, leg_ends: float) -> bool:
        """Whether any process wants to: all stop at the same step."""
        limit = self.config.max_seconds
        out_of_time = limit is not None and self.progress.seconds >= limit
        out_of_time = out_of_time or time.monotonic() >= leg_ends
        return self.world.total(int(self.stop_wish.asked or out_of_time or self.finished)) > 0

    def _step(self, shares: Upcoming, window: Window) -> None:
        """One update, and the batches of the next one while a GPU computes this one."""
        started, progress = time.perf_counter(), self.progress
        share = shares.take()
        update = self.learner.update(progress.step + 1, share, shares.make)
        progress.step += 1
        progress.epoch, progress.batch = share.then.epoch, share.then.number
        progress.target_tokens += update.tokens
        if self.average is not None:
            self.average.update(progress.step)
        seconds = time.perf_counter() - started
        progress.seconds += seconds
        window.add(update, seconds)

    # Beside the loop ----------------------------------------------------------------------------------------

    def _after_step(self, window: Window) -> Window:
        """Log, look, save where it is time to; the window that goes on."""
        step, last = self.progress.step, self.progress.step >= self.config.max_steps
        self.monitor.at(step, f"loss {window.mean_loss:.3f}")
        if step % LOG_INTERVAL_STEPS == 0 or last:
            self._log(window)
            window = Window()
        if step % self.config.validation.interval_steps == 0 or last:
            self.validate()
        if step % self.config.checkpoint.interval_steps == 0 or self.finished:
            self._checkpoint()
        return window

    def _log(self, window: Window) -> None:
        progress = self.progress
        self.monitor.record(
            progress.step,
            **window.numbers(),
            target_tokens=progress.target_tokens,
            seconds=progress.seconds,
        )
        self.monitor.say(f"step {progress.step:,} epoch {progress.epoch}: {window.line()}")

    def validate(self) -> Look:
        """A look at the dev text, said, recorded and remembered. The run goes on unchanged."""
        step, keeps = self.progress.step, self.config.checkpoint
        with self._judged_weights():
            seen = look(self.model, self.data, self.config, self.learner.precision())
            if remember(self.progress, seen.value(self.config.validation), keeps):
                save_snapshot(self.snapshot_folder, step, self.model)
        self.monitor.record(step, **seen.numbers())
        self.monitor.say(f"step {step:,}: {seen.line()}")
        if waited_enough(self.progress, self.config.validation):
            looks, metric = self.progress.looks_since_best, self.config.validation.metric
            self.monitor.say(f"no better {metric} in {looks} looks: the run ends here")
        return seen

    def _judged_weights(self) -> AbstractContextManager[None]:
        """The model holds the weights that are looked at and kept."""
        return nullcontext() if self.average is None else self.average.in_place()

    def _checkpoint(self) -> None:
        """Save; a snapshot goes only when the state no longer needs it."""
        keeps = self.config.checkpoint
        if keeps.choose == "last":
            with self._judged_weights():
                save_snapshot(self.snapshot_folder, self.progress.step, self.model)
        self._save()
        keep_snapshots(self.snapshot_folder, self.kept_snapshots()[: keeps.keep])

    def kept_snapshots(self) -> list[Path]:
        """The recipe's choice first: the best one or the newest one.

        Where no look counts (yet), those that are there are better than none.
        """
        if self.config.checkpoint.choose == "best" and self.progress.best_steps:
            return snapshots_of(self.snapshot_folder, [step for _, step in self.progress.best_steps])
        return snapshot_paths(self.snapshot_folder)[::-1]

    @property
    def snapshot_folder(self) -> Path:
        return self.folder / "snapshots"

    def _save(self) -> None:
        if self.world.is_main:
            save_state(
                self.folder / STATE_FILE,
                self.model,
                self.learner.optimizer,
                self.progress,
                self._key(),
                self.average,
                self.config.start_from,
            )

    def _key(self) -> str:
        return run_key(self.config, self.data.tokenizer.files())

    def _say_stopping(self) -> None:
        self.monitor.say("stopping after this step; the same command resumes")
