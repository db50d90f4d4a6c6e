"""Options of the commands that translate without a server: which model, how it decodes, what runs it.

Bounds and defaults of decoding stand in model/decoding/options.py, those of what runs it in
service/settings.py; tests hold the names equal. An option that was not given is None here, and then the
bundle's or the settings' own default counts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from service.settings import Settings

DECODING = (
    "strategy",
    "beam_size",
    "num_hypotheses",
    "length_penalty",
    "patience",
    "min_length",
    "max_length",
    "max_length_ratio",
)
RUNNING = ("models_dir", "device", "num_threads", "max_rows")


def _decoding(help_text: str) -> Any:
    return typer.Option(help=help_text, show_default="the model's")


def _running(help_text: str, default: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, show_default=default)


Source = Annotated[str | None, typer.Option("--source", "-s", help="Language of the lines.")]
Target = Annotated[str | None, typer.Option("--target", "-t", help="Language to translate into.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only faults on standard error.")]

Strategy = Annotated[str | None, _decoding("beam or greedy.")]
BeamSize = Annotated[int | None, _decoding("Hypotheses kept at each step, 1 to 32 (beam).")]
NumHypotheses = Annotated[
    int | None, _decoding("Translations of each line, best first; needs --json (beam).")
]
LengthPenalty = Annotated[
    float | None, _decoding("Alpha of Wu et al. 2016, 0 to 5; above 0 favours longer translations (beam).")
]
Patience = Annotated[
    float | None, _decoding("A search ends with beam size times this many finished hypotheses, to 4 (beam).")
]
MinLength = Annotated[int | None, _decoding("Target tokens that a segment has at least.")]
MaxLength = Annotated[int | None, _decoding("Target tokens that a segment has at most.")]
MaxLengthRatio = Annotated[float | None, _decoding("The same for each of its source tokens, 0.1 to 100.")]
Split = Annotated[
    Literal["sentences", "lines", "none"],
    typer.Option(
        help="What is a segment. One that is longer than the model reads is divided, but for none refused."
    ),
]

Model = Annotated[str | None, typer.Option(help="Name of a bundle, or its folder; else by the languages.")]
ModelsDir = Annotated[Path | None, _running("Folder of bundles.", "checkpoints")]
Device = Annotated[str | None, _running("auto, cpu, cuda or cuda:N.", "auto")]
NumThreads = Annotated[
    int | None,
    _running("For the network on a CPU.", "usable processors", "--threads", "--num-threads"),
]
MaxRows = Annotated[int | None, _running("Rows decoded in one step; a beam of 4 takes 4.", "64")]


def decoding_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of a command's parameters the decoding options that were named."""
    return {name: given[name] for name in DECODING if given.get(name) is not None}


def settings(given: Mapping[str, Any]) -> "Settings":
    """What was named, then the environment, then the defaults. Raises SettingsError."""
    from service.settings import resolve_settings

    return resolve_settings({name: given[name] for name in RUNNING}).settings
