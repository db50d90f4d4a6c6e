"""`verto data prepare`: the corpora that a recipe names, from raw downloads or local files.

Knows: how recipe and folders are named on the command line, and how progress is shown. Must not know: HTTP,
formats.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.stopping import orderly_end

if TYPE_CHECKING:
    from training.config import TrainingConfig


def run(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe with `sources`, such as training/recipes/en-de.yaml.")
    ],
    data: Annotated[Path, typer.Option(help="The folder that gets a folder for each corpus.")] = Path("data"),
    raw: Annotated[
        Path | None,
        typer.Option(help="Folder of the raw files; what lies there is used.", show_default="DATA/raw"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CORPUS", help="No other corpus; may be given often."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make every corpus again, also one put there by hand.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only faults on standard error.")] = False,
) -> None:
    """Make the corpora that a recipe trains on: download, check, read, clean, keep test texts out.

    What is there already is kept: a download goes on where it stopped, a corpus is made again only when the
    recipe or a raw file has changed. The folders' paths are printed. docs/data.md explains `sources`.

    \b
    Examples:
      verto data prepare training/recipes/en-de.yaml --data ~/corpora
      verto data prepare my.yaml --raw ~/downloads --offline --only tatoeba-en-de

    \b
    Exit codes: 0 done, 2 a fault of the recipe, a raw file or the disk, 130 Ctrl-C.
    """
    config = _load(recipe)
    how = {"offline": offline, "rebuild": rebuild}
    with orderly_end():
        folders = prepare(config, recipe, data, Shown(quiet), raw, only or (), **how)
    for folder in folders:
        typer.echo(folder)


def prepare(
    config: "TrainingConfig",
    recipe: Path,
    data: Path,
    listener: "Shown",
    raw: Path | None = None,
    only: Sequence[str] = (),
    *,
    offline: bool = False,
    rebuild: bool = False,
) -> list[Path]:
    """The folders of the corpora. Raises `SourceError`, also for a recipe without `sources`."""
    from training.errors import SourceError
    from training.sources.preparation import prepare_sources
    from training.sources.raw_files import Places

    if config.sources is None:
        raise SourceError(f"{recipe}: has no `sources`; docs/data.md shows how to write them")
    places = Places(recipe=recipe.parent, raw=raw or data / "raw", data=data)
    return prepare_sources(config.sources, places, listener, only=only, offline=offline, rebuild=rebuild)


class Shown:
    """Lines and bars on standard error."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    def say(self, line: str) -> None:
        if not self._quiet:
            typer.echo(line, err=True)

    @contextmanager
    def receiving(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar while one file comes: bytes, rate, time that is left."""
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Rate

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            Rate(),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        with Progress(
            *columns, console=console, transient=True, disable=self._quiet or not console.is_terminal
        ) as bars:
            task = bars.add_task(name, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)


def _load(recipe: Path) -> "TrainingConfig":
    try:
        from training.config import load_recipe
    except ModuleNotFoundError as error:  # a serving environment holds no training dependency
        needed = "this needs, from the root of the clone: pip install '.[training]'"
        typer.echo(f"verto: {error.name} is missing; {needed}", err=True)
        raise typer.Exit(2) from error
    return load_recipe(recipe)
