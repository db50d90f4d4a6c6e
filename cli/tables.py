"""A table on standard output, of which nothing is ever cut or taken for markup.

On a terminal long cells are folded; where a program or a file takes the table, rows are as long as they are.
Knows the terminal and pipes; must not know what stands in a table.
"""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

_ANY_WIDTH = 100_000  # where nobody sees lines wrapped


def print_table(table: "Table") -> None:
    """Raises BrokenPipeError where nobody reads; rich by itself would end the command with code 1."""
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, width=_ANY_WIDTH)
    for column in table.columns:
        column.overflow = "fold"
    with console.capture() as printed:
        console.print(table)
    typer.echo(printed.get(), nl=False)
