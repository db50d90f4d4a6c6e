"""`verto prepare`: builds the native kernels, and tries them on bundles, before anybody waits for either.

Knows options and what is printed; how a library is built stands in model/native/, what a bundle needs in
model/native/agreement.py.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.stopping import orderly_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from model.native.binding import Library
    from model.native.levels import Level
    from model.native.library import BuildSettings, BuiltLibrary
    from model.transformer import Transformer

PRECISIONS = ("float32", "bfloat16", "int8")


def run(
    bundles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BUNDLE", help="Bundles to try, by folder or name.", show_default="all in --models-dir"
        ),
    ] = None,
    level: Annotated[
        str,
        typer.Option(help="auto (this processor's best), all (for images), amx, avx512vnni, avx2, generic."),
    ] = "auto",
    precision: Annotated[
        list[str] | None,
        typer.Option(help="float32, bfloat16 or int8; may be repeated.", show_default="all three"),
    ] = None,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of bundles.", show_default="checkpoints")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Folder of built kernels.", show_default="~/.cache/verto")
    ] = None,
    cxx: Annotated[
        str | None, typer.Option(help="C++ compiler.", show_default="c++, g++ or clang++, which is there")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build what is there already, too.")] = False,
    num_threads: Annotated[
        int | None, typer.Option(help="Threads for trying bundles.", show_default="usable processors")
    ] = None,
    kernels_only: Annotated[bool, typer.Option("--kernels-only", help="Try no bundle.")] = False,
) -> None:
    """Build the native kernels and try them on bundles.

    A server that finds them built has them from its first request; one that does not begins without, and
    builds them beside its traffic. What is there already is not built again. Ends with code 1 when a
    bundle's answers are not those that it has without kernels, with 2 when there is no bundle to try.

    \b
    Examples:
      verto prepare
      verto prepare checkpoints/en-de --precision int8
      verto prepare --level all --kernels-only --cache-dir /opt/verto/kernels
      VERTO_CACHE_DIR=/opt/verto/kernels verto serve --kernels native
    """
    from rich.console import Console

    from model.native.library import BuildSettings
    from service.settings import resolve_settings

    given = {"models_dir": models_dir, "cache_dir": cache_dir, "cxx": cxx, "num_threads": num_threads}
    if kernels_only:
        _refuse_what_is_for_bundles(bundles, precision, models_dir, num_threads)
    settings = resolve_settings(given).settings
    precisions = _checked_precisions(precision or PRECISIONS)
    levels = _levels(level)
    folders = [] if kernels_only else _folders(settings.models_dir, bundles or [])
    console = Console()
    build = BuildSettings(cache_dir=settings.cache_dir, compiler=settings.cxx)
    with orderly_end():
        _build(console, build, levels, rebuild)
        if folders and not _try_bundles(console, build, levels, folders, precisions, settings.num_threads):
            raise typer.Exit(1)


def _refuse_what_is_for_bundles(
    bundles: list[str] | None, precision: list[str] | None, models_dir: Path | None, num_threads: int | None
) -> None:
    """An option that would do nothing was meant otherwise."""
    given = {
        "BUNDLE": bundles,
        "--precision": precision,
        "--models-dir": models_dir,
        "--num-threads": num_threads,
    }
    for name, value in given.items():
        if value not in (None, []):
            raise typer.BadParameter("is for trying bundles; --kernels-only tries none", param_hint=name)


def _checked_precisions(wanted: "Sequence[str]") -> "Sequence[str]":
    for one in wanted:
        if one not in PRECISIONS:
            raise typer.BadParameter(f"--precision must be one of {', '.join(PRECISIONS)}, got {one!r}")
    return list(dict.fromkeys(wanted))


def _levels(wanted: str) -> "list[Level]":
    from model.native.levels import LEVEL_NAMES, LEVELS, level_named
    from model.native.library import choose_level

    if wanted == "auto":
        return [choose_level()]
    if wanted == "all":
        return [level for level in LEVELS if level.exists_here()]
    if wanted not in LEVEL_NAMES:
        raise typer.BadParameter(
            f"--level must be auto, all or one of {', '.join(LEVEL_NAMES)}, got {wanted!r}"
        )
    return [level_named(wanted)]


def _build(console: "Console", build: "BuildSettings", levels: "Sequence[Level]", rebuild: bool) -> None:
    from model.native.levels import supported_levels
    from model.native.library import build_library

    for level in levels:
        with console.status(f"building the kernels of level {level.name}"):
            built = build_library(build, level, anew=rebuild)  # checked, where it can run here
        typer.echo(_line_of(built, level in supported_levels()))


def _line_of(built: "BuiltLibrary", runs_here: bool) -> str:
    made = "was there" if built.was_there else f"built in {built.seconds:.1f} s"
    checked = "runs here" if runs_here else "not for this processor"
    of_what = f"{built.record.size / 1e6:.1f} MB, {built.record.compiler}"
    return f"kernels {built.level.name}: {made} ({of_what}), {checked}: {built.path}"


def _folders(models_dir: Path, bundles: "Sequence[str]") -> list[Path]:
    """Never none. Raises BadParameter, BundleError."""
    from cli.model_choice import bundle_folder
    from model.bundle_head import list_bundles, why_no_bundle

    if bundles:
        return [bundle_folder(models_dir, bundle) for bundle in bundles]
    found = list_bundles(models_dir)
    if not found:
        fault = f"{models_dir}: {why_no_bundle(models_dir)}; --kernels-only builds the kernels alone"
        raise typer.BadParameter(fault, param_hint="--models-dir")
    return found


def _try_bundles(
    console: "Console",
    build: "BuildSettings",
    levels: "Sequence[Level]",
    folders: "Sequence[Path]",
    precisions: "Sequence[str]",
    num_threads: int,
) -> bool:
    """Whether every bundle says the same with the kernels as without."""
    from model.native.levels import supported_levels

    usable = [level for level in levels if level in supported_levels()]
    if not usable:
        typer.echo("no bundle was tried: this processor lacks the level")
        return True
    library = _open(build, usable[0])
    agreed = [_try_bundle(console, library, folder, precisions, num_threads) for folder in folders]
    return all(agreed)


def _open(build: "BuildSettings", level: "Level") -> "Library":
    from model.native.binding import Library
    from model.native.library import open_library

    # Not `build=False`: another one that builds may be putting its own there in this moment.
    return Library(open_library(build, level.name).functions)


def _try_bundle(
    console: "Console", library: "Library", folder: Path, precisions: "Sequence[str]", num_threads: int
) -> bool:
    import torch

    from model.checkpoint import load_bundle
    from service.engine.weight_memory import check_memory

    torch.set_num_threads(num_threads)
    check_memory(folder, "float32", 0, 1)
    with console.status(f"reading {folder}"):
        bundle = load_bundle(folder)
    agreed = True
    for precision in precisions:
        with console.status(f"{folder.name} in {precision}"):
            line, agrees = _try_precision(library, bundle.model, precision, num_threads)
        typer.echo(f"{bundle.info.name} {precision}: {line}")
        agreed = agreed and agrees
    return agreed


def _try_precision(
    library: "Library", model: "Transformer", precision: str, num_threads: int
) -> tuple[str, bool]:
    import time

    from model.native.agreement import TOLERANCE, eager_in, largest_difference
    from model.native.network import NativeNetwork

    started = time.perf_counter()
    network = NativeNetwork.from_model(model, precision, num_threads, library)
    seconds = time.perf_counter() - started
    difference = largest_difference(eager_in(model, precision), network)
    agrees = difference <= TOLERANCE[precision]  # false for NaN too
    verdict = "agrees with PyTorch" if agrees else "DOES NOT AGREE with PyTorch"
    told = f"packed in {seconds:.1f} s ({network.num_bytes / 1e6:.1f} MB), {verdict}"
    return f"{told} (log-probabilities within {difference:.2g}; allowed {TOLERANCE[precision]})", agrees
