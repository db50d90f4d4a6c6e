"""First weights that are a bundle's: fine-tuning, the opposite direction, more placeholders.

Knows: a new network and a bundle of the same shape. Must not know: data, optimisation, the run.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint import load_bundle
from model.transformer import Transformer
from training.errors import RecipeError

# A vocabulary may have grown at its end.
_SIZES = ("source_vocab_size", "target_vocab_size")
_NO_SHAPE = ("alignment_layer",)  # decides which attention is shown, no weight
# How far a new piece's row is from the mean row, in parts of what a freshly made row would be.
_SPREAD = 0.5


def load_first_weights(model: Transformer, bundle: Path) -> None:
    """Copy a bundle's weights into a new model. Raises `BundleError`, or `RecipeError` for another shape.

    Where the model's vocabulary is larger, the further pieces' rows are the mean row and half a fresh one:
    apart from each other, and near enough to the others that their logits are of the usual size (Hewitt 2021,
    "Initializing New Word Embeddings for Pretrained Language Models").
    """
    trained = load_bundle(bundle).model
    theirs = trained.config.to_dict()
    for name, value in model.config.to_dict().items():
        if "dropout" in name or name in _NO_SHAPE or (name in _SIZES and value >= theirs[name]):
            continue
        if theirs[name] != value:
            raise RecipeError(f"model.{name} must be {theirs[name]!r} as in {bundle}, got {value!r}")
    weights = trained.state_dict()
    model.load_state_dict({n: _grown(weights[n], fresh) for n, fresh in model.state_dict().items()})


def _grown(trained: Tensor, fresh: Tensor) -> Tensor:
    """The trained rows, and behind them a new one for each row that only `fresh` has."""
    if trained.shape == fresh.shape:
        return trained
    mean = trained.float().mean(0, keepdim=True)
    return torch.cat((trained.to(fresh), (mean + _SPREAD * fresh[len(trained) :]).to(fresh)))
