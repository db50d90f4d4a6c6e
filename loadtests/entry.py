"""From the shell into a program: a bundle that is none, or a device that is not there, is said in a line.

Knows: the errors of what a program is given. Must not know: what is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from model.devices import DeviceError
from model.manifest import BundleError


def run_program(main: Callable[..., None]) -> None:
    """`typer.run`; ends with 2 for input that cannot be used, as wrong options do."""
    try:
        typer.run(main)
    except (BundleError, DeviceError) as error:
        typer.echo(" ".join(str(error).split()), err=True)
        sys.exit(2)
