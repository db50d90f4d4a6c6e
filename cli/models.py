"""`verto models`: which bundles lie in a folder, what they translate, and whether their files are whole.

Knows bundles' descriptions and checksums; loads no weights. Its subcommands, about the models of a running
server, stand in cli/running_models.py.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import running_models
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from model.bundle_config import BundleInfo
    from model.directions import Directions


group = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
for _command in (running_models.status, running_models.load, running_models.reload, running_models.unload):
    group.command()(_command)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A bundle and what was found of it; `fault` says what is wrong with a broken one."""

    folder: Path
    info: "BundleInfo | None" = None
    num_bytes: int = 0
    fault: str | None = None

    @property
    def row(self) -> tuple[str, ...]:
        if self.info is None:
            return ("?", "?", "?", "?", "broken", str(self.folder))
        size = f"{self.num_bytes / 1e6:.1f} MB"
        directions = _directions(self.info.languages)
        return (self.info.name, self.info.version, directions, size, "yes", str(self.folder))

    def to_json(self) -> dict[str, object]:
        if self.info is None:
            return {"folder": str(self.folder), "verified": False, "fault": self.fault}
        return {
            "name": self.info.name,
            "version": self.info.version,
            "directions": self.info.languages.to_json(),
            "bytes": self.num_bytes,
            "verified": True,
            "folder": str(self.folder),
        }


@group.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of bundles.", show_default="checkpoints")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of the bundles.")] = False,
) -> None:
    """List the bundles that are found on disk; with a command, change the models of a running server.

    Every file is compared with its checksum. Ends with code 1 when a bundle is broken, and says what is wrong
    with it.

    \b
    Examples:
      verto models
      verto models --models-dir ./my-bundles --json
      verto models status --server http://127.0.0.1:8000
      verto models load en-fr
    """
    if context.invoked_subcommand is not None:
        option = "--models-dir" if models_dir is not None else "--json" if as_json else None
        if option is not None:
            detail = "is about bundles on disk; a running server has a folder of its own"
            raise typer.BadParameter(detail, param_hint=option)
        return
    with orderly_end():
        _list(models_dir, as_json)


def _list(models_dir: Path | None, as_json: bool) -> None:
    from model.bundle_head import list_bundles, why_no_bundle
    from service.settings import resolve_settings

    root = resolve_settings({"models_dir": models_dir}).settings.models_dir
    listed = [_look_at(folder) for folder in list_bundles(root)]
    if not listed:
        typer.echo(f"verto: {root}: {why_no_bundle(root)}; train one with `verto train`", err=True)
        raise typer.Exit(2)
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in listed], indent=2))
    else:
        _show(listed)
    if any(one.fault for one in listed):
        raise typer.Exit(1)


def _show(listed: "list[_Listed]") -> None:
    from rich.table import Table

    from cli.tables import print_table

    table = Table("model", "version", "directions", "size", "verified", "folder")
    for one in listed:
        table.add_row(*one.row)
    print_table(table)
    for fault in [one.fault for one in listed if one.fault]:
        typer.echo(fault)


def _look_at(folder: Path) -> _Listed:
    from model.bundle_config import CONFIG_FILE, parse_config
    from model.bundle_head import verify_bundle
    from model.manifest import BundleError

    path = folder / CONFIG_FILE
    try:
        files = verify_bundle(folder)
        info, _ = parse_config(path, path.read_bytes())
    except BundleError as error:
        return _Listed(folder, fault=str(error))
    return _Listed(folder, info, sum(entry.size for entry in files.values()))


def _directions(languages: "Directions") -> str:
    if languages.is_product:
        return f"{len(languages.sources)} languages → {len(languages.targets)}"
    return ", ".join(f"{source} → {target}" for source, target in languages)
