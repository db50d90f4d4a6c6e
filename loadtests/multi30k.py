"""`python -m loadtests.multi30k RUN --data DATA`: a run's scores on image captions, beside figures of papers.

Knows: runs as training leaves them, sacreBLEU, what papers say and how they scored. Must not know: training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from sacrebleu.metrics.bleu import BLEU

from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from training.baselines.trained import TrainedRun, load_run
from training.corpus import read_pairs
from training.errors import TrainingError
from training.evaluation import score
from training.networks import num_parameters, translate

NAME = "multi30k"


@dataclass(frozen=True, slots=True)
class Published:
    """What a paper's authors say of test2016, English to German, from text alone.

    Theirs is BLEU of tokenised text in lower case, so the run is scored in lower case as well.
    """

    source: str
    system: str
    bleu: float


PAPERS = (
    Published(
        "Caglayan et al. 2017 (arXiv 1707.04481), one run of github.com/lium-lst/wmt17-mmt",
        "GRU encoder-decoder with attention",
        39.0,
    ),
    Published(
        "Wu et al. 2021 (arXiv 2105.14462), github.com/LividWo/Revisit-MMT, README-baseline.md",
        "Transformer, 4 + 4 layers of width 128, 2.6 million",
        41.02,
    ),
)


def scores(run: TrainedRun, data: Path) -> list[dict[str, Any]]:
    """A line for each test text of the run's recipe, decoded as the recipe says."""
    lines = []
    with progress_bar("test texts", len(run.config.test)) as done:
        for text in run.config.test:
            pairs = list(read_pairs(text, data))
            options = run.config.decoding_options()
            found = translate(run.network, run.tokenizer, [pair.source for pair in pairs], options)
            measured = score(found, [pair.target for pair in pairs])
            small = lower_case_bleu(found, [pair.target for pair in pairs])
            lines.append({"test": text.name, "sentences": len(pairs), **asdict(measured), **small})
            done()
    return lines


def lower_case_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Corpus BLEU that takes no notice of capitals, in 0..100, and its signature."""
    metric = BLEU(lowercase=True)
    found = metric.corpus_score(list(hypotheses), [list(references)])
    return {"lower_case_bleu": found.score, "lower_case_bleu_signature": str(metric.get_signature())}


def report(run: TrainedRun, lines: Sequence[dict[str, Any]], facts: dict[str, str]) -> Report:
    """Tables and JSON: this run's scores, and those of papers."""
    ours = Figures(
        "Scores of this run",
        ["test", "sentences", "BLEU", "BLEU, lower case", "chrF"],
        [_scores_row(line) for line in lines],
    )
    theirs = Figures(
        "Published, test2016",
        ["source", "system", "BLEU"],
        [[paper.source, paper.system, f"{paper.bleu:.1f}"] for paper in PAPERS],
    )
    how = Figures("How it was trained", ["", ""], _training(run))
    data = {
        "scores": list(lines),
        "papers": [asdict(paper) for paper in PAPERS],
        "recipe": run.config.to_dict(),
        **run.progress,
        "tables": [asdict(table) for table in (ours, theirs, how)],
    }
    return Report(NAME, "Multi30k, English to German", facts, [ours, theirs, how], data)


def _scores_row(line: dict[str, Any]) -> list[str]:
    figures = (line["bleu"], line["lower_case_bleu"], line["chrf"])
    return [line["test"], f"{line['sentences']:,}", *(f"{figure:.2f}" for figure in figures)]


def _training(run: TrainedRun) -> list[list[str]]:
    progress, config = run.progress, run.config
    seconds = [line["seconds"] for line in run.metrics if "seconds" in line][-1:]
    return [
        ["parameters", f"{num_parameters(run.network):,}"],
        ["steps", f"{progress['step']:,}"],
        ["target tokens", f"{progress['target_tokens']:,}"],
        ["seconds of steps, by the clock", f"{seconds[0]:,.0f}" if seconds else "-"],
        ["precision", config.precision],
        ["pieces", f"{config.tokenizer.vocab_size:,}"],
    ]


def main(
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
    data: Annotated[Path, typer.Option(help="The folder with its texts.")],
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = RESULTS,
) -> None:
    """Score a run of training/recipes/research/ and write multi30k.json and .md."""
    try:
        trained = load_run(run)
    except (TrainingError, OSError) as error:
        raise typer.BadParameter(f"{run} holds no run: {error}") from error
    publish(report(trained, scores(trained, data), run_facts(torch.get_num_threads())), output)


if __name__ == "__main__":
    typer.run(main)
