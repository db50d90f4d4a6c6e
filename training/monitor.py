"""What people see of a run: a progress bar, lines in a log, TensorBoard, and `metrics.jsonl` for the curves.

Knows: numbers with names and a step. Must not know: where they come from.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch.utils.tensorboard import SummaryWriter

from training.files import write_atomically

Metrics = dict[str, float]


class Monitor:
    """Use as a context manager around a run. Everything goes to standard error and into `folder`.

    On a terminal there is a bar; elsewhere only the lines of `say`.
    """

    def __init__(self, folder: Path, max_steps: int) -> None:
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._folder, self._max_steps = folder, max_steps
        self._steps: TaskID | None = None
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Monitor:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    def start_at(self, step: int) -> None:
        """The next step is `step` + 1; what was recorded after `step` is forgotten, since it comes again."""
        kept = [line for line in read_metrics(self._folder) if line["step"] <= step]
        content = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(_metrics_path(self._folder), content.encode())
        events = self._folder / "tensorboard"
        _wait_for_a_second_of_its_own(events)
        self._writer = SummaryWriter(str(events), purge_step=step + 1)
        self._steps = self._bar.add_task("training", total=self._max_steps, completed=step)

    def say(self, line: str) -> None:
        """A dated line above the bar."""
        self._console.print(f"{time.strftime('%H:%M:%S')} {line}", soft_wrap=True)

    def at(self, step: int, note: str) -> None:
        """Move the bar."""
        if self._steps is not None:
            self._bar.update(self._steps, completed=step, description=note)

    @contextmanager
    def counting(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A second bar for a while; what it yields is told how many more are done. None: of unknown many."""
        task = self._bar.add_task(label, total=total)
        yield lambda count: self._bar.advance(task, count)
        self._bar.remove_task(task)

    def record(self, step: int, **values: float) -> None:
        """Keep named numbers of a step, for the curves."""
        with _metrics_path(self._folder).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)


class Silence(Monitor):
    """For processes that only compute: nothing is shown, nothing is written."""

    def __init__(self) -> None:
        super().__init__(Path(), 0)

    def __enter__(self) -> Silence:
        return self

    def start_at(self, step: int) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def record(self, step: int, **values: float) -> None:
        pass


def read_metrics(folder: Path) -> list[Metrics]:
    """What `record` kept, one mapping a step, in order of steps; of a number recorded twice, the later."""
    path = _metrics_path(folder)
    merged: dict[int, Metrics] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        values = _parsed(line)
        merged.setdefault(int(values.get("step", -1)), {}).update(values)
    merged.pop(-1, None)
    return [merged[step] for step in sorted(merged)]


def _parsed(line: str) -> Metrics:
    """A record; nothing for a line that a crash cut off, or that is none."""
    try:
        values: Metrics = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return values if isinstance(values, dict) and isinstance(values.get("step"), int) else {}


def _wait_for_a_second_of_its_own(events: Path) -> None:
    """TensorBoard reads files in the order of their names, which tell it only to the second."""
    begun = {path.name.split(".")[3] for path in events.glob("events.out.tfevents.*")}
    while f"{int(time.time()):010d}" in begun:
        time.sleep(1 - time.time() % 1)


def _metrics_path(folder: Path) -> Path:
    return folder / "metrics.jsonl"
