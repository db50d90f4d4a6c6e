"""How far a command has come: a moving bar on standard error, and one line for the end.

Knows counts, time and the terminal; must not know what is being done to the lines.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class LineProgress:
    """Counts lines and target tokens inside a `with` block, which is also what `seconds` measures.

    `total` lines are expected, None: nobody knows. `bar` draws one on standard error while the block runs,
    with `label` before it.
    """

    def __init__(self, total: int | None, *, bar: bool, label: str = "") -> None:
        self.lines = self.target_tokens = self.cut_lines = 0
        self.seconds = 0.0
        self._started = time.monotonic()
        self._bar: Progress | None = _bar() if bar else None
        self._label = f"{label}: " if label else ""
        self._of_total = "" if total is None else f" of {total:,}"
        self._task = TaskID(0)
        if self._bar is not None:
            self._task = self._bar.add_task(self._count(), total=total, rates="")

    def advance(self, lines: int, target_tokens: int, cut_lines: int) -> None:
        """So many more lines are done, `cut_lines` of them cut short by a length limit."""
        self.lines += lines
        self.target_tokens += target_tokens
        self.cut_lines += cut_lines
        self.seconds = time.monotonic() - self._started
        if self._bar is not None:
            description, rates = self._count(), self._rates()
            self._bar.update(self._task, completed=self.lines, description=description, rates=rates)

    def summary(self) -> str:
        """`1,000 lines in 12.3 s: 81.3 lines/s, 660 tokens/s`, and what the reader should look at."""
        text = f"{self.lines:,} {'line' if self.lines == 1 else 'lines'} in {self.seconds:.1f} s"
        if self.lines:
            text += f": {self._rates()}"
        if self.cut_lines:
            text += f"; {self.cut_lines:,} cut at a length limit"
        return text

    @property
    def lines_per_second(self) -> float:
        return self.lines / max(self.seconds, 1e-9)

    @property
    def tokens_per_second(self) -> float:
        return self.target_tokens / max(self.seconds, 1e-9)

    def _count(self) -> str:
        return f"{self._label}{self.lines:,}{self._of_total} lines"

    def _rates(self) -> str:
        return f"{self.lines_per_second:,.1f} lines/s, {self.tokens_per_second:,.0f} tokens/s"

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._started
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[rates]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,  # the summary takes its place
    )
