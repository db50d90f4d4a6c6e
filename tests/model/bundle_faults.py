"""Bundles to save and to break in a chosen way.

Knows: which files a bundle has. Must not know: what a test expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from model.checkpoint import BundleError, load_bundle, save_bundle
from model.manifest import MANIFEST_FILE, write_manifest
from model.transformer import Transformer
from tests.builders import TOKENIZER_VOCABULARY, tiny_info, tiny_model, tiny_tokenizer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def full_vocabulary(seed: int = 0, **overrides: Any) -> Transformer:
    sizes = {"source_vocab_size": TOKENIZER_VOCABULARY, "target_vocab_size": TOKENIZER_VOCABULARY}
    return tiny_model(seed, **{**sizes, **overrides})


def save(folder: Path, network: Transformer | None = None, **arguments: Any) -> None:
    defaults: dict[str, Any] = {
        "model": network or full_vocabulary(),
        "tokenizer": tiny_tokenizer(),
        "info": tiny_info(),
        "model_card": "card",
        "dtype": torch.float32,
    }
    save_bundle(folder, **{**defaults, **arguments})


def refresh_manifest(folder: Path) -> None:
    """A manifest that is right for what the folder now holds, so that later checks are reached."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    write_manifest(folder, [name for name in names if name != MANIFEST_FILE])


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit_json(folder / "config.json", change)
    refresh_manifest(folder)


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], object], name: str = WEIGHTS) -> None:
    tensors = safetensors.torch.load_file(folder / name)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / name)
    refresh_manifest(folder)


def fault_of(folder: Path, file: str | None) -> str:
    """The fault that loading reports, which must be about this file (None: about the folder)."""
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    assert caught.value.path == (folder / file if file else folder)
    assert str(caught.value) == f"{caught.value.path}: {caught.value.fault}"
    return caught.value.fault


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same_weights(a: Transformer, b: Transformer) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
