"""`verto import`: a public model, from a folder or from the hub, as a bundle.

Knows: how source, destination and languages are named on the command line. Must not know: folders' contents.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.stopping import orderly_end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model.importers.foreign import ForeignFolder


class StoredType(StrEnum):
    """Types in which a bundle keeps its weights on disk."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


def run(
    model: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A Hugging Face folder, or a model's name on the hub.")
    ],
    destination: Annotated[Path, typer.Argument(help="The bundle to write; an older one is replaced.")],
    name: Annotated[
        str | None, typer.Option(help="What the bundle is called.", show_default="the model's own name")
    ] = None,
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    source: Annotated[
        list[str] | None,
        typer.Option(help="A source language, where the folder names none; may be given often."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="A target language, where the folder names none, or of many only these."),
    ] = None,
    dtype: Annotated[
        StoredType | None, typer.Option(help="Of the weights on disk.", show_default="as they are")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on the hub.", show_default="main")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="The address of another hub, such as a mirror.")
    ] = None,
) -> None:
    """Read a Hugging Face model and write it as a bundle.

    Weights come from safetensors, or from a pickle that holds tensors and nothing else. A folder of another
    architecture, a truncated file, a quantised model: each is refused by name, and nothing partial is left.
    Names on the hub need, from the root of the clone: pip install '.[hub]'.

    \b
    Examples:
      verto import Helsinki-NLP/opus-mt-en-de models/opus-en-de
      verto import ./opus-mt-en-roa models/en-roa --target fra --target oci
      verto import ./my-marian-model models/mine --name mine --source en --target de --dtype float16
    """
    import torch

    from model.importers.mapping import Wanted
    from model.importers.registry import import_folder

    wanted = Wanted(
        name=name or _usable_name(model),
        version=version,
        sources=tuple(source or ()),
        targets=tuple(target or ()),
    )
    with orderly_end():
        folder = _open(model, revision, endpoint)
        import_folder(folder, destination, wanted, getattr(torch, dtype) if dtype else None)
        typer.echo(destination)


def _open(model: str, revision: str | None, endpoint: str | None) -> "ForeignFolder":
    """A folder that is there wins over a model of the same name."""
    from cli.hub import NAME, fetch
    from model.importers.foreign import ForeignFolder

    if Path(model).exists() or not NAME.fullmatch(model):
        folder = ForeignFolder.open(Path(model))
        _refuse_what_is_for_the_hub({"--revision": revision, "--endpoint": endpoint})
        return folder
    fetched = fetch(model, revision=revision or "main", endpoint=endpoint)
    return ForeignFolder.open(fetched.folder, fetched.origin)


def _refuse_what_is_for_the_hub(given: "Mapping[str, str | None]") -> None:
    """An option that would do nothing was meant otherwise."""
    for name, value in given.items():
        if value is not None:
            raise typer.BadParameter("is for a model of the hub; SOURCE is a folder", param_hint=name)


def _usable_name(model: str) -> str:
    """The last part of a name or path, as bundles may be called."""
    last = Path(model).resolve().name if Path(model).exists() else model.rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._")[:100] or "imported"
