"""Model bundles: the folder that training writes and the server loads.

Knows: which files make a bundle and what must agree among them. Must not know: training, serving, where
bundles are kept. Nothing is ever unpickled, and nothing is opened that the manifest does not list.

    config.json        name, languages, decoding defaults, architecture   model/bundle_config.py
    model.safetensors  the weights, or several files and an index         model/weights.py
    tokenizer.model    SentencePiece, or source.model and target.model    model/tokenizer.py
    vocabulary.json    ids of pieces, where SentencePiece's do not hold   model/dictionary_vocabulary.py
    moses.json         in place of these, Moses' words in byte pairs      model/moses_file.py
    MODEL_CARD.md      data, licences, scores
    manifest.json      size and SHA-256 of every other file               model/manifest.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from model.bundle_config import (
    CONFIG_FILE,
    FORMAT_VERSION,
    FORMAT_VERSION_WITH_DICTIONARY,
    BundleInfo,
    config_bytes,
    parse_config,
)
from model.bundle_head import (
    INDEX_FILE,
    MODEL_CARD_FILE,
    BundleHead,
    check_vocabulary,
    list_bundles,
    load_bundle_head,
    load_tokenizer,
    says_it_is_a_bundle,
    verified,
    verify_bundle,
)
from model.config import ModelConfig
from model.dictionary_vocabulary import DICTIONARY_FILE
from model.folder_swap import replaced_folder
from model.manifest import (
    BundleError,
    FileEntry,
    check_name,
    describe,
    read_bytes,
    write_bytes,
    write_manifest,
)
from model.moses_file import MOSES_FILE
from model.tokenizer import JOINT_FILE, SOURCE_FILE, TARGET_FILE, Tokenizer
from model.transformer import Transformer
from model.weights import STORED_TYPES, read_model, stored_tensors, write_weights

__all__ = [
    "Bundle",
    "BundleError",
    "BundleHead",
    "BundleInfo",
    "FileEntry",
    "list_bundles",
    "load_bundle",
    "load_bundle_head",
    "save_bundle",
    "verify_bundle",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A loaded bundle. `model` is in eval mode; `manifest_digest` changes with any byte of the bundle."""

    path: Path
    info: BundleInfo
    model: Transformer
    tokenizer: Tokenizer
    manifest_digest: str

    @property
    def config(self) -> ModelConfig:
        return self.model.config


def save_bundle(
    folder: Path,
    *,
    model: Transformer,
    tokenizer: Tokenizer,
    info: BundleInfo,
    model_card: str,
    dtype: torch.dtype = torch.float16,
    extra_files: Mapping[str, bytes] | None = None,
    max_shard_bytes: int = 2_000_000_000,
) -> None:
    """Write a bundle, or replace one as a whole: a failed or interrupted save leaves what was there.

    `dtype` is that of the weights on disk: float16, bfloat16 or float32. The same arguments give the same
    bytes. `extra_files`: relative name to content. Weights beyond `max_shard_bytes` go to several files.
    Raises BundleError when something does not fit together, a weight is not finite (also in `dtype`), the
    folder holds something else than a bundle, or the disk fails.
    """
    if dtype not in STORED_TYPES:
        raise ValueError(f"dtype must be float16, bfloat16 or float32, got {dtype}")
    check_replaceable(folder)
    check_vocabulary(folder, model.config, tokenizer)
    tokenizer_files = tokenizer.files()
    with_dictionary = bool({DICTIONARY_FILE, MOSES_FILE} & tokenizer_files.keys())
    version = FORMAT_VERSION_WITH_DICTIONARY if with_dictionary else FORMAT_VERSION
    plain_files = {
        CONFIG_FILE: config_bytes(info, model.config, version),
        MODEL_CARD_FILE: model_card.encode(),
        **tokenizer_files,
    }
    extra = _checked_extra_files(folder, extra_files or {})
    tensors = stored_tensors(folder, model, dtype)
    try:
        with replaced_folder(folder) as partial:
            names = write_weights(partial, tensors, max_shard_bytes)
            for name, content in (plain_files | extra).items():
                write_bytes(partial / name, content)
            write_manifest(partial, [*names, *plain_files, *extra])
    except (OSError, SafetensorError) as error:
        fault = describe(error) if isinstance(error, OSError) else str(error)
        raise BundleError(folder, f"could not be written: {fault}") from error


def load_bundle(
    folder: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = torch.float32
) -> Bundle:
    """Verify and load. Raises BundleError naming file and fault: checksums, shapes, types, values, agreement.

    `dtype` is that of the weights in memory, whatever they are on disk. None leaves them on disk, on the CPU
    and as they are stored: for who reads each of them once, and ends before the files may change.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type, got {dtype}")
    manifest = verified(folder)
    info, config = parse_config(folder / CONFIG_FILE, read_bytes(folder / CONFIG_FILE))
    tokenizer = load_tokenizer(folder, manifest)
    check_vocabulary(folder / CONFIG_FILE, config, tokenizer)
    model = read_model(folder, frozenset(manifest.files), config, torch.device(device), dtype)
    return Bundle(path=folder, info=info, model=model, tokenizer=tokenizer, manifest_digest=manifest.digest)


def check_replaceable(folder: Path) -> None:
    """Raises BundleError when something lies at `folder` that no save would replace, not being a bundle."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BundleError(folder, "exists and is not a folder; not replaced")
    if any(folder.iterdir()) and not says_it_is_a_bundle(folder):
        raise BundleError(folder, "exists and is not a bundle; not replaced")


def _checked_extra_files(folder: Path, extra_files: Mapping[str, bytes]) -> dict[str, bytes]:
    own = {CONFIG_FILE, MODEL_CARD_FILE, INDEX_FILE}
    own |= {JOINT_FILE, SOURCE_FILE, TARGET_FILE, DICTIONARY_FILE, MOSES_FILE}
    for name in extra_files:
        check_name(folder, name)
        if name in own or name.endswith(".safetensors"):
            raise BundleError(folder, f"extra file {name!r} has the name of a part of the bundle")
    return dict(extra_files)
