"""Verto's own loop, from its plan of batches to its step. Knows: the trainer. Must not know: peers."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from loadtests.training_speed.pace import Pace
from loadtests.training_speed.task import Task
from training.host_memory import keep_freed_memory
from training.monitor import Monitor
from training.preparation import prepare
from training.state import Progress
from training.trainer import Trainer


class PacedMonitor(Monitor):
    """Does what a run's monitor does, and tells the pace of each step."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        super().__init__(folder, 0)
        self.pace = pace
        self.progress = Progress()
        self.tokens = 0

    def at(self, step: int, note: str) -> None:
        super().at(step, note)
        before, self.tokens = self.tokens, self.progress.target_tokens
        self.pace.step_done(self.tokens - before)


def main(folder: Path) -> None:
    """As `training.run.train` does, on the pairs that the batches were made of."""
    task, pace = Task.load(folder), Pace()
    torch.set_num_threads(task.threads)
    keep_freed_memory()
    monitor = PacedMonitor(task.run_folder, pace)
    data = prepare(task.config, folder, task.run_folder, monitor)
    trainer = Trainer(task.config, data, task.run_folder, monitor)
    trainer.resume()
    monitor.progress = trainer.progress
    pace.ready()
    trainer.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
