"""`verto data`: what stands before training: corpora from raw files, pairs that a model makes.

Knows the names of its commands. What each does stands in cli/data_prepare.py and cli/data_pairs.py.
"""

import typer

from cli import data_prepare

group = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
group.command("prepare")(data_prepare.run)


@group.callback(no_args_is_help=True)
def run() -> None:
    """Make training data: corpora from raw files, pairs that a model translates."""
