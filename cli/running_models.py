"""`verto models status|load|reload|unload`: the models of a running server.

Knows options and what is printed; how a server is asked stands in cli/admin_client.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.stopping import orderly_end

if TYPE_CHECKING:
    from cli.admin_client import AdminClient

Server = Annotated[str, typer.Option("--server", help="Address of the running server.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--admin-key-file", help="File that holds the admin key.", show_default="VERTO_ADMIN_KEY"),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is done, or only until it has begun.")]
DEFAULT_SERVER = "http://127.0.0.1:8000"


def status(
    server: Server = DEFAULT_SERVER,
    admin_key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's answer as it is.")] = False,
) -> None:
    """List the models of a running server with their states.

    \b
    Examples:
      verto models status
      verto models status --server https://translate.example.org --admin-key-file key.txt
      verto models status --json
    """
    told = _client(server, admin_key_file).models()
    with orderly_end():
        if as_json:
            typer.echo(json.dumps(told, indent=2))
        else:
            _print_status(told)


def load(
    folder: Annotated[str, typer.Argument(help="Name of the bundle's folder in the server's models folder.")],
    swap: Annotated[
        str,
        typer.Option(help="none, beside or unload_first: what becomes of a served model of the same name."),
    ] = "none",
    server: Server = DEFAULT_SERVER,
    admin_key_file: KeyFile = None,
    wait: Wait = True,
) -> None:
    """Serve a bundle that lies in the server's models folder.

    With --swap beside the old model of the same name serves until the new one does; both are in memory
    meanwhile. With --swap unload_first the old one goes first, and requests for it are told to come again.

    \b
    Examples:
      verto models load en-fr
      verto models load en-de-2 --swap beside
      verto models load en-de-2 --swap unload_first --no-wait
    """
    with _told():
        _print_state(_client(server, admin_key_file).load(folder, swap, wait=wait))


def reload(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    swap: Annotated[str, typer.Option(help="beside or unload_first, as with load.")] = "beside",
    server: Server = DEFAULT_SERVER,
    admin_key_file: KeyFile = None,
    wait: Wait = True,
) -> None:
    """Read a model's folder again, and serve what is there now.

    \b
    Examples:
      verto models reload en-de
      verto models reload en-de --server http://10.0.0.7:8000
    """
    with _told():
        _print_state(_client(server, admin_key_file).reload(name, swap, wait=wait))


def unload(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    server: Server = DEFAULT_SERVER,
    admin_key_file: KeyFile = None,
    wait: Wait = True,
) -> None:
    """Take a model away once what runs on it has ended.

    \b
    Examples:
      verto models unload en-fr
      verto models unload en-fr --no-wait
    """
    with _told():
        left = _client(server, admin_key_file).unload(name, wait=wait)
        if left:
            _print_state(left)
        else:
            typer.echo(f"{name}: gone")


def _client(server: str, key_file: Path | None) -> AdminClient:
    from cli.admin_client import AdminClient
    from service.settings import resolve_settings

    if key_file is not None:
        return AdminClient(server, _key_in(key_file))
    return AdminClient(server, resolve_settings().settings.admin_key.get_secret_value())


def _key_in(file: Path) -> str:
    """As VERTO_ADMIN_KEY is checked. Raises AdminError that names the file, OSError, SettingsError."""
    from cli.admin_client import AdminError
    from service.settings import SettingsError, resolve_settings

    try:
        return resolve_settings({"admin_key": file.read_text("utf-8")}).settings.admin_key.get_secret_value()
    except UnicodeDecodeError:
        raise AdminError(f"{file}: must be UTF-8 text that is an admin key") from None
    except SettingsError as error:
        raise SettingsError(str(error).replace("admin_key (command line)", str(file))) from None


@contextmanager
def _told() -> Iterator[None]:
    """A change that the server has tried and that failed is no fault of the options: exit code 1."""
    from cli.admin_client import ChangeFailed

    try:
        yield
    except ChangeFailed as failed:
        typer.echo(f"verto: {failed}", err=True)
        raise typer.Exit(1) from None


def _print_status(told: dict[str, Any]) -> None:
    _print_table(told["data"])
    for line in _remarks(told):
        typer.echo(line)


def _print_state(model: dict[str, Any]) -> None:
    typer.echo(f"{model['name']} {model['version']} ({model['folder']}): {model['state']}")


def _print_table(models: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from cli.tables import print_table

    table = Table("model", "version", "folder", "state", "since", "path", "memory", "reason")
    for one in models:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["since"]))
        path = f"{one['path']} on {one['device']}" if "path" in one else ""
        memory, reason = _in_mb(one["memory"]["needed_bytes"]), one.get("reason", "")
        table.add_row(one["name"], one["version"], one["folder"], one["state"], since, path, memory, reason)
    print_table(table)


def _remarks(told: dict[str, Any]) -> Iterator[str]:
    """What does not fit into a table of models."""
    room = told["memory"]
    if room["free_bytes"] is not None:
        limit = "" if room["limit_bytes"] is None else f" of {_in_mb(room['limit_bytes'])}"
        yield f"memory: {_in_mb(room['free_bytes'])}{limit} for more models"
    served = {one["folder"] for one in told["data"]}
    if more := [folder for folder in told["folders"] if folder not in served]:
        yield f"not served: {', '.join(more)}"
    for waiting in (told["watch"] or {}).get("waiting", []):
        yield f"waiting: {waiting['folder']} ({waiting['reason']})"


def _in_mb(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB"
