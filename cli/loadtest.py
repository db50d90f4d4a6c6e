"""`verto loadtest`: a server under load, two measurements side by side, the rate that a server keeps up with.

Knows options and their names; what they mean stands in `loadtests/traffic/`, which no serving image holds.
"""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)


@group.callback()
def about() -> None:
    """Put a server under load, and compare what was measured.

    \b
    Examples:
      verto loadtest run
      verto loadtest run --url http://localhost:8000 --users 8 --rates 20,40
      verto loadtest compare before.json after.json --fail-over 10%
      verto loadtest saturate --bound-ms 1000
    """


class LoadTestsMissing(Exception):
    """The load tests are not installed; says how to get them."""


def check_installed() -> None:
    """Raises LoadTestsMissing."""
    if importlib.util.find_spec("loadtests") is None:
        raise LoadTestsMissing(
            "the load tests are not installed here (a serving image has none); run this elsewhere against "
            "--url, from the root of a clone of the repository after `make test` or pip install '.[loadtest]'"
        )


Url = Annotated[str | None, typer.Option("--url", help="A running server; without it, one is started.")]
Headers = Annotated[
    list[str] | None, typer.Option("--header", help="'Name: value' for every request; as often as needed.")
]
ServeOptions = Annotated[
    str, typer.Option("--serve-options", help="Of the server that is started, as '--precision int8'.")
]
Traffic = Annotated[
    str | None,
    typer.Option(
        "--traffic",
        help="translate, batch, stream, mixed, or weights as translate=7,stream=3.",
        show_default="mixed",
    ),
]
Strategy = Annotated[
    str | None, typer.Option(help="beam, greedy or sample.", show_default="the server's own")
]
Source = Annotated[str | None, typer.Option(help="Language of the texts.", show_default="English")]
Target = Annotated[
    str | None, typer.Option(help="Language to translate into.", show_default="the first there is")
]
Sentences = Annotated[
    Path | None, typer.Option(help="Text or TSV to translate, plain or gzip.", show_default="made up")
]
Seed = Annotated[int | None, typer.Option(help="Of lengths, texts and moments.", show_default="0")]
Timeout = Annotated[float | None, typer.Option(help="After which a request is given up.", show_default="30")]

Results = Annotated[Path, typer.Option(help="Folder of the report.")]
Name = Annotated[str | None, typer.Option(help="Of its files.", show_default="kind, date and time")]
DEFAULT_RESULTS = Path("runs/loadtest")


@group.command()
def run(
    url: Url = None,
    header: Headers = None,
    serve_options: ServeOptions = "",
    traffic: Traffic = None,
    users: Annotated[
        str | None,
        typer.Option(
            help="Numbers of users who wait for their answers (locust); '' for none.", show_default="1,8,32"
        ),
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            help="Requests a second that wait for nobody; '' for none.",
            show_default="30, 60, 90 and 120 % of what users have reached",
        ),
    ] = None,
    arrivals: Annotated[
        str | None,
        typer.Option(help="poisson, constant or bursts: when those are due.", show_default="poisson"),
    ] = None,
    bursts: Annotated[
        str | None,
        typer.Option(help="Rates that come in bursts; '' for none.", show_default="50 % of the same"),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of a window.", show_default="5")] = None,
    warm_up_seconds: Annotated[
        float | None, typer.Option(help="Before each window.", show_default="1.5")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Windows of each level.", show_default="3")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="What a good request keeps, as translate.latency=1000 (ms); as often as needed."),
    ] = None,
    strategy: Strategy = None,
    source: Source = None,
    target: Target = None,
    sentences: Sentences = None,
    seed: Seed = None,
    timeout_seconds: Timeout = None,
    like: Annotated[
        Path | None, typer.Option(help="Repeat what this result was measured with, at the same rates.")
    ] = None,
    results: Results = DEFAULT_RESULTS,
    name: Name = None,
) -> None:
    """Measure a server at several levels of load, and write a report.

    Its files are NAME.html, which needs no network, NAME.json for `compare` and --like, NAME.md and NAME.svg.

    \b
    Examples:
      verto loadtest run
      verto loadtest run --url http://localhost:8000 --traffic stream --users '' --rates 5,10
      verto loadtest run --serve-options '--precision int8' --like before.json --name after
    """
    check_installed()
    from cli.stopping import orderly_end
    from loadtests.traffic.commands import asking_of, plan_of, run_and_report

    asking = asking_of(
        traffic=traffic, strategy=strategy, source=source, target=target, sentences=sentences, seed=seed,
        timeout_seconds=timeout_seconds,
    )  # fmt: skip
    plan = plan_of(
        like, asking, users=users, rates=rates, bursts=bursts, arrivals=arrivals, seconds=seconds,
        warm_up_seconds=warm_up_seconds, rounds=rounds, limits=limit,
    )  # fmt: skip
    with orderly_end():
        is_whole = run_and_report(plan, url, header or [], serve_options, results, name)
    if not is_whole:
        raise typer.Exit(1)


@group.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="NAME.json of the run before.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="NAME.json of the run after.")],
    fail_over: Annotated[
        str | None,
        typer.Option(help="End with 1 where something is surely worse, and by more than this, as 10%."),
    ] = None,
    every_kind: Annotated[
        bool, typer.Option("--every-kind", help="Rows for each kind of requests, too.")
    ] = False,
) -> None:
    """Tell what has changed from A to B, and what of it is noise.

    Both must have asked the same: see `verto loadtest run --like`.

    \b
    Examples:
      verto loadtest compare before.json after.json
      verto loadtest compare before.json after.json --fail-over 10%
    """
    check_installed()
    from loadtests.traffic.commands import compare as compare_files

    if not compare_files(a, b, fail_over, every_kind):
        raise typer.Exit(1)


@group.command()
def saturate(
    url: Url = None,
    header: Headers = None,
    serve_options: ServeOptions = "",
    bound_ms: Annotated[float, typer.Option(help="What 99 of 100 requests stay below.")] = 1000.0,
    of: Annotated[str, typer.Option(help="latency, or first-text of streams: what is below it.")] = "latency",
    traffic: Annotated[str, typer.Option(help="As `run` has it.")] = "translate",
    seconds: Annotated[float, typer.Option(help="Length of a window, besides up to 2 s of warm-up.")] = 8.0,
    strategy: Strategy = None,
    source: Source = None,
    target: Target = None,
    sentences: Sentences = None,
    seed: Seed = None,
    timeout_seconds: Timeout = None,
    results: Results = DEFAULT_RESULTS,
    name: Name = None,
) -> None:
    """Find the highest rate at which 99 of 100 answers keep a bound.

    Rates lie on a grid of 5 %; the highest that holds and the next one are seen three times each. At most 18
    windows, so about three minutes. Ends with 1 where no rate holds.

    \b
    Examples:
      verto loadtest saturate
      verto loadtest saturate --url http://localhost:8000 --bound-ms 500
      verto loadtest saturate --traffic stream --of first-text --bound-ms 300
    """
    check_installed()
    from cli.stopping import orderly_end
    from loadtests.traffic.commands import asking_of, saturate_and_report
    from loadtests.traffic.plan import Asking
    from loadtests.traffic.saturate import Search

    asking = asking_of(
        traffic=traffic, strategy=strategy, source=source, target=target, sentences=sentences, seed=seed,
        timeout_seconds=timeout_seconds,
    )  # fmt: skip
    search = Search(Asking(**asking), bound_ms, of, seconds)
    with orderly_end():
        holds = saturate_and_report(search, url, header or [], serve_options, results, name)
    if not holds:
        raise typer.Exit(1)
