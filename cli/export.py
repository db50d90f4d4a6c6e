"""`verto export`: a bundle as the folder of another format.

Knows: how bundle, folder and format are named on the command line. Must not know: what a format holds.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.stopping import orderly_end


class Format(StrEnum):
    """Formats that a bundle can be written in."""

    MARIAN_HF = "marian-hf"


def run(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle's folder, or its name.")],
    destination: Annotated[Path, typer.Argument(help="The folder to write; not there yet, or empty.")],
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.MARIAN_HF,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of bundles.", show_default="checkpoints")
    ] = None,
) -> None:
    """Write a bundle in the format of other programs.

    marian-hf is the folder that transformers and CTranslate2's own converter read, with the same weights in
    float32: class MarianMTModel, or PegasusForConditionalGeneration where the network is pre-norm. A network
    that neither class can be is refused, naming the field.

    \b
    Examples:
      verto export checkpoints/en-de exported/en-de
      verto export en-de exported/en-de --format marian-hf
      ct2-transformers-converter --model exported/en-de --output_dir exported/en-de-ct2
    """
    from cli.model_choice import bundle_folder
    from model.bundle_head import MODEL_CARD_FILE
    from model.checkpoint import load_bundle
    from model.exporters.marian_hf import export_marian_hf, remarks
    from model.manifest import read_bytes
    from service.settings import resolve_settings

    folder = bundle_folder(resolve_settings({"models_dir": models_dir}).settings.models_dir, bundle)
    loaded = load_bundle(folder)
    card = read_bytes(folder / MODEL_CARD_FILE).decode("utf-8", errors="replace")
    with orderly_end():
        export_marian_hf(
            destination, model=loaded.model, tokenizer=loaded.tokenizer, info=loaded.info, model_card=card
        )
        for remark in remarks(loaded.model, loaded.tokenizer):
            typer.echo(f"note: {remark}", err=True)
        typer.echo(destination)
