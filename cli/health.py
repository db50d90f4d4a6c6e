"""`verto health`: asks a running server how it is; for images, which have no other program to ask with.

Knows the health addresses and where a server with these settings listens. Must not load a model.
"""

from typing import Annotated

import typer

CHECKS = ("startup", "live", "ready")
MAX_SECONDS = 86_400.0  # a socket takes no number of any size


def run(
    check: Annotated[
        str, typer.Option(help="startup: models are in memory; live: it answers; ready: new work is taken.")
    ] = "startup",
    url: Annotated[
        str | None,
        typer.Option(help="The server's address.", show_default="this machine, VERTO_HOST and VERTO_PORT"),
    ] = None,
    timeout_seconds: Annotated[
        float, typer.Option(help="How long to wait for an answer.", min=0.1, max=MAX_SECONDS)
    ] = 4.0,
) -> None:
    """Ask a running server how it is.

    Ends with code 0 when the answer is good, with 1 when it is not or there is none. Nothing is sent through
    a proxy.

    \b
    Examples:
      verto health
      verto health --check ready --url http://10.0.0.7:8000
    """
    if check not in CHECKS:
        raise typer.BadParameter(f"--check must be one of {', '.join(CHECKS)}, got {check!r}")
    if url is not None and not url.lower().startswith(("http://", "https://")):
        typer.echo(f"verto: --url must be an address such as http://localhost:8000, got {url!r}", err=True)
        raise typer.Exit(1)
    address = f"{(url or _own_url()).rstrip('/')}/health/{check}"
    fault = _ask(address, timeout_seconds)
    if fault:
        typer.echo(f"verto: {address}: {fault}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{address}: ok")


def _own_url() -> str:
    from service.settings import resolve_settings

    settings = resolve_settings().settings
    if settings.port == 0:
        raise typer.BadParameter("VERTO_PORT is 0, so the server has taken any port; give --url")
    # Where it listens on every address, it listens on the machine's own too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _ask(address: str, timeout_seconds: float) -> str:
    """What is wrong; nothing: nothing is."""
    import http.client
    import urllib.error
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=timeout_seconds):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"status {error.code}"
    except urllib.error.URLError as error:
        return f"no answer ({error.reason})"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"no answer ({str(error) or type(error).__name__})"
