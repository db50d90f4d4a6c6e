"""Two texts into three: pairs to learn from, and dev and test pairs that training never sees.

Knows: pairs, and which of them are drawn. Reads the texts twice and remembers the drawn pairs alone. Must not
know: how a command shows progress, how a run uses the files.
"""

from __future__ import annotations

import hashlib
import heapq
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from training.corpus import Pair, read_pairs, tidy
from training.data_config import ParallelText
from training.errors import CorpusError
from training.files import naming, new_file

NAMES = ("train", "dev", "test")

# Told the name of each pass; answers what is called after each pair.
Passes = Callable[[str], Callable[[], object]]


@dataclass(frozen=True)
class SplitReport:
    """How many pairs came into each file, and how many into none."""

    train: int
    dev: int
    test: int
    empty: int
    repeated: int  # share a side with a dev or test pair

    def describe(self) -> str:
        return (
            f"train {self.train:,} pairs, dev {self.dev:,}, test {self.test:,}; left out: "
            f"{self.empty:,} with an empty side, {self.repeated:,} that share a side with a dev or test pair"
        )


def split(
    source: Path, target: Path, folder: Path, dev: int, test: int, seed: int, on_pass: Passes
) -> SplitReport:
    """Write `folder`/train.tsv, dev.tsv and test.tsv from two texts of equally many lines.

    Which pairs are drawn depends on the seed and their sources alone, not on the order. White space inside a
    line becomes single spaces. Raises `CorpusError`, `OSError`; then none of the files is there.
    """
    _refuse_pipes(source, target)
    _refuse_present(folder)
    texts = ParallelText(source=str(source), target=str(target))
    drawn = draw(_counted(texts, on_pass("drawing")), dev + test, seed)
    held = {"dev": drawn[:dev], "test": drawn[dev:]}
    with naming(folder), _new_files(folder) as files:
        found = _write_others(files["train"], _counted(texts, on_pass("writing")), drawn)
        if len(drawn) < dev + test or not found.train:
            raise CorpusError(
                f"{source}: {len(drawn) + found.train:,} different sentences are too few for "
                f"{dev:,} dev and {test:,} test pairs and some to learn from"
            )
        for name, pairs in held.items():
            files[name].writelines(map(_line, pairs))
    return SplitReport(found.train, len(held["dev"]), len(held["test"]), found.empty, found.repeated)


def draw(pairs: Iterable[Pair], count: int, seed: int) -> list[Pair]:
    """`count` pairs of different sources by chance, in an order by chance; fewer where there are no more.

    Those with the smallest digests: whatever the order, and a pair that is added moves few others.
    """
    heap: list[tuple[int, Pair]] = []  # the largest digest, negated, on top
    inside: set[int] = set()
    for pair in pairs:
        digest = _digest(pair.source, seed)
        if digest in inside or not (pair.source and pair.target):
            continue
        if len(heap) < count:
            heapq.heappush(heap, (-digest, pair))
        elif count and digest < -heap[0][0]:
            inside.discard(-heapq.heapreplace(heap, (-digest, pair))[0])
        else:
            continue
        inside.add(digest)
    return [pair for _, pair in sorted(heap, key=lambda entry: -entry[0])]


def _digest(source: str, seed: int) -> int:
    """64 bits; the same for a sentence in capitals, which would give its translation away."""
    text = f"{seed}\t{source.casefold()}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _write_others(file: TextIO, pairs: Iterable[Pair], held: Iterable[Pair]) -> SplitReport:
    """Every pair with two sides of which neither is a held one's."""
    sides = [{pair[side].casefold() for pair in held} for side in (0, 1)]
    written = empty = repeated = 0
    for pair in pairs:
        if not (pair.source and pair.target):
            empty += 1
        elif any(text.casefold() in known for text, known in zip(pair, sides, strict=True)):
            repeated += 1
        else:
            file.write(_line(pair))
            written += 1
    return SplitReport(written, 0, 0, empty, repeated - len(sides[0]))


def _counted(texts: ParallelText, on_pair: Callable[[], object]) -> Iterator[Pair]:
    for pair in read_pairs(texts, Path()):
        on_pair()
        yield Pair(tidy(pair.source), tidy(pair.target))


def _line(pair: Pair) -> str:
    return f"{pair.source}\t{pair.target}\n"


def _refuse_pipes(*texts: Path) -> None:
    for text in texts:
        if text.exists() and not (text.is_file() or text.is_dir()):
            raise CorpusError(
                f"{text}: must be a file on a disk, not a pipe or device, for it is read twice; "
                "write the text to a file first"
            )


def _refuse_present(folder: Path) -> None:
    for name in NAMES:
        if (folder / f"{name}.tsv").exists():
            raise CorpusError(
                f"{folder / f'{name}.tsv'}: is there already; name another folder, or remove it"
            )


@contextmanager
def _new_files(folder: Path) -> Iterator[dict[str, TextIO]]:
    """All three by name: they take their names together, or none does."""
    with ExitStack() as stack:
        files = {name: stack.enter_context(_new_text(folder / f"{name}.tsv")) for name in NAMES}
        yield files
        for file in files.values():
            file.flush()  # a disk that is full shows before the first has its name


@contextmanager
def _new_text(path: Path) -> Iterator[TextIO]:
    with new_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            yield text
        finally:
            text.detach()  # written to the file, which is not closed yet
