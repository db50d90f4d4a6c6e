"""`verto evaluate`: how well a bundle translates a test set, in BLEU and chrF, and how fast.

Knows options and how test set, translator and scores are put together; what each does stands elsewhere.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import offline_options as shared
from cli.evaluation_report import EvaluationReport as Report
from cli.evaluation_report import as_json, as_text, print_table
from cli.line_feed import Line
from cli.line_files import LineFile
from cli.line_places import choose_places
from cli.line_progress import LineProgress
from cli.output_files import WholeFile
from cli.stopping import orderly_end
from cli.test_set import TestSet, read_parallel, read_tsv

if TYPE_CHECKING:
    from cli.line_translation import Ready
    from cli.model_choice import Choice
    from model.decoding import DecodingOptions
    from training.evaluation import Scores

    Score = Callable[[list[str], list[str]], Scores]


def run(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle's folder, or its name.")],
    test: Annotated[
        str | None, typer.Option(help="TSV file, plain or gzip: a sentence and its reference in each line.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Columns of sentence and reference, from 1.")] = "1,2",
    source_file: Annotated[str | None, typer.Option(help="Instead of --test: the sentences.")] = None,
    reference_file: Annotated[str | None, typer.Option(help="And their references, line by line.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many lines.")] = None,
    save_translations: Annotated[
        Path | None, typer.Option(help="File for the translations, one a line; .gz is compressed.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
    source: shared.Source = None,
    target: shared.Target = None,
    quiet: shared.Quiet = False,
    split: shared.Split = "lines",
    strategy: shared.Strategy = None,
    beam_size: shared.BeamSize = None,
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
    models_dir: shared.ModelsDir = None,
    device: shared.Device = None,
    precision: shared.Precision = None,
    kernels: shared.Kernels = None,
    num_threads: shared.NumThreads = None,
    max_rows: shared.MaxRows = None,
) -> None:
    """Score a bundle on a test file: BLEU and chrF.

    Each line is translated as a whole, as test sets are meant; --split sentences does as the server does by
    default. Both scores come with sacreBLEU's signature: compare only numbers whose signatures are equal.

    \b
    Examples:
      verto evaluate checkpoints/en-de --test test.tsv.gz
      verto evaluate en-de --test test.tsv.gz --limit 500 --strategy greedy
      verto evaluate en-de --source-file test.en --reference-file test.de --save-translations test.out
      verto evaluate en-de --test test.tsv --columns 2,1 --json > scores.json

    \b
    Exit codes: 0 done, 1 the translation failed, 2 wrong options or input, 130 Ctrl-C.
    """
    given = dict(locals())
    with orderly_end():
        files = _test_files(test, source_file, reference_file)
        test_set = _read(files, columns, limit)
        score = _import_score()
        with _output(files, save_translations) as saved:
            report = _evaluate(given, test_set, score, saved)
        _show(report, json)


def _import_score() -> "Score":
    """The scorer of the training package, which a server need not have."""
    try:
        from training.evaluation import score
    except ModuleNotFoundError as error:
        typer.echo(f"verto: evaluate needs {error.name}: pip install 'verto[training]'", err=True)
        raise typer.Exit(2) from None
    return score


def _test_files(test: str | None, source_file: str | None, reference_file: str | None) -> list[LineFile]:
    """The TSV file, or the two files. Raises BadParameter for anything but one of both."""
    named = (test is not None, source_file is not None, reference_file is not None)
    if named not in ((True, False, False), (False, True, True)):
        raise typer.BadParameter("give --test, or --source-file and --reference-file")
    return [LineFile.named(name) for name in (test, source_file, reference_file) if name is not None]


def _read(files: list[LineFile], columns: str, limit: int | None) -> TestSet:
    if len(files) == 2:
        return read_parallel(files[0], files[1], limit)
    return read_tsv(files[0], _two_columns(columns), limit)


def _output(files: list[LineFile], path: Path | None) -> AbstractContextManager[WholeFile | None]:
    """Opened before anything is translated, so that a fault shows at once."""
    if path is None:
        return nullcontext()
    choose_places(files, path, None)
    return WholeFile(path)


def _two_columns(text: str) -> tuple[int, int]:
    source, _, reference = text.partition(",")
    try:
        columns = int(source), int(reference)
    except ValueError:
        columns = (0, 0)
    if min(columns) < 1:
        raise typer.BadParameter(f"two numbers from 1, such as 1,2, got {text!r}", param_hint="--columns")
    return columns


def _evaluate(given: dict[str, Any], test_set: TestSet, score: "Score", saved: WholeFile | None) -> Report:
    """Translate, save, score."""
    from cli.line_translation import translate_lines
    from cli.model_choice import choose
    from cli.offline import offline_translator, window_size

    settings = shared.settings(given)
    choice = choose(settings.models_dir, given["bundle"], given["source"], given["target"])
    options = shared.decoding_options(given)
    translations: list[str] = []
    with (
        offline_translator(choice, options, given["split"], settings) as translator,
        LineProgress(len(test_set.sources), bar=not given["quiet"] and sys.stderr.isatty()) as progress,
    ):
        take = _collector(translations, progress)
        translate_lines(_lines(test_set), test_set.names[:1], translator, take, window_size(settings))
    if saved is not None:
        _save(saved, translations)
    scores = score(translations, test_set.references)
    return _report(choice, translator.options, given["split"], test_set.names, scores, progress)


def _lines(test_set: TestSet) -> Iterator[Line]:
    return (Line(0, number, text) for number, text in enumerate(test_set.sources, 1))


def _collector(translations: list[str], progress: LineProgress) -> Callable[["Ready"], None]:
    from cli.line_translation import one_line, tally

    def take(ready: "Ready") -> None:
        translations.extend(one_line(translated.answer) for _, translated in ready)
        progress.advance(*tally(ready))

    return take


def _save(file: WholeFile, translations: list[str]) -> None:
    for text in translations:
        file.write(text)
    file.commit()


def _report(
    choice: "Choice",
    options: "DecodingOptions",
    split: str,
    names: tuple[str, ...],
    scores: "Scores",
    progress: LineProgress,
) -> Report:
    return Report(
        model=choice.name,
        version=choice.version,
        source=choice.source,
        target=choice.target,
        test=names,
        sentences=progress.lines,
        cut_at_length_limit=progress.cut_lines,
        bleu=scores.bleu,
        bleu_signature=scores.bleu_signature,
        chrf=scores.chrf,
        chrf_signature=scores.chrf_signature,
        decoding=options.to_dict(),
        split=split,
        seconds=progress.seconds,
        sentences_per_second=progress.lines_per_second,
        target_tokens_per_second=progress.tokens_per_second,
    )


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _show(report: Report, as_object: bool) -> None:
    if as_object:
        typer.echo(as_json(report))
    elif _is_terminal():
        print_table(report)
    else:
        typer.echo(as_text(report))
