"""The files of an evaluation: test sets that are read, translations and a report that are written.

Knows which options fit each other; must not know models or scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.line_files import LineFile
from cli.line_places import choose_places
from cli.output_files import WholeFile, made
from cli.test_set import labelled, read_parallel, read_references, read_tsv

if TYPE_CHECKING:
    from training.test_set import TestSet

_Parallel = tuple[LineFile | None, list[LineFile]]
_NEEDED = "give --test, or --source-file and --reference-file, or several of them"


@dataclass(frozen=True, slots=True)
class Inputs:
    """TSV files with the columns of each, and files of sentences, each with those of its references; `ready`
    holds translations of them."""

    tsv: list[tuple[LineFile, tuple[int, int]]]
    parallel: list[_Parallel]
    ready: list[LineFile]

    @classmethod
    def chosen(
        cls,
        tests: Sequence[str],
        columns: Sequence[str],
        sources: Sequence[str],
        references: Sequence[str],
        ready: Sequence[LineFile] = (),
        *,
        is_translated: bool = True,
    ) -> Inputs:
        """What the options name. Raises BadParameter where they do not fit each other.

        Unless it `is_translated`, a test set may be references alone.
        """
        parallel = _with_references(sources, references, is_translated)
        if not (tests or parallel):
            raise typer.BadParameter(_NEEDED)
        if columns and not tests:
            raise typer.BadParameter("needs a --test", param_hint="--columns")
        columns = columns or ["1,2"]
        if tests and len(columns) not in (1, len(tests)):
            bound = f"once for all, or for each of the {len(tests)} --test, got {len(columns)}"
            raise typer.BadParameter(bound, param_hint="--columns")
        each = [two_columns(text) for text in columns] * (len(tests) if len(columns) == 1 else 1)
        files = [LineFile.named(name) for name in tests]
        chosen = cls(list(zip(files, each, strict=True)), parallel, list(ready))
        if sum(file.path is None for file in chosen.files) > 1:
            raise typer.BadParameter("standard input can be read only once")
        return chosen

    @property
    def files(self) -> list[LineFile]:
        parallel = [file for sources, references in self.parallel for file in (sources, *references)]
        files = [*(file for file, _ in self.tsv), *parallel, *self.ready]
        return [file for file in files if file is not None]

    def read(self, limit: int | None) -> list[TestSet]:
        """The first `limit` lines of each, in the order TSV files, others. Raises LineFileError, OSError."""
        single = [read_tsv(file, columns, limit) for file, columns in self.tsv]
        return labelled([*single, *(_read(*files, limit) for files in self.parallel)])


def _read(sources: LineFile | None, references: Sequence[LineFile], limit: int | None) -> TestSet:
    if sources is None:
        return read_references(references, limit)
    return read_parallel(sources, references[0], limit, references[1:])


def _with_references(
    sources: Sequence[str], references: Sequence[str], needs_sources: bool
) -> list[_Parallel]:
    """All references belong to a single file of sentences; of several each has one. Raises BadParameter."""
    files = [LineFile.named(name) for name in references]
    if files and (len(sources) == 1 or not (sources or needs_sources)):
        return [(LineFile.named(sources[0]) if sources else None, files)]
    if len(sources) != len(files):
        raise typer.BadParameter(_NEEDED)
    return [(LineFile.named(name), [file]) for name, file in zip(sources, files, strict=True)]


def two_columns(text: str) -> tuple[int, int]:
    """`1,2` as numbers. Raises BadParameter."""
    source, _, reference = text.partition(",")
    try:
        columns = int(source), int(reference)
    except ValueError:
        columns = (0, 0)
    if min(columns) < 1:
        raise typer.BadParameter(f"two numbers from 1, such as 1,2, got {text!r}", param_hint="--columns")
    return columns


@dataclass(frozen=True, slots=True)
class Outputs:
    """Open files; by whose translations of which test set, and the report."""

    translations: dict[tuple[str, int], WholeFile] = field(default_factory=dict)
    report: WholeFile | None = None

    def save_translations(self, whose: str, translated: Sequence[Sequence[str]]) -> None:
        """One line each. Files that nobody asked for are not there."""
        for number, texts in enumerate(translated):
            if (file := self.translations.get((whose, number))) is not None:
                for text in texts:
                    file.write(text)
                file.commit()

    def save_report(self, page: str) -> None:
        """A file's name may have bytes that are no text: they stand as on standard output, as escapes."""
        if self.report is not None:
            self.report.write(page.encode("utf-8", "backslashreplace").decode("utf-8"))
            self.report.commit()


@contextmanager
def opened(
    inputs: Inputs,
    test_sets: Sequence[TestSet],
    whose: Sequence[str],
    single: Path | None,
    folder: Path | None,
    report: Path | None,
) -> Iterator[Outputs]:
    """All outputs, before anything is translated, so that a fault shows at once; `whose` translations.

    Raises BadParameter for what does not fit, LineFileError for an output that is an input, OSError.
    """
    _check_named({"--report": report, "--save-translations": single})
    places = _places(test_sets, whose, single, folder)
    chosen = [*places.values(), *([report] if report else [])]
    for path in chosen:
        choose_places(inputs.files, path, None)
    if len({path.resolve() for path in chosen}) < len(chosen):
        raise typer.BadParameter("names the file of another output", param_hint="--report")
    with made(folder), ExitStack() as stack:
        files = {key: stack.enter_context(WholeFile(path)) for key, path in places.items()}
        yield Outputs(files, stack.enter_context(WholeFile(report)) if report else None)


def _check_named(options: Mapping[str, Path | None]) -> None:
    """Raises BadParameter: translations or a page among the scores would make both unreadable."""
    for option, path in options.items():
        if path == Path("-"):
            raise typer.BadParameter("must be a file; scores go to standard output", param_hint=option)


def _places(
    test_sets: Sequence[TestSet], whose: Sequence[str], single: Path | None, folder: Path | None
) -> dict[tuple[str, int], Path]:
    if single is not None:
        if len(test_sets) > 1 or len(whose) > 1 or folder is not None:
            raise typer.BadParameter(
                "holds one model's translations of one test set; for more give --translations-dir alone",
                param_hint="--save-translations",
            )
        return {(whose[0], 0): single}
    if folder is None:
        return {}
    names = [one.label.replace("/", "-") for one in test_sets]
    _check_different(names, [one.label for one in test_sets])
    return {(who, number): folder / f"{name}.{who}.txt" for number, name in enumerate(names) for who in whose}


def _check_different(names: Sequence[str], labels: Sequence[str]) -> None:
    """Labels that differ, as `a/b-c` and `a-b/c`, may become one name. Raises BadParameter."""
    known = dict[str, str]()
    for name, label in zip(names, labels, strict=True):
        if (other := known.setdefault(name, label)) != label:
            fault = f"would hold {other} and {label} in one file, {name}.system.txt; rename one of them"
            raise typer.BadParameter(fault, param_hint="--translations-dir")
