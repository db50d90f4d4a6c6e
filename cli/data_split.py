"""`verto data split`: two texts into train, dev and test pairs.

Knows: how texts and numbers are named on the command line, and what is shown meanwhile. Must not know which
pairs are drawn.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli.stopping import orderly_end


def run(
    source: Annotated[Path, typer.Argument(help="The sentences, one a line; `.gz` is read.")],
    target: Annotated[Path, typer.Argument(help="Their translations, as many lines.")],
    folder: Annotated[Path, typer.Argument(help="The folder that gets train.tsv, dev.tsv and test.tsv.")],
    dev: Annotated[int, typer.Option(min=1, help="Pairs to look at during training.")] = 1000,
    test: Annotated[int, typer.Option(min=1, help="Pairs that only the finished model is scored on.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other pairs.")] = 1,
) -> None:
    """Set dev and test pairs aside from two texts, and write the others to learn from.

    Dev and test pairs are drawn by chance; no sentence of theirs, on either side, is among the others.

    \b
    Examples:
      verto data split texts.en texts.de corpus
      verto data split texts.en.gz texts.de.gz corpus --dev 500 --test 2000

    \b
    Exit codes: 0 done, 2 wrong options or texts, 130 Ctrl-C, which leaves none of the files.
    """
    try:
        from training.splitting import split
    except ModuleNotFoundError as error:  # a serving environment holds no training dependency
        needed = "this needs, from the root of the clone: pip install '.[training]'"
        typer.echo(f"verto: {error.name} is missing; {needed}", err=True)
        raise typer.Exit(2) from error
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} pairs"))
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with orderly_end(), bar as bars:

        def counting(name: str) -> Callable[[], object]:
            task = bars.add_task(name)
            return lambda: bars.advance(task)

        report = split(source, target, folder, dev, test, seed, counting)
    with orderly_end():
        typer.echo(report.describe())
