"""First weights that are a bundle's: fine-tuning, the opposite direction, another language or vocabulary.

Knows: a new network and its vocabulary, and a bundle of the same shape. Must not know: data, optimisation,
the run.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint import load_bundle
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from training.errors import RecipeError

_SIZES = ("source_vocab_size", "target_vocab_size")
_NO_SHAPE = ("alignment_layer",)  # decides which attention is shown, no weight
# How far a new piece's row is from the mean row, in parts of what a freshly made row would be.
_SPREAD = 0.5
# Each row of these is a piece's, of the source's or of the target's vocabulary.
_OF_SOURCE = ("source_embedding.tokens.weight",)
_OF_TARGET = ("target_embedding.tokens.weight", "output.weight", "output.bias")


def load_first_weights(model: Transformer, tokenizer: Tokenizer, bundle: Path) -> None:
    """Copy a bundle's weights into a new model. Raises `BundleError`, or `RecipeError` for another shape.

    A piece that the bundle's vocabulary has as well keeps what was learned of it, whatever its id (Zoph et
    al. 2016, "Transfer Learning for Low-Resource Neural Machine Translation"). The row of any other is the
    mean row and half a fresh one: apart from each other, and near enough to the others that their logits are
    of the usual size (Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models").
    """
    trained = load_bundle(bundle)
    _check_shape(model, trained.model, bundle)
    rows = dict.fromkeys(_OF_SOURCE, _rows(_source_pieces(trained.tokenizer), _source_pieces(tokenizer)))
    rows |= dict.fromkeys(_OF_TARGET, _rows(_target_pieces(trained.tokenizer), _target_pieces(tokenizer)))
    weights = trained.model.state_dict()
    for name, fresh in model.state_dict().items():
        if name in rows:
            # Those of the bundle are on the host; a model that learns may be on a GPU already.
            weights[name] = _carried(weights[name], fresh.cpu(), rows[name])
    model.load_state_dict(weights)


def _check_shape(model: Transformer, trained: Transformer, bundle: Path) -> None:
    theirs = trained.config.to_dict()
    for name, value in model.config.to_dict().items():
        if "dropout" in name or name in (*_NO_SHAPE, *_SIZES):
            continue
        if theirs[name] != value:
            raise RecipeError(f"model.{name} must be {theirs[name]!r} as in {bundle}, got {value!r}")


def _source_pieces(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.source_pieces(range(tokenizer.source_vocab_size))


def _target_pieces(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.target_pieces(range(tokenizer.target_vocab_size))


def _rows(trained: list[str], new: list[str]) -> Tensor:
    """For each new piece its row among the trained ones, -1 for none; the same vocabulary row by row."""
    if trained == new:
        return torch.arange(len(new))
    row_of = {piece: row for row, piece in enumerate(trained)}
    return torch.tensor([row_of.get(piece, -1) for piece in new])


def _carried(trained: Tensor, fresh: Tensor, rows: Tensor) -> Tensor:
    """Rows of the trained ones, and a new one where there is none."""
    carried = trained.float().mean(0, keepdim=True) + _SPREAD * fresh
    known = rows >= 0
    carried[known] = trained[rows[known]].to(carried)
    return carried.to(fresh)
