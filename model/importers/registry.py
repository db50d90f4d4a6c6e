"""Which importer reads which `model_type`, and the way from a folder to a bundle.

Knows: the families. Must not know: how any of them is laid out, the hub, command lines.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from model.bundle_config import BundleInfo
from model.bundle_head import check_vocabulary
from model.checkpoint import save_bundle
from model.config import ConfigError
from model.decoding.options import OptionError
from model.importers.fairseq import read_m2m, read_mbart
from model.importers.foreign import ForeignFolder
from model.importers.foreign_weights import ForeignWeights
from model.importers.fsmt import read_fsmt
from model.importers.mapping import ForeignModel, Wanted, read_network
from model.importers.marian import read_marian, read_pegasus
from model.importers.model_card import imported_card
from model.manifest import BundleError
from model.tokenizer import TokenizerError
from model.weights import STORED_TYPES

Importer = Callable[[ForeignFolder, ForeignWeights, Wanted], ForeignModel]

IMPORTERS: dict[str, Importer] = {
    "marian": read_marian,
    "pegasus": read_pegasus,
    "m2m_100": read_m2m,
    "mbart": read_mbart,
    "fsmt": read_fsmt,
}


def import_folder(
    folder: ForeignFolder, destination: Path, wanted: Wanted, dtype: torch.dtype | None = None
) -> BundleInfo:
    """Read the model in `folder` and write it as a bundle, whole or not at all.

    `dtype` of the weights on disk: None keeps theirs (float32 where they differ). Raises BundleError naming
    file and fault, and ConfigError for a name or a language that a bundle cannot have.
    """
    if destination.resolve() == folder.path.resolve():
        raise BundleError(destination, "is the folder that is imported; name another")
    importer = find_importer(folder)
    weights = ForeignWeights(folder)
    try:
        foreign = importer(folder, weights, wanted)
    except (ConfigError, OptionError) as error:
        raise BundleError(folder.config.path, str(error)) from error
    except TokenizerError as error:
        raise BundleError(folder.path, str(error)) from error
    check_vocabulary(folder.config.path, foreign.config, foreign.tokenizer)
    model = read_network(foreign, weights)
    info = BundleInfo(
        name=wanted.name,
        version=wanted.version,
        directions=foreign.directions,
        decoding=foreign.decoding,
        signals=foreign.signals,
    )
    kept = dtype or _stored_dtype(weights.dtypes)
    card = imported_card(
        folder, wanted.name, model.num_parameters(), _languages(foreign), _change(weights.dtypes, kept)
    )
    save_bundle(destination, model=model, tokenizer=foreign.tokenizer, info=info, model_card=card, dtype=kept)
    return info


def find_importer(folder: ForeignFolder) -> Importer:
    """Raises BundleError for a model of another family."""
    return folder.config.choice("model_type", IMPORTERS)


def _stored_dtype(found: set[torch.dtype]) -> torch.dtype:
    """Theirs where all have one type that bundles have, else float32."""
    (only, *others) = found
    return only if not others and only in STORED_TYPES else torch.float32


def _change(found: set[torch.dtype], kept: torch.dtype) -> str:
    """What becomes of weights of these types when they are kept in that one."""
    rounded = any(torch.promote_types(one, kept) != kept for one in found)
    return f"rounded to {str(kept).removeprefix('torch.')}" if rounded else "unchanged"


def _languages(foreign: ForeignModel) -> str:
    directions = foreign.directions
    if directions.is_product:
        return f"{', '.join(directions.sources)} → {', '.join(directions.targets)}"
    return ", ".join(f"{source} → {target}" for source, target in directions)
