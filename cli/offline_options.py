"""Options of the commands that translate without a server: which model, how it decodes, what runs it.

Bounds and defaults of decoding stand in model/decoding/options.py, those of what runs it in
service/settings.py; tests hold the names equal. An option that was not given is None here, and then the
bundle's or the settings' own default counts.
"""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from service.settings import Settings

WORDING = ("prefix", "banned", "required")
RUNNING = ("models_dir", "device", "precision", "kernels", "num_threads", "max_rows", "copying")


def _decoding(help_text: str) -> Any:
    return typer.Option(help=help_text, show_default="the model's")


def _running(help_text: str, default: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, show_default=default)


Source = Annotated[str | None, typer.Option("--source", "-s", help="Language of the lines.")]
Target = Annotated[str | None, typer.Option("--target", "-t", help="Language to translate into.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only faults on standard error.")]

Strategy = Annotated[str | None, _decoding("beam, greedy or sample.")]
BeamSize = Annotated[int | None, _decoding("Hypotheses kept at each step, 1 to 32 (beam).")]
NumHypotheses = Annotated[
    int | None,
    _decoding("Translations of each line, best first: `i ||| text ||| score`, i from 0, or --json (beam)."),
]
LengthPenalty = Annotated[
    float | None, _decoding("Alpha of Wu et al. 2016, 0 to 5; above 0 favours longer translations (beam).")
]
Patience = Annotated[
    float | None, _decoding("A search ends with beam size times this many finished hypotheses, to 4 (beam).")
]
CoveragePenalty = Annotated[
    float | None,
    _decoding("Beta of the same, 0 to 5; above 0 favours attending to all of the source (beam)."),
]
DiversityGroups = Annotated[int | None, _decoding("Groups of the beam that differ; divides its size (beam).")]
DiversityPenalty = Annotated[
    float | None, _decoding("Off a token's log-probability for each earlier group's choice, 0 to 20 (beam).")
]
Temperature = Annotated[
    float | None, _decoding("Divides log-probabilities, 0.01 to 10; below 1 the likely gain (sample).")
]
TopK = Annotated[int | None, _decoding("Only so many of the likeliest tokens; 0: all (sample).")]
TopP = Annotated[
    float | None, _decoding("Only the likeliest tokens with this probability together, above 0 (sample).")
]
MinP = Annotated[
    float | None, _decoding("Only tokens with this share of the likeliest one's probability, to 1 (sample).")
]
Epsilon = Annotated[float | None, _decoding("Only tokens of at least this probability, below 1 (sample).")]
Seed = Annotated[
    int | None, _decoding("The same seed draws the same translation of the same line again (sample).")
]
RepetitionPenalty = Annotated[
    float | None, _decoding("Multiplies log-probabilities of tokens that are there already, 0.1 to 10.")
]
NoRepeatNgramSize = Annotated[int | None, _decoding("No so many tokens twice in a segment, to 16; 0: any.")]
MinLength = Annotated[int | None, _decoding("Target tokens that a segment has at least.")]
MaxLength = Annotated[int | None, _decoding("Target tokens that a segment has at most.")]
MaxLengthRatio = Annotated[float | None, _decoding("The same for each of its source tokens, 0.1 to 100.")]
Banned = Annotated[
    list[str] | None,
    typer.Option("--banned", help="Word or phrase that no translation has; may be repeated."),
]
Required = Annotated[
    list[str] | None,
    typer.Option("--required", help="Phrase that every translation has; may be repeated (beam)."),
]
Prefix = Annotated[str | None, typer.Option(help="What the translation of every line begins with.")]
Split = Annotated[
    Literal["sentences", "lines", "none"],
    typer.Option(
        help="What is a segment. One that is longer than the model reads is divided, but for none refused."
    ),
]

Model = Annotated[str | None, typer.Option(help="Name of a bundle, or its folder; else by the languages.")]
ModelsDir = Annotated[Path | None, _running("Folder of bundles.", "checkpoints")]
Device = Annotated[str | None, _running("auto, cpu, cuda or cuda:N.", "auto")]
Precision = Annotated[str | None, _running("float32, bfloat16, int8 or float16.", "float32")]
Kernels = Annotated[str | None, _running("auto, native or eager: see `verto prepare`.", "auto")]
NumThreads = Annotated[
    int | None,
    _running("For the network on a CPU.", "usable processors", "--threads", "--num-threads"),
]
MaxRows = Annotated[int | None, _running("Rows decoded in one step; a beam of 4 takes 4.", "96")]

Copying = Annotated[
    bool | None,
    _running("Whether addresses, code, numbers, emoji are copied.", "copied", "--copying/--no-copying"),
]


def decoding_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of a command's parameters the decoding options that were named."""
    from service.schemas import OPTION_FIELDS

    return {name: given[name] for name in OPTION_FIELDS if given.get(name) is not None}


def wording(given: Mapping[str, Any]) -> dict[str, Any]:
    """What translations must say and must not, if anything, as a job has it. Raises BadParameter for what
    would be refused in any request."""
    named = {name: given[name] for name in WORDING if given.get(name)}
    if not named:
        return {}
    if "banned" in named and "required" in named:
        raise typer.BadParameter("cannot stand beside --required", param_hint="--banned")
    for name in set(named) - {"prefix"}:
        if empty := [phrase for phrase in named[name] if not phrase.strip()]:
            fault = f"must be more than white space, got {empty[0]!r}"
            raise typer.BadParameter(fault, param_hint=f"--{name}")
    _check_bounds(named)
    return {name: value if isinstance(value, str) else tuple(value) for name, value in named.items()}


def _check_bounds(named: Mapping[str, Any]) -> None:
    from service.body import validate
    from service.errors import InvalidRequest
    from service.schemas import TranslateRequest

    try:
        validate(TranslateRequest, {"text": "", **named})
    except InvalidRequest as error:
        fault = error.faults[0]
        said = f"must be {fault.bound}, got {reprlib.repr(fault.value)}"
        raise typer.BadParameter(said, param_hint=f"--{fault.field.partition('[')[0]}") from None


def settings(given: Mapping[str, Any]) -> "Settings":
    """What was named, then the environment, then the defaults. Raises SettingsError."""
    from service.settings import resolve_settings

    return resolve_settings({name: given[name] for name in RUNNING}).settings
