"""`verto models`: which bundles lie in a folder, what they translate, and whether their files are whole.

Knows bundles' descriptions and checksums; loads no weights. Its subcommands, about the models of a running
server, stand in cli/running_models.py.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import running_models
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from rich.table import Table

    from model.directions import Directions


group = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
for _command in (running_models.status, running_models.load, running_models.reload, running_models.unload):
    group.command()(_command)


@group.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of bundles.", show_default="checkpoints")
    ] = None,
) -> None:
    """List the bundles that are found on disk; with a command, change the models of a running server.

    Every file is compared with its checksum. Ends with code 1 when a bundle is broken, and says what is wrong
    with it.

    \b
    Examples:
      verto models
      verto models --models-dir ./my-bundles
      verto models status --server http://127.0.0.1:8000
      verto models load en-fr
    """
    if context.invoked_subcommand is not None:
        if models_dir is not None:
            detail = "is about bundles on disk; a running server has a folder of its own"
            raise typer.BadParameter(detail, param_hint="--models-dir")
        return
    with orderly_end():
        _list(models_dir)


def _list(models_dir: Path | None) -> None:
    from cli.tables import print_table
    from model.bundle_head import list_bundles, why_no_bundle
    from service.settings import resolve_settings

    root = resolve_settings({"models_dir": models_dir}).settings.models_dir
    bundles = list_bundles(root)
    if not bundles:
        typer.echo(f"verto: {root}: {why_no_bundle(root)}; train one with `verto train`", err=True)
        raise typer.Exit(2)
    table, faults = _table(bundles)
    print_table(table)
    for fault in faults:
        typer.echo(fault)
    if faults:
        raise typer.Exit(1)


def _table(bundles: list[Path]) -> "tuple[Table, list[str]]":
    from rich.table import Table

    from model.manifest import BundleError

    table = Table("model", "version", "directions", "size", "verified", "folder")
    faults: list[str] = []
    for folder in bundles:
        try:
            table.add_row(*_row(folder), str(folder))
        except BundleError as error:
            table.add_row("?", "?", "?", "?", "broken", str(folder))
            faults.append(str(error))
    return table, faults


def _row(folder: Path) -> tuple[str, str, str, str, str]:
    """Raises BundleError for a file that is missing, changed or unreadable."""
    from model.bundle_config import CONFIG_FILE, parse_config
    from model.bundle_head import verify_bundle

    files = verify_bundle(folder)
    path = folder / CONFIG_FILE
    info, _ = parse_config(path, path.read_bytes())
    directions = _directions(info.languages)
    size = sum(entry.size for entry in files.values())
    return info.name, info.version, directions, f"{size / 1e6:.1f} MB", "yes"


def _directions(languages: "Directions") -> str:
    if languages.is_product:
        return f"{len(languages.sources)} languages → {len(languages.targets)}"
    return ", ".join(f"{source} → {target}" for source, target in languages)
