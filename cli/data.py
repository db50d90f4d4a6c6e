"""`verto data`: what stands before training: corpora from raw files, pairs that a model makes.

Knows the names of its commands. What each does stands in files of its own: cli/data_*.py.
"""

import typer

from cli import data_pairs, data_prepare, data_split

group = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
group.command("prepare")(data_prepare.run)
group.command("split")(data_split.run)
group.command("back-translate")(data_pairs.back_translate)
group.command("distill")(data_pairs.distill)


@group.callback(no_args_is_help=True)
def run() -> None:
    """Make training data: corpora from raw files, held-out texts, pairs that a model translates."""
