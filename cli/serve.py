"""`verto serve`: settings from the command line, then the server.

Knows options and their names; what they mean stands in service/settings.py.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.main import version
from cli.stopping import orderly_end

if TYPE_CHECKING:
    from service.hosting.hosting import Hosting
    from service.settings import ResolvedSettings


def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.", show_default="8000")] = None,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of bundles.", show_default="checkpoints")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, bfloat16, int8 or float16.", show_default="float32")
    ] = None,
    kernels: Annotated[
        str | None,
        typer.Option(help="auto, native or eager: see `verto prepare`.", show_default="auto"),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="process or thread: where a model runs.", show_default="process"),
    ] = None,
    num_threads: Annotated[
        int | None, typer.Option(help="Threads for the network on a CPU.", show_default="usable processors")
    ] = None,
    max_rows: Annotated[int | None, typer.Option(help="Rows decoded in one step.", show_default="96")] = None,
    copying: Annotated[
        bool | None,
        typer.Option(
            "--copying/--no-copying",
            help="Whether addresses, code, numbers, emoji are copied.",
            show_default="copied",
        ),
    ] = None,
    max_queue_tokens: Annotated[
        int | None, typer.Option(help="Source tokens that may wait.", show_default="200000")
    ] = None,
    default_timeout_seconds: Annotated[
        float | None, typer.Option(help="For requests without timeout_ms.", show_default="60")
    ] = None,
    drain_delay_seconds: Annotated[
        float | None,
        typer.Option(help="To go on after SIGTERM while /health/ready says no.", show_default="0"),
    ] = None,
    drain_timeout_seconds: Annotated[
        float | None, typer.Option(help="To finish accepted requests.", show_default="60")
    ] = None,
    watch_seconds: Annotated[
        float | None, typer.Option(help="Between looks at the folder of bundles; 0: none.", show_default="0")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, json or text.", show_default="auto")] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.", show_default="info")
    ] = None,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print every setting with its source, and end.")
    ] = False,
) -> None:
    """Start the translation server.

    Every setting can also be given as an environment variable, VERTO_ and its name in capitals; the command
    line comes first. --show-settings lists them all. The first Ctrl-C (or SIGTERM) finishes what was
    accepted, the second stops at once.

    \b
    Examples:
      verto serve
      verto serve --host 0.0.0.0 --port 9000
      verto serve --precision int8
      VERTO_MAX_TEXT_CHARACTERS=5000 verto serve --models-dir ./my-bundles
      verto serve --models-dir ./my-bundles --watch-seconds 5
      verto serve --show-settings
    """
    given = {name: value for name, value in locals().items() if name != "show_settings"}
    from service.settings import resolve_settings

    resolved = resolve_settings(given)
    if show_settings:
        _show(resolved)
    else:
        _serve(resolved)


def _serve(resolved: "ResolvedSettings") -> None:
    from service.app import create_app
    from service.lifecycle import Lifecycle
    from service.log import configure_logging
    from service.metrics import Metrics
    from service.serving import serve
    from service.tracing import traced

    settings = resolved.settings
    configure_logging(settings.log_format, settings.log_level)
    metrics, lifecycle = Metrics(), Lifecycle()
    with traced(settings, version()) as tracing:
        app = create_app(None, settings, metrics=metrics, lifecycle=lifecycle, tracing=tracing)
        observer = metrics if tracing is None else tracing.listening_with(metrics)

        def load() -> "Hosting":
            from service.loading import load_hosting

            return load_hosting(settings, metrics, lifecycle, observer)

        in_order = serve(app, settings, lifecycle, load)
    if not in_order:
        raise typer.Exit(1)


def _show(resolved: "ResolvedSettings") -> None:
    from rich.table import Table

    from cli.tables import print_table

    table = Table("setting", "value", "from", "meaning")
    for name, field in type(resolved.settings).model_fields.items():
        value = str(getattr(resolved.settings, name))
        table.add_row(name, value, resolved.origins[name], field.description)
    with orderly_end():
        print_table(table)
