"""Where the lines of each input go, and whether that can work: asked before anything slow begins.

Knows paths and files; must not know what becomes of the lines between them.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import typer

from cli.line_files import LineFile, LineFileError, same_file


def check_inputs(inputs: Sequence[LineFile]) -> int | None:
    """The number of lines of all inputs together, None if one can be read only once.

    Raises LineFileError, OSError for the first fault in any file.
    """
    counts = [one.count_checked() for one in inputs]
    return None if None in counts else sum(count for count in counts if count is not None)


def choose_places(
    inputs: Sequence[LineFile], output: Path | None, output_dir: Path | None
) -> list[Path | None]:
    """One output for all inputs, or one for each in `output_dir`; None is standard output.

    Raises BadParameter for options that do not fit each other, LineFileError for an output that is an input,
    and for a standard input or output that is closed.
    """
    if sum(one.path is None for one in inputs) > 1:
        raise typer.BadParameter("standard input can be read only once", param_hint="FILE")
    if output_dir is None:
        places: list[Path | None] = [None if output in (None, Path("-")) else output]
    else:
        places = _places_in(inputs, output, output_dir)
    if None in places and sys.stdout is None:  # as with `>&-`
        raise LineFileError("standard output", "is closed")
    for place in places:
        check_is_no_input(place, inputs)
    return places


def _places_in(inputs: Sequence[LineFile], output: Path | None, folder: Path) -> list[Path | None]:
    if output is not None:
        raise typer.BadParameter("cannot stand beside --output", param_hint="--output-dir")
    names = [one.path.name for one in inputs if one.path is not None]
    if len(names) < len(inputs):
        raise typer.BadParameter("needs named files; standard input has no name", param_hint="--output-dir")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise typer.BadParameter(f"several files are called {twice[0]}", param_hint="--output-dir")
    return [folder / name for name in names]


def check_is_no_input(place: Path | None, inputs: Sequence[LineFile]) -> None:
    """Raises LineFileError for an output that is an input, OSError for an input that cannot be read."""
    status = _status(place)
    for one in inputs:
        if same_file(status, one.status()):
            raise LineFileError(one.name, "is both input and output")


def _status(place: Path | None) -> os.stat_result | None:
    """None for what is not there yet, and for a standard output that is no file."""
    with suppress(OSError, ValueError):
        return os.fstat(sys.stdout.fileno()) if place is None else place.stat()
    return None
