"""`verto data`: what stands before training: corpora from raw files, pairs that a model makes.

Knows the names of its commands. What each does stands in files of its own: cli/data_*.py.
"""

import typer

from cli import data_pairs, data_prepare, data_split

group = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
for _name, _command, _line in (
    ("prepare", data_prepare.run, "Make a recipe's corpora from raw files."),
    ("split", data_split.run, "Set dev and test pairs of two texts aside."),
    ("back-translate", data_pairs.back_translate, "Give text of the target language a source."),
    ("distill", data_pairs.distill, "Translate training text with a teacher."),
):
    group.command(_name, short_help=_line)(_command)


@group.callback(no_args_is_help=True)
def run() -> None:
    """Make training data: corpora from raw files, held-out texts, pairs that a model translates.

    \b
    Examples:
      verto data prepare training/recipes/en-de.yaml --data ~/corpora
      verto data split texts.en texts.de corpus --dev 500 --test 500
      verto data back-translate news.de.gz -s de -t en --output back.tsv.gz
      verto data COMMAND --help
    """
