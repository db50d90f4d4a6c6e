"""Memory against corpus size: preparing training data, planning an epoch, making batches.

`python -m loadtests.data_memory --folder CORPORA`. Knows: `training`, made-up pairs, a process's memory as
Linux tells it. Must not know: networks, HTTP.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from loadtests.machine import machine_facts
from loadtests.report import RESULTS, Figures, Report, publish
from training.batching import EncodedCorpus, make_batch
from training.cleaning import Cleaner
from training.config import TrainingConfig, check_recipe
from training.corpus import read_pairs
from training.encoding import encode_pairs
from training.epoch_plan import plan_epoch
from training.monitor import Monitor
from training.training_pairs import training_pairs

Way = Literal["mapped files", "lists"]
SIZES = (50_000, 500_000, 5_000_000)
MOST_IN_LISTS = 500_000  # ten times as many would take most of a small machine
SAMPLE_SECONDS = 0.02
MEGABYTE = 1e6
BATCHES = 300
WORDS, BLOCK = 20_000, 10_000
VOCABULARY = 4000


@dataclass
class Measured:
    """One corpus, prepared one way in a process of its own. Memory is anonymous memory in MB."""

    way: Way
    pairs: int
    at_start: float
    peaks: dict[str, float] = field(default_factory=dict)  # of each phase, above the start
    seconds: dict[str, float] = field(default_factory=dict)  # of processor time
    folder_bytes: int = 0

    @property
    def peak(self) -> float:
        return max(self.peaks.values())


def write_corpus(path: Path, count: int) -> None:
    """`count` pairs of made-up words, frequent and rare ones as in a language, the target backwards."""
    if path.exists():
        return
    random = np.random.default_rng(count)
    syllables = [first + second for first in "bdfghklmnprstvz" for second in "aeiou"]
    words = np.array(["".join(random.choice(syllables, size=1 + i % 4)) for i in range(WORDS)])
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        for start in range(0, count, BLOCK):
            lengths = random.integers(3, 9, size=min(BLOCK, count - start))
            chosen = words[(WORDS ** random.random(int(lengths.sum()))).astype(np.int64) - 1].tolist()
            for sentence in _cut(chosen, lengths.tolist()):
                file.write(f"{' '.join(sentence)}\t{' '.join(reversed(sentence))}\n")
    temporary.rename(path)


def _cut(words: list[str], lengths: list[int]) -> Iterator[list[str]]:
    start = 0
    for length in lengths:
        yield words[start : start + length]
        start += length


class PeakMemory(Monitor):
    """Watches the process while phases go by, as a run's monitor is told of them.

    Anonymous memory is what the process itself needs. Pages of mapped files are left out: the system drops
    them whenever something else wants the memory.
    """

    def __init__(self, measured: Measured) -> None:
        super().__init__(Path(), 0)
        self._measured, self._ended = measured, threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._began = time.process_time()
        self.phase = "reading"

    def say(self, line: str) -> None:
        if line.startswith("training a"):
            self.enter("tokenizer")

    @contextmanager
    def counting(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        self.enter(label)
        yield lambda count: None

    def enter(self, phase: str) -> None:
        """What comes now is counted there."""
        now = time.process_time()
        spent = self._measured.seconds
        spent[self.phase] = spent.get(self.phase, 0.0) + now - self._began
        self.phase, self._began = phase, now

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.look()

    def look(self) -> None:
        above = anonymous_megabytes() - self._measured.at_start
        self._measured.peaks[self.phase] = max(above, self._measured.peaks.get(self.phase, 0.0))

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._watcher.start()
        try:
            yield
        finally:
            self.look()
            self.enter("end")
            self._ended.set()
            self._watcher.join()


def anonymous_megabytes() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 / MEGABYTE for line in lines if line.startswith("RssAnon"))


def measure(way: Way, path: Path, run_folder: Path, pairs: int) -> Measured:
    """Prepare the corpus, plan an epoch and make some batches of it. Meant for a new process."""
    config = recipe(path)
    measured = Measured(way, pairs, anonymous_megabytes())
    monitor = PeakMemory(measured)
    with monitor.watching():
        made = _mapped if way == "mapped files" else _in_lists
        corpus = made(config, path.parent, run_folder, monitor)
        monitor.enter("epoch plan")
        plan = plan_epoch(corpus, config.batch.max_tokens, config.batch.pool_batches, config.seed, epoch=0)
        monitor.look()
        monitor.enter("batches")
        for indices in plan[:BATCHES]:
            make_batch(corpus, indices, pad_id=0, decoder_start_id=2)
    measured.folder_bytes = sum(one.stat().st_size for one in (run_folder / "prepared").glob("*"))
    return measured


def recipe(path: Path) -> TrainingConfig:
    data = {"train": [{"tsv": path.name}], "dev": [{"tsv": path.name}]}
    tokenizer = {"kind": "bpe", "vocab_size": VOCABULARY}
    return check_recipe(
        {"name": "memory", "directions": [["en", "de"]], "data": data, "tokenizer": tokenizer}
    )


def _mapped(config: TrainingConfig, data_folder: Path, run_folder: Path, monitor: Monitor) -> EncodedCorpus:
    return training_pairs(config, data_folder, run_folder, monitor)[1]


def _in_lists(
    config: TrainingConfig, data_folder: Path, run_folder: Path, monitor: PeakMemory
) -> EncodedCorpus:
    """As it was until 2026-11-27: all pairs as objects, then all ids. The tokenizer is the other way's."""
    from training.run_tokenizer import load_tokenizer

    monitor.enter("cleaning")
    cleaner = Cleaner(config.data, ("en", "de"), run_folder)
    pairs = list(cleaner.clean(read_pairs(config.data.train[0], data_folder)))
    monitor.enter("encoding")
    return encode_pairs(load_tokenizer(run_folder), pairs, config.data.max_tokens)


def measured_alone(way: Way, path: Path, run_folder: Path, pairs: int) -> Measured:
    """In a process that has nothing else in memory; or what an earlier start found."""
    found = run_folder / f"{way}.json"
    if not found.exists():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            measured = pool.submit(measure, way, path, run_folder, pairs).result()
        found.write_text(json.dumps(asdict(measured)), encoding="utf-8")
    return Measured(**json.loads(found.read_text(encoding="utf-8")))


def figures(found: list[Measured]) -> Figures:
    phases = ("cleaning", "tokenizer", "encoding", "epoch plan", "batches")
    rows = [
        [
            one.way, f"{one.pairs:,}", *(_told(one.peaks.get(phase)) for phase in phases), f"{one.peak:,.0f}",
            f"{one.peak * MEGABYTE / one.pairs:,.0f}", f"{one.folder_bytes / MEGABYTE:,.0f}",
            f"{sum(one.seconds.values()):,.0f}",
        ]
        for one in found
    ]  # fmt: skip
    columns = ["kept in", "pairs", *(f"{phase}, MB" for phase in phases), "peak, MB", "peak, bytes a pair"]
    return Figures("Memory above the start", [*columns, "folder, MB", "processor, s"], rows)


def _told(megabytes: float | None) -> str:
    return "-" if megabytes is None else f"{megabytes:,.0f}"


def picture(found: list[Measured]) -> bytes:
    """Peak memory over pairs, a line for each way."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for way, colour in (("lists", "#cc6677"), ("mapped files", "#4477aa")):
        ours = sorted((one.pairs, one.peak) for one in found if one.way == way)
        axis.plot(*zip(*ours, strict=True), marker="o", label=way, color=colour)
    axis.set(xscale="log", yscale="log", xlabel="pairs", ylabel="peak memory above the start, MB")
    axis.set(title="Preparing a corpus, planning an epoch, making batches")
    axis.grid(visible=True, which="major", alpha=0.3)
    axis.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def main(
    folder: Annotated[Path, typer.Option(help="For corpora and runs, a few GB; both stay there.")],
    pairs: Annotated[list[int] | None, typer.Option(help="Sizes of corpora; may be given often.")] = None,
    most_in_lists: Annotated[int, typer.Option(help="Largest corpus that is held in lists.")] = MOST_IN_LISTS,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Prepare corpora of several sizes and report the peak memory of each step."""
    found = list[Measured]()
    folder.mkdir(parents=True, exist_ok=True)
    for count in pairs or SIZES:
        path, run_folder = folder / f"{count}.tsv", folder / f"run-{count}"
        write_corpus(path, count)
        found.append(measured_alone("mapped files", path, run_folder, count))
        if count <= most_in_lists:
            found.append(measured_alone("lists", path, run_folder, count))
    notes = [
        "Anonymous memory of the process above what it holds after its imports; pages of mapped files, which "
        "the system may drop at any time, are not counted. `lists` is how it was done before 2026-11-28."
    ]
    name, title = "data-memory", "Memory of training data"
    lines = [asdict(one) | {"peak": one.peak} for one in found]
    pictures = {f"{name}.png": picture(found)}
    publish(
        Report(name, title, machine_facts(), [figures(found)], {"measured": lines}, notes, pictures), results
    )


if __name__ == "__main__":
    typer.run(main)
