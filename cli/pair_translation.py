"""Lines into pairs with their translations, part by part, through Verto's own batch engine.

Knows lines, the window, parts of an output, and which translations are no use. Must not know options.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.line_feed import Line
from cli.line_files import LineFile, LineFileError
from cli.line_progress import LineProgress
from cli.pair_parts import PairParts

if TYPE_CHECKING:
    from cli.line_translation import Ready, TextTranslator
    from cli.line_window import WindowSize
    from service.answer_schemas import TranslationAnswer

PART_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an input: where it stands, the text to translate, and its reference if it has one."""

    line: Line
    reference: str | None


@dataclass
class PairCounts:
    """Pairs that were made, and lines that gave none."""

    made: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.dropped.items()))
        return f"{self.made:,} pairs" + (f" (left out: {reasons})" if reasons else "")


Write = Callable[[Entry, str], str]
Choose = Callable[["TranslationAnswer", Entry], str]


def entries(inputs: Sequence[LineFile], column: int | None, reference: int | None) -> Iterator[Entry]:
    """Every line that has text. `column` None: the whole line. Raises LineFileError for a missing column."""
    for index, one in enumerate(inputs):
        for number, raw in enumerate(one.unmarked_lines(), 1):
            cells = [raw] if column is None else raw.split("\t")
            if max(column or 0, reference or 0) >= len(cells):
                wanted = f"column {max(column or 0, reference or 0)} (counted from 0) is asked for"
                raise LineFileError(one.name, f"line {number} has {len(cells)} columns, {wanted}")
            text = " ".join(cells[column or 0].split())
            if text:
                yield Entry(Line(index, number, text), None if reference is None else cells[reference])


def check_columns(inputs: Sequence[LineFile], column: int | None, reference: int | None) -> None:
    """Raises LineFileError for a line that lacks a column: hours of work shall not end at such a line."""
    if column is not None:
        for _ in entries(inputs, column, reference):
            pass


class PairMaker:
    """Translates entries and writes what `write` makes of an entry and its translation."""

    def __init__(
        self,
        translator: "TextTranslator",
        size: "WindowSize",
        names: Sequence[str],
        progress: LineProgress,
        choose: Choose,
        write: Write,
    ) -> None:
        self._translator, self._size, self._names = translator, size, names
        self._progress, self._choose, self._write = progress, choose, write
        self.counts = PairCounts()

    def run(self, wanted: Iterable[Entry], parts: PairParts, part_lines: int = PART_LINES) -> None:
        """All entries; those of parts that are there already are passed over."""
        remaining = iter(wanted)
        for number in itertools.count():
            chunk = list(itertools.islice(remaining, part_lines))
            if not chunk:
                return parts.finish(number)
            if number in parts:
                self._count_done(len(chunk), sum(1 for _ in parts.read(number)))
                self._progress.advance(len(chunk), 0, 0)
            else:
                self._make(chunk, parts, number)

    def _count_done(self, lines: int, pairs: int) -> None:
        """Of a part that was there, as the file tells it: not why lines gave no pair."""
        self.counts.made += pairs
        if lines > pairs:
            self.counts.dropped["in parts done before"] += lines - pairs

    def _make(self, chunk: Sequence[Entry], parts: PairParts, number: int) -> None:
        from cli.line_translation import tally, translate_lines

        of_line = {entry.line: entry for entry in chunk}
        with parts.open(number) as part:

            def take(ready: "Ready") -> None:
                for line, translated in ready:
                    pair = self._pair(of_line[line], translated.answer)
                    if pair is not None:
                        part.write(pair)
                self._progress.advance(*tally(ready))

            translate_lines(list(of_line), self._names, self._translator, take, self._size)
            part.commit()

    def _pair(self, entry: Entry, answer: "TranslationAnswer") -> str | None:
        """None for a translation that nothing can be learned from."""
        text = " ".join(self._choose(answer, entry).split())
        fault = "cut at a length limit" if answer.finish_reason == "length" else None if text else "empty"
        if fault is not None:
            self.counts.dropped[fault] += 1
            return None
        self.counts.made += 1
        return self._write(entry, text)
