"""`verto evaluate`: how well a bundle, or whatever else, translates test sets, alone or beside another.

Knows options and what is printed; must not know how anything is translated or measured.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import offline_options as shared
from cli.evaluating import Evaluating
from cli.evaluation_files import Inputs, opened
from cli.ready_translations import ReadyFiles
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from training.evaluation_scores import Evaluation, Measure

SAMPLES = 1000  # of the paired bootstrap, as sacreBLEU has it
MOST_LINES = 1_000_000_000  # more than memory holds; a far larger number Python could not count to


def run(
    context: typer.Context,
    bundle: Annotated[
        str | None, typer.Argument(metavar="[BUNDLE]", help="A bundle's folder, or its name.")
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="TSV file, plain or gzip: a sentence and its reference in each line. May be repeated."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns of sentence and reference, from 1; once for all --test, or for each.",
            show_default="1,2",
        ),
    ] = None,
    source_file: Annotated[
        list[str] | None, typer.Option(help="Instead of --test, or besides: the sentences. May be repeated.")
    ] = None,
    reference_file: Annotated[
        list[str] | None,
        typer.Option(
            help="And their references, line by line; several are all of one --source-file, or one of each."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST_LINES, help="Only the first so many lines of each.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Another bundle to compare with; paired bootstrap says what differs by more than chance."
        ),
    ] = None,
    translations_file: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of a BUNDLE: translations made before, one a line; a file for each test set, "
            "those of --test first."
        ),
    ] = None,
    baseline_file: Annotated[
        list[str] | None, typer.Option(help="Instead of --baseline: other translations, likewise.")
    ] = None,
    bootstrap_samples: Annotated[
        int | None,
        typer.Option(min=100, max=100_000, help="Resamples of the paired bootstrap.", show_default="1000"),
    ] = None,
    metrics: Annotated[str, typer.Option(help="Some of these three; TER takes longest.")] = "bleu,chrf,ter",
    bleu_tokenizer: Annotated[
        Literal["13a", "intl", "zh", "char", "none"] | None,
        typer.Option(help="sacreBLEU's tokeniser for BLEU; zh for Chinese.", show_default="13a"),
    ] = None,
    length_buckets: Annotated[
        str, typer.Option(help="Scores also by length of the sentence: up to the first number, and so on.")
    ] = "5,10,20,30,50",
    length_unit: Annotated[
        Literal["words", "characters"], typer.Option(help="What that length counts.")
    ] = "words",
    report: Annotated[
        Path | None,
        typer.Option(help="File for a page with pictures, the worst examples and attention (HTML)."),
    ] = None,
    save_translations: Annotated[
        Path | None, typer.Option(help="File for the translations, one a line; .gz is compressed.")
    ] = None,
    translations_dir: Annotated[
        Path | None,
        typer.Option(help="Folder, made if need be, for translations of several test sets, of both bundles."),
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
    copying: shared.Copying = None,
) -> None:
    """Score a bundle on test sets: BLEU, chrF and TER, also by length, alone or against another bundle.

    Each line is translated as a whole, as test sets are meant; --split sentences does as the server does by
    default. Scores come with sacreBLEU's signature: compare only numbers whose signatures are equal.

    \b
    Examples:
      verto evaluate checkpoints/en-de --test test.tsv.gz
      verto evaluate en-de --test test.tsv.gz --limit 500 --strategy greedy
      verto evaluate en-de --test news.tsv --test talks.tsv --report scores.html
      verto evaluate runs/new/bundle --baseline en-de --test test.tsv.gz --report new-or-old.html
      verto evaluate en-de --source-file test.en --reference-file test.de --save-translations test.out
      verto evaluate en-de --source-file test.en --reference-file first.de --reference-file second.de
      verto evaluate en-de --test test.tsv --columns 2,1 --json > scores.json
      verto evaluate --translations-file new.de --baseline-file old.de --reference-file test.de

    \b
    Exit codes: 0 done, 1 the translation failed, 2 wrong options or input, 130 Ctrl-C.
    """
    given = dict(locals())
    with orderly_end():
        bundles = {"system": bundle, "baseline": baseline}
        translating = [whose for whose, named in bundles.items() if named is not None]
        ready = ReadyFiles.chosen(context, given)
        named = (test or [], columns or [], source_file or [], reference_file or [])
        inputs = Inputs.chosen(*named, ready.all, is_translated=bool(translating))
        measure = _measure(given)
        test_sets = inputs.read(limit)
        made = ready.read(test_sets, limit)
        if baseline is not None or "baseline" in made:
            _check_bootstrap(measure.num_samples, max(map(len, test_sets)))
        places = (save_translations, translations_dir, report)
        with opened(inputs, test_sets, translating, *places) as outputs:
            evaluation = Evaluating(given, test_sets, measure, outputs, made).evaluate()
        _show(evaluation, json)


def _measure(given: dict[str, Any]) -> "Measure":
    """The scorer of the training package, which a server need not have. Raises BadParameter."""
    try:
        from training.evaluation_scores import Measure
        from training.length_buckets import check_bounds
        from training.scoring import Scorer
    except ModuleNotFoundError as error:
        needed = "from the root of the clone: pip install '.[training]'"
        typer.echo(f"verto: evaluate needs {error.name}; {needed}", err=True)
        raise typer.Exit(2) from None
    if given["bootstrap_samples"] is not None and given["baseline"] is None and not given["baseline_file"]:
        raise typer.BadParameter("needs a --baseline or --baseline-file", param_hint="--bootstrap-samples")
    metrics, bounds = _metrics(given["metrics"], given["bleu_tokenizer"]), given["length_buckets"]
    try:
        checked = check_bounds([int(bound) for bound in bounds.split(",")])
    except ValueError:
        fault = f"ascending numbers from 1, such as 5,10,20, got {bounds!r}"
        raise typer.BadParameter(fault, param_hint="--length-buckets") from None
    scorer = Scorer(metrics, given["bleu_tokenizer"] or "13a")
    return Measure(scorer, checked, given["length_unit"], given["bootstrap_samples"] or SAMPLES)


def _metrics(named: str, bleu_tokenizer: str | None) -> list[str]:
    """Raises BadParameter, also for a tokeniser that no metric would use."""
    from training.scoring import METRICS

    metrics = named.split(",")
    if not set(metrics) <= set(METRICS):
        fault = f"some of {','.join(METRICS)}, with commas, got {named!r}"
        raise typer.BadParameter(fault, param_hint="--metrics")
    if bleu_tokenizer is not None and "bleu" not in metrics:
        fault = f"needs bleu among the metrics, got {named!r}"
        raise typer.BadParameter(fault, param_hint="--bleu-tokenizer")
    return metrics


def _check_bootstrap(samples: int, sentences: int) -> None:
    """Before hours of translation, not behind them: its seed, and that it holds all draws in memory."""
    from training.significance import BYTES_PER_DRAW, MOST_DRAWS, SEED_VARIABLE, check_seed

    try:
        check_seed()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=SEED_VARIABLE) from None
    if samples * sentences > MOST_DRAWS:
        fault = (
            f"at most {MOST_DRAWS // sentences:,} for {sentences:,} sentences "
            f"({MOST_DRAWS * BYTES_PER_DRAW / 1e9:g} GB), got {samples:,}; fewer, or --limit"
        )
        raise typer.BadParameter(fault, param_hint="--bootstrap-samples")


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _show(evaluation: "Evaluation", as_object: bool) -> None:
    from training.report.as_json import as_json
    from training.report.as_text import as_text, print_tables

    if as_object:
        typer.echo(as_json(evaluation))
    elif _is_terminal():
        print_tables(evaluation)
    else:
        typer.echo(as_text(evaluation))
