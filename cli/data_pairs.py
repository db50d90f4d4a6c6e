"""`verto data back-translate` and `verto data distill`: training pairs that a model writes.

Knows options and what stands in which column of a pair; how lines are translated stands in
cli/pair_translation.py.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import offline_options as shared
from cli.line_files import LineFile
from cli.line_places import check_inputs, check_is_no_input
from cli.line_progress import LineProgress
from cli.pair_parts import PairParts
from cli.pair_translation import Choose, Entry, PairCounts, PairMaker, Write, check_columns, entries
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from cli.model_choice import Choice
    from service.answer_schemas import TranslationAnswer

Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="UTF-8 text, plain or gzip.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="TSV to write; .gz is compressed.")]
Column = Annotated[
    int | None, typer.Option(min=0, help="Column of a TSV that is translated, from 0; else the whole line.")
]
_NOT_OF_THE_JOB = ("files", "output", "quiet", "models_dir", "num_threads", "max_rows")


def back_translate(
    files: Files,
    output: Output,
    source: shared.Source = None,
    target: shared.Target = None,
    column: Column = None,
    model: shared.Model = None,
    quiet: shared.Quiet = False,
    strategy: shared.Strategy = None,
    beam_size: shared.BeamSize = None,
    length_penalty: shared.LengthPenalty = None,
    temperature: shared.Temperature = None,
    top_k: shared.TopK = None,
    top_p: shared.TopP = None,
    seed: shared.Seed = None,
    max_length: shared.MaxLength = None,
    max_length_ratio: shared.MaxLengthRatio = None,
    models_dir: shared.ModelsDir = None,
    device: shared.Device = None,
    precision: shared.Precision = None,
    kernels: shared.Kernels = None,
    num_threads: shared.NumThreads = None,
    max_rows: shared.MaxRows = None,
    copying: shared.Copying = None,
) -> None:
    """Translate text of the language that a new model shall write, and write it as that model's target.

    Source and target language are those of the model that is used here: to train English to German, text is
    translated from German to English. Each pair is `machine's source<TAB>text that a person wrote`. In a
    recipe name the file with a tag, which tells the new model that its source was written by a machine:
    `{tsv: back.tsv.gz, tag: "<BT>"}`. An interrupted command goes on where it was when it is given again.

    \b
    Examples:
      verto data back-translate news.de.gz -s de -t en --output back.tsv.gz
      verto data back-translate news.de.gz -s de -t en -o back.tsv.gz --strategy sample --seed 1
    """
    _make_pairs(dict(locals()), _best, lambda entry, text: f"{text}\t{entry.line.text}")


def distill(
    files: Files,
    output: Output,
    source: shared.Source = None,
    target: shared.Target = None,
    column: Column = None,
    reference: Annotated[
        int | None,
        typer.Option(
            min=0, help="Column of a person's translation; of the beam the one most like it is taken."
        ),
    ] = None,
    model: shared.Model = None,
    quiet: shared.Quiet = False,
    strategy: shared.Strategy = None,
    beam_size: shared.BeamSize = None,
    length_penalty: shared.LengthPenalty = None,
    max_length: shared.MaxLength = None,
    max_length_ratio: shared.MaxLengthRatio = None,
    models_dir: shared.ModelsDir = None,
    device: shared.Device = None,
    precision: shared.Precision = None,
    kernels: shared.Kernels = None,
    num_threads: shared.NumThreads = None,
    max_rows: shared.MaxRows = None,
    copying: shared.Copying = None,
) -> None:
    """Translate training text with a teacher, for a smaller model to learn from (Kim and Rush 2016).

    Each pair is `text<TAB>the teacher's translation`. With --reference the whole beam is looked at, and the
    translation with the best sentence BLEU against a person's is taken. An interrupted command goes on where
    it was when it is given again.

    \b
    Examples:
      verto data distill train.en -s en -t de --model teacher --output distilled.tsv.gz
      verto data distill train.tsv.gz --column 0 --reference 1 --model teacher -o distilled.tsv.gz
    """
    given = dict(locals())
    if reference is not None and column is None:
        raise typer.BadParameter("needs --column: both stand in one TSV", param_hint="--reference")
    _make_pairs(
        given, _best if reference is None else _closest, lambda entry, text: f"{entry.line.text}\t{text}"
    )


def _make_pairs(given: dict[str, Any], choose: Choose, write: Write) -> None:
    """The whole command, from files to one file."""
    from cli.model_choice import choose as choose_model

    settings = shared.settings(given)
    with orderly_end():
        inputs, total = _checked_inputs(given)
        bundle = choose_model(settings.models_dir, given["model"], given["source"], given["target"])
        parts = PairParts(given["output"], _job(given, inputs, bundle))
        counts, progress = _translated(given, inputs, total, bundle, parts, choose, write)
    if not given["quiet"]:
        typer.echo(f"{progress.summary()}; {counts.describe()}", err=True)


def _checked_inputs(given: dict[str, Any]) -> tuple[list[LineFile], int | None]:
    """Everything about the files that can be wrong is told before a model is loaded."""
    _check_named("FILE", given["files"])
    _check_named("--output", [given["output"]])
    inputs = [LineFile(path) for path in given["files"]]
    check_is_no_input(given["output"], inputs)
    total = check_inputs(inputs)
    check_columns(inputs, given["column"], given.get("reference"))
    return inputs, total


def _check_named(option: str, paths: Sequence[Path]) -> None:
    """An interrupted job is known again by its files, and its parts lie beside its output.

    A pipe would be empty once it has been read for that.
    """
    why = "an interrupted job goes on from files"
    for path in paths:
        if path == Path("-"):
            fault = f"must be a named file, not standard input or output: {why}"
            raise typer.BadParameter(fault, param_hint=option)
        if path.exists() and not (path.is_file() or path.is_dir()):
            fault = f"must be a file on a disk, not a pipe or device such as {path}: {why}"
            raise typer.BadParameter(fault, param_hint=option)


def _translated(
    given: dict[str, Any],
    inputs: Sequence[LineFile],
    total: int | None,
    bundle: "Choice",
    parts: PairParts,
    choose: Choose,
    write: Write,
) -> tuple[PairCounts, LineProgress]:
    from cli.offline import offline_translator, window_size

    settings, names = shared.settings(given), [one.name for one in inputs]
    with (
        offline_translator(bundle, _options(given, bundle), "lines", settings) as translator,
        LineProgress(total, bar=not given["quiet"] and sys.stderr.isatty()) as progress,
    ):
        maker = PairMaker(translator, window_size(settings), names, progress, choose, write)
        maker.run(entries(inputs, given["column"], given.get("reference")), parts)
    return maker.counts, progress


def _options(given: dict[str, Any], bundle: "Choice") -> dict[str, Any]:
    """The options that were named; with a reference all of the beam is wanted. Raises BadParameter."""
    from model.bundle_head import load_bundle_head

    options = shared.decoding_options(given)
    if given.get("reference") is not None:
        default = load_bundle_head(bundle.folder).info.decoding
        if options.get("strategy", default.strategy) != "beam":
            raise typer.BadParameter("needs --strategy beam, whose best it chooses", param_hint="--reference")
        options["num_hypotheses"] = options.get("beam_size", default.beam_size)
    return options


def _best(answer: "TranslationAnswer", entry: Entry) -> str:
    return answer.text


def _closest(answer: "TranslationAnswer", entry: Entry) -> str:
    from training.distillation import closest

    texts = [hypothesis.text for hypothesis in answer.hypotheses or ()]
    return closest(texts or [answer.text], entry.reference or "")


def _job(given: dict[str, Any], inputs: Sequence[LineFile], bundle: "Choice") -> dict[str, object]:
    """Everything that decides the pairs: parts of another job are never put to these."""
    from model.bundle_head import load_bundle_head

    named = {
        name: value for name, value in given.items() if name not in _NOT_OF_THE_JOB and value is not None
    }
    texts = [_digest(one.path) for one in inputs if one.path is not None]
    return {"options": named, "inputs": texts, "model": load_bundle_head(bundle.folder).manifest_digest}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
