"""`verto translate`: lines in, their translations out, without a server.

Knows options and how files, window and translator are put together; what each does stands elsewhere.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import offline_options as shared
from cli.line_feed import Line
from cli.line_files import LineFile
from cli.line_places import check_inputs, choose_places
from cli.line_progress import LineProgress
from cli.output_files import OutputSeries, made
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from cli.line_translation import Ready
    from service.answer_schemas import TranslationAnswer

    Form = Callable[[int, TranslationAnswer], str]


def run(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="UTF-8 text, plain or gzip; none, or -, is standard input."),
    ] = None,
    source: shared.Source = None,
    target: shared.Target = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; .gz is compressed.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Folder to write to, made if need be: for each FILE one of the same name."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Per line an object: text, score, finish_reason, hypotheses.")
    ] = False,
    model: shared.Model = None,
    quiet: shared.Quiet = False,
    split: shared.Split = "sentences",
    strategy: shared.Strategy = None,
    beam_size: shared.BeamSize = None,
    num_hypotheses: shared.NumHypotheses = None,
    length_penalty: shared.LengthPenalty = None,
    coverage_penalty: shared.CoveragePenalty = None,
    patience: shared.Patience = None,
    diversity_groups: shared.DiversityGroups = None,
    diversity_penalty: shared.DiversityPenalty = None,
    temperature: shared.Temperature = None,
    top_k: shared.TopK = None,
    top_p: shared.TopP = None,
    min_p: shared.MinP = None,
    epsilon: shared.Epsilon = None,
    seed: shared.Seed = None,
    repetition_penalty: shared.RepetitionPenalty = None,
    no_repeat_ngram_size: shared.NoRepeatNgramSize = None,
    min_length: shared.MinLength = None,
    max_length: shared.MaxLength = None,
    max_length_ratio: shared.MaxLengthRatio = None,
    prefix: shared.Prefix = None,
    banned: shared.Banned = None,
    required: shared.Required = None,
    models_dir: shared.ModelsDir = None,
    device: shared.Device = None,
    precision: shared.Precision = None,
    kernels: shared.Kernels = None,
    num_threads: shared.NumThreads = None,
    max_rows: shared.MaxRows = None,
    copying: shared.Copying = None,
) -> None:
    """Translate files or standard input, line by line, without a server.

    One line comes out for each that goes in, in order; blank lines, indents and gaps between sentences stay.
    What is longer than the model reads is divided, never cut short. Several FILEs come out one behind the
    other. Files are checked to their end before the first line is translated, and what is written with
    --output or --output-dir appears only when it is complete.

    \b
    Examples:
      verto translate --source en --target de < in.txt > out.txt
      verto translate -s en -t de in.txt.gz --output out.txt.gz
      verto translate -s en -t de chapters/*.txt --output-dir german
      verto translate -s en -t de --num-hypotheses 3 < in.txt > n-best.txt
      echo "Good morning!" | verto translate -s en -t de --num-hypotheses 3 --json
      echo "The train is late." | verto translate -s en -t de --prefix "Der Zug" --required Verspätung
      verto translate -s en -t de --strategy sample --top-p 0.9 --seed 7 < in.txt

    \b
    Exit codes: 0 done, 1 the translation failed, 2 wrong options or input,
    130 Ctrl-C, 141 nobody reads the output any more.
    """
    given = dict(locals())
    given["wording"] = shared.wording(given)
    with orderly_end():
        inputs = [LineFile.named(name) for name in files or ["-"]]
        places = choose_places(inputs, output, output_dir)
        total = check_inputs(inputs)
        if not quiet and any(one.is_terminal() for one in inputs):
            typer.echo("type lines to translate; Ctrl-D ends", err=True)
        with made(output_dir), OutputSeries(places) as outputs:
            progress = _translate(given, inputs, total, outputs)
            outputs.commit()
        if not quiet:
            typer.echo(progress.summary(), err=True)


def _translate(
    given: dict[str, Any], inputs: Sequence[LineFile], total: int | None, outputs: OutputSeries
) -> LineProgress:
    """Every line of the inputs to the outputs."""
    from cli.line_translation import translate_lines
    from cli.model_choice import choose
    from cli.offline import offline_translator, window_size

    settings = shared.settings(given)
    choice = choose(settings.models_dir, given["model"], given["source"], given["target"])
    options = shared.decoding_options(given)
    with (
        offline_translator(choice, options, given["split"], settings, given["wording"]) as translator,
        LineProgress(total, bar=not given["quiet"] and _has_room_for_bar(inputs, outputs)) as progress,
    ):
        take = _writer(outputs, progress, _form(given))
        translate_lines(_lines(inputs), [one.name for one in inputs], translator, take, window_size(settings))
    return progress


def _lines(inputs: Sequence[LineFile]) -> Iterator[Line]:
    for index, one in enumerate(inputs):
        for number, text in enumerate(one.lines(), 1):
            yield Line(index, number, text)


def _form(given: dict[str, Any]) -> "Form":
    """What is written of an answer, the number of whose text counts from 0 in each output."""
    from cli.line_translation import json_line, n_best_lines, one_line

    if given["as_json"]:
        return lambda _, answer: json_line(answer)
    return n_best_lines if (given["num_hypotheses"] or 1) > 1 else lambda _, answer: one_line(answer)


def _writer(outputs: OutputSeries, progress: LineProgress, form: "Form") -> Callable[["Ready"], None]:
    from cli.line_translation import tally

    written = Counter[int]()  # texts, by output

    def take(ready: "Ready") -> None:
        for line, translated in ready:
            place = outputs.place_of(line.input_index)
            outputs.write(line.input_index, form(written[place], translated.answer))
            written[place] += 1
        outputs.flush()
        progress.advance(*tally(ready))

    return take


def _has_room_for_bar(inputs: Sequence[LineFile], outputs: OutputSeries) -> bool:
    """Not where lines are typed or shown: the bar would run over them."""
    shows_lines = outputs.is_standard_output and sys.stdout.isatty()
    return sys.stderr.isatty() and not shows_lines and not any(one.is_terminal() for one in inputs)
