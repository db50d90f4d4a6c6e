"""`verto train`: a recipe and data in, a bundle out.

Knows: how a recipe, settings and folders are named on the command line. Must not know: how training works.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.data_prepare import Shown, prepare
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from model.native.library import BuildSettings
    from training.distributed import World

STOPPED, INTERRUPTED = 3, 130


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as training/recipes/en-de.yaml.")],
    data: Annotated[Path, typer.Option(help="The folder that the recipe's file names start from.")] = Path(
        "data"
    ),
    output: Annotated[
        Path | None, typer.Option(help="The run folder; default: runs/NAME. What lies there is resumed.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="Instead of the recipe's; may be given often."),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="First make what is missing of the data, as `verto data prepare`.")
    ] = False,
    leg_seconds: Annotated[
        float | None, typer.Option(min=1, help="Stop, resumably, so long after this start.")
    ] = None,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print every setting of the run, checked, and end.")
    ] = False,
) -> None:
    """Train a model from a recipe and write a bundle to RUN/bundle, whose path is printed.

    Ctrl-C and SIGTERM stop after the current step with exit code 3, as --leg-seconds does on borrowed
    machines; at once, with 130 and 143, while there are no steps. The same command resumes, and ends with the
    same weights.
    docs/training.md leads from two text files to a served model, and explains every setting.

    \b
    Examples:
      verto train training/recipes/toy.yaml
      verto train training/recipes/en-de.yaml --data ~/corpora --output runs/en-de
      verto train training/recipes/en-de.yaml --data ~/corpora --fetch
      verto train my.yaml --set max_steps=20000 --set optimizer.warmup_steps=500 --set device=cuda
      verto train my.yaml --set data.train.0.repeat=2 --show-settings
    """
    try:
        from training.baselines.outcome import SCORES_FILE
        from training.config import load_recipe
        from training.distributed import World
        from training.release import BUNDLE
        from training.run import train
    except ModuleNotFoundError as error:  # a serving environment holds no training dependency
        needed = "training needs, from the root of the clone: pip install '.[training]'"
        typer.echo(f"verto: {error.name} is missing; {needed}", err=True)
        raise typer.Exit(2) from error
    config = load_recipe(recipe, settings or ())
    if show_settings:
        from training.recipe_text import as_yaml

        with orderly_end():
            typer.echo(as_yaml(config.with_all_settings()), nl=False)
        return
    world = World.of_torchrun()
    if fetch and world.size > 1:
        raise typer.BadParameter("needs one process; run `verto data prepare` first", param_hint="--fetch")
    if fetch:
        with orderly_end("the same command goes on"):
            prepare(config, recipe, data, Shown())
    folder = output if output is not None else Path("runs") / config.name
    next_step = f"the same command goes on from {folder}"
    try:
        with _ended(world, next_step), _what_brings_texts(config.sources is not None):
            finished = train(config, data, folder, _kernels(), world, leg_seconds)
            if finished and world.is_main:
                typer.echo(folder / (BUNDLE if config.baseline is None else SCORES_FILE))
    except KeyboardInterrupt:  # for the second time
        typer.echo(f"verto: stopped; {next_step}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not finished:
        if world.is_main:
            typer.echo(f"stopped; {next_step}", err=True)
        raise typer.Exit(STOPPED)


@contextmanager
def _ended(world: "World", next_step: str) -> Iterator[None]:
    """How signals end the run where there are no steps. Only the first process has files to leave in order.

    Of one Ctrl-C torchrun makes several signals, and each would break into the tidying up after the first.
    """
    from training.errors import GroupError
    from training.stopping import end_at_once

    if world.is_main:
        with orderly_end(next_step, once=world.size > 1):
            yield
        return
    end_at_once()
    try:
        yield
    except GroupError:  # whoever ended has said why, or torchrun does, and the first process what to do next
        raise typer.Exit(2) from None


@contextmanager
def _what_brings_texts(can_be_made: bool) -> Iterator[None]:
    """Where one is missing, the fault says what the user may do next."""
    from training.errors import CorpusError

    try:
        yield
    except CorpusError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        hint = "--fetch makes it" if can_be_made else "--data names the folder that it lies in"
        raise CorpusError(f"{error}; {hint}") from None


def _kernels() -> "BuildSettings | None":
    """Where the server keeps its native kernels, and what builds them; None where the user wants none."""
    from model.native.library import BuildSettings
    from service.settings import resolve_settings

    settings = resolve_settings({}).settings
    if settings.kernels == "eager":
        return None
    return BuildSettings(cache_dir=settings.cache_dir, compiler=settings.cxx)
