"""The `verto` command: names its subcommands, loads the one asked for, turns known faults into one line.

Knows the subcommands' names and one line about each; must not import any of them, nor torch, until one is
run, so that `verto --help` answers at once.

How a subcommand plugs in
-------------------------
1. Write `cli/NAME.py` with a docstring about what it knows, and in it one function `run` whose parameters are
   `typing.Annotated[..., typer.Option(...)]` or `typer.Argument(...)`. Its docstring is the text of
   `verto NAME --help`; a paragraph that begins with a line holding only a backspace escape (write it as
   `\\b`) keeps its line breaks, which is how examples are shown. A command that has commands of its own
   names a `typer.Typer` of them `group` instead.
2. `COMMANDS` below names it, with the line that `verto --help` shows. A name whose file does not exist is not
   offered.
3. Import what is slow (torch, `model`, `service`) inside `run`, not at the top of the file.
4. Raise, do not print: an error listed in `_KNOWN_ERRORS`, an `OSError` about a file, a `MemoryError`, or
   `typer.BadParameter` becomes one line on standard error and exit code 2. `raise typer.Exit(code)` ends
   with another code. Anything else is a bug and shows its traceback.
"""

import importlib
import importlib.metadata
import importlib.util
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.standard_error import speak_anyhow
from cli.stopping import end_with_sigterm

COMMANDS: dict[str, str] = {
    "serve": "Start the translation server.",
    "translate": "Translate files or standard input without a server.",
    "train": "Train a model from a recipe and write a bundle.",
    "data": "Make training data: corpora from raw files, pairs from a model.",
    "evaluate": "Score a bundle on test sets, alone or against another.",
    "import": "Read a public model and write a bundle.",
    "export": "Write a bundle in the format of other programs.",
    "models": "List bundles; load and unload a running server's models.",
    "prepare": "Build the native kernels, and try them on bundles.",
    "loadtest": "Put a server under load, and compare what was measured.",
    "health": "Ask a running server how it is.",
}

# A module cannot be called by a word of the language.
_FILES = {"import": "import_model"}

# Read from sys.modules, never imported here: an error whose module was not imported cannot have been raised.
_KNOWN_ERRORS: dict[str, tuple[str, ...]] = {
    "model.manifest": ("BundleError",),
    "model.native.binding": ("NativeError",),
    "model.native.library": ("NativeUnavailable",),
    "model.config": ("ConfigError",),
    "model.devices": ("DeviceError",),
    "model.decoding.options": ("OptionError",),
    "service.settings": ("SettingsError",),
    "service.engine.network_plan": ("PlanError",),
    "service.engine.supervisor": ("StartError",),
    "service.serving": ("ServeError",),
    "cli.admin_client": ("AdminError",),
    "cli.hub": ("HubError",),
    "cli.loadtest": ("LoadTestsMissing",),
    "loadtests.servers": ("ServerFault",),
    "loadtests.traffic.faults": ("LoadTestError",),
    "loadtests.workload": ("WorkloadError",),
    "training.errors": ("TrainingError",),
    "training.tokenizer_training": ("TokenizerTrainingError",),
}


class LazyGroup(TyperGroup):
    """A group whose listed commands are placeholders; the real one is imported when its name is resolved."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Name, the loaded command and the remaining arguments; an unknown name is a usage error."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, placeholder if name is None else load_command(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A value that cannot be is told as everywhere: field, bound and value."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _with_value(error)
            raise


def _with_value(error: typer.BadParameter) -> str:
    """Typer says what pydantic says of a value, which leaves the value itself out."""
    details = getattr(error.__cause__, "errors", None)
    if details is None:  # raised by a command, in its own words
        return error.message
    bound, value = details()[0]["msg"], details()[0]["input"]
    if bound.startswith("Value error, "):  # Typer's own, with the value
        return str(bound.removeprefix("Value error, "))
    return f"{bound.partition(', unable')[0]}, got {value!r}"


def load_command(name: str) -> Any:
    """Import a subcommand's module and make a command of its `run`, or take its `group` of commands."""
    module = importlib.import_module(module_of(name))
    if hasattr(module, "group"):
        return typer.main.get_command(module.group)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name)(module.run)
    return typer.main.get_command(single)


def module_of(name: str) -> str:
    """The module whose `run` is this subcommand."""
    return f"cli.{_FILES.get(name, name)}"


def available_commands() -> dict[str, str]:
    """The subcommands whose file exists, with their line of help, in the order of `COMMANDS`."""
    return {name: text for name, text in COMMANDS.items() if importlib.util.find_spec(module_of(name))}


def version() -> str:
    """The installed version of Verto, or `unknown` when it runs from a folder that was never installed."""
    try:
        return importlib.metadata.version("verto")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def build_app() -> typer.Typer:
    """The Typer application, with one placeholder for each available subcommand."""
    app = typer.Typer(
        name="verto",
        cls=LazyGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name, text in available_commands().items():
        app.command(name, help=text)(_placeholder)
    return app


def _placeholder() -> None:
    raise AssertionError("a placeholder was run: LazyGroup.resolve_command should have replaced it")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"verto {version()}")
        raise typer.Exit


def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Verto, a translation server that you run yourself.

    \b
    Examples:
      verto serve
      verto serve --port 9000 --models-dir ./my-bundles
      verto models
      verto translate --source en --target de < in.txt > out.txt
      verto COMMAND --help
    """


def known_errors() -> tuple[type[BaseException], ...]:
    """Errors that stand for a fault of the user's input or machine, as far as they have been imported."""
    found: list[type[BaseException]] = [OSError, MemoryError]
    for module_name, class_names in _KNOWN_ERRORS.items():
        module = sys.modules.get(module_name)
        found += [getattr(module, name) for name in class_names if hasattr(module, name)]
    return tuple(found)


def one_line(error: Exception) -> str:
    """What the user reads: a file's fault as `PATH: fault`, anything else as the error says it; one line."""
    if isinstance(error, OSError) and error.strerror:
        told = f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
        return " ".join(told.splitlines())
    if isinstance(error, MemoryError):
        return "memory ran out; give it more"
    return " ".join(str(error).split())


def _print_anything() -> None:
    """A character that the terminal's encoding lacks is printed as its escape rather than a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    """Run the command line; the console entry point."""
    end_with_sigterm()
    _print_anything()
    speak_anyhow()
    try:
        build_app()(prog_name="verto")
    except Exception as error:
        if not isinstance(error, known_errors()):
            raise
        typer.echo(f"verto: {one_line(error)}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
