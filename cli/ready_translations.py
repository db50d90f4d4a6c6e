"""Translations that were made before, by whatever: files of lines that are scored as those of a bundle are.

Knows which options fit them; must not know models or scores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.line_files import LineFile, LineFileError

if TYPE_CHECKING:
    from training.test_set import TestSet

# Of whom they are, by the option that names the files and the one that names a bundle instead.
_OPTIONS = {"system": ("translations_file", "bundle"), "baseline": ("baseline_file", "baseline")}
# What makes sense where nothing is translated.
_SCORING = frozenset(
    {
        *("test", "columns", "source_file", "reference_file", "limit", "translations_file", "baseline_file"),
        *("bootstrap_samples", "metrics", "bleu_tokenizer", "length_buckets", "length_unit"),
        *("report", "json", "source", "target", "quiet"),
    }
)


@dataclass(frozen=True, slots=True)
class Ready:
    """`texts[k]` are the translations of test set k, and `names` says from which file each came."""

    names: tuple[str, ...]
    texts: list[list[str]]

    @property
    def label(self) -> str:
        return " + ".join(Path(name).name for name in self.names)

    @property
    def long_label(self) -> str:
        """Unlike any `label`, also for files of the current folder."""
        return " + ".join(name if os.path.dirname(name) else f"./{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class ReadyFiles:
    """By whose: `system` or `baseline`; whoever is missing is a bundle that translates, or not there."""

    files: Mapping[str, list[LineFile]]

    @classmethod
    def chosen(cls, context: typer.Context, given: Mapping[str, Any]) -> ReadyFiles:
        """What the options name. Raises BadParameter where they do not fit each other."""
        if given["bundle"] is None and not given["translations_file"]:
            raise typer.BadParameter("give one, or --translations-file", param_hint="BUNDLE")
        for ready, bundle in _OPTIONS.values():
            if given[ready] and given[bundle] is not None:
                other = "a BUNDLE" if bundle == "bundle" else f"--{bundle}"
                raise typer.BadParameter(f"cannot stand beside {other}", param_hint=_option(ready))
        if given["bundle"] is None and given["baseline"] is None:
            _refuse_what_translates(context)
            _check_languages(given["source"], given["target"])
        named = {whose: given[ready] or [] for whose, (ready, _) in _OPTIONS.items()}
        return cls({whose: list(map(LineFile.named, names)) for whose, names in named.items() if names})

    @property
    def all(self) -> list[LineFile]:
        return [file for files in self.files.values() for file in files]

    def read(self, test_sets: Sequence[TestSet], limit: int | None) -> dict[str, Ready]:
        """Raises BadParameter, LineFileError unless each test set has a file, and each sentence a line."""
        found = {}
        for whose, files in self.files.items():
            if len(files) != len(test_sets):
                bound = f"once for each of the {len(test_sets)} test sets, those of --test first"
                bound += f", got {len(files)}"
                raise typer.BadParameter(bound, param_hint=_option(_OPTIONS[whose][0]))
            texts = [_lines(*pair, limit) for pair in zip(files, map(len, test_sets), strict=True)]
            found[whose] = Ready(tuple(file.name for file in files), texts)
        return found


def _lines(file: LineFile, count: int, limit: int | None) -> list[str]:
    texts = [line.removesuffix("\r") for line in islice(file.unmarked_lines(), limit)]
    if len(texts) != count:
        raise LineFileError(
            file.name, f"must have {count:,} lines, one for each sentence, got {len(texts):,}"
        )
    return texts


def _refuse_what_translates(context: typer.Context) -> None:
    """An option that would do nothing was meant otherwise."""
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name not in _SCORING and source is not None and source.name == "COMMANDLINE":
            fault = "is for a bundle that translates; --translations-file is scored as it is"
            raise typer.BadParameter(fault, param_hint=parameter.opts[0])


def _check_languages(source: str | None, target: str | None) -> None:
    """Of files they are only said, as a pair: one alone would be said nowhere. Raises BadParameter."""
    for option, given, other in (("--source", source, target), ("--target", target, source)):
        if given is not None and not given.strip():
            raise typer.BadParameter(f"must be a language, got {given!r}", param_hint=option)
        if given is not None and other is None:
            missing = "--target" if option == "--source" else "--source"
            raise typer.BadParameter(f"needs {missing} beside it, got {given!r} alone", param_hint=option)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
