"""All of a bundle but its weights: what it is and translates, its tokenizer, whether its files are whole.

Knows: which files make a bundle, and what must agree among them. Must not know: tensors, and does not import
torch: the process that talks to users never runs a network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.bundle_config import CONFIG_FILE, BundleInfo, parse_config
from model.config import ModelConfig
from model.dictionary_vocabulary import DICTIONARY_FILE
from model.manifest import (
    MANIFEST_FILE,
    BundleError,
    FileEntry,
    Manifest,
    check_files,
    parse_json,
    read_bytes,
    read_manifest,
)
from model.moses_file import MOSES_FILE
from model.tokenizer import JOINT_FILE, SOURCE_FILE, TARGET_FILE, Tokenizer, TokenizerError

MODEL_CARD_FILE = "MODEL_CARD.md"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHead:
    """All of a bundle but its weights: for a process that talks about a model and does not run it."""

    path: Path
    info: BundleInfo
    config: ModelConfig
    tokenizer: Tokenizer
    manifest_digest: str


def verify_bundle(folder: Path) -> dict[str, FileEntry]:
    """Compare every file with the manifest; the files by name. Raises BundleError naming file and fault."""
    return verified(folder).files


def load_bundle_head(folder: Path) -> BundleHead:
    """Everything but the weights, whose files are not looked at. Raises BundleError as `load_bundle` does."""
    manifest = listed(folder)
    needed = (CONFIG_FILE, *_tokenizer_files(folder, manifest))
    check_files(folder, replace(manifest, files={name: manifest.files[name] for name in needed}))
    info, config = parse_config(folder / CONFIG_FILE, read_bytes(folder / CONFIG_FILE))
    tokenizer = load_tokenizer(folder, manifest)
    check_vocabulary(folder / CONFIG_FILE, config, tokenizer)
    return BundleHead(
        path=folder, info=info, config=config, tokenizer=tokenizer, manifest_digest=manifest.digest
    )


def list_bundles(root: Path) -> list[Path]:
    """The bundles in this folder, or the folder itself when it is one; by name, none when there is no folder.

    A broken bundle is listed too, so that loading it can say what is wrong.
    """
    if looks_like_bundle(root):
        return [root]
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.name[0] != "." and looks_like_bundle(path))


def why_no_bundle(root: Path) -> str:
    """What is wrong with a folder in which `list_bundles` finds none."""
    if root.is_dir():
        return "no bundle found in this folder"
    return "is a file; a folder of bundles is needed" if root.exists() else "no such folder"


def looks_like_bundle(folder: Path) -> bool:
    """Whether it has any of what only bundles have."""
    return any((folder / name).exists() for name in (MANIFEST_FILE, CONFIG_FILE))


def says_it_is_a_bundle(folder: Path) -> bool:
    """Whether a file in it can only be a bundle's: models of other programs have a `config.json`, too."""
    marks = {MANIFEST_FILE: "files", CONFIG_FILE: "format_version"}
    return any(mark in _content(folder / name) for name, mark in marks.items())


def _content(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is none to read."""
    try:
        return parse_json(path, read_bytes(path))
    except BundleError:
        return {}


def verified(folder: Path) -> Manifest:
    """The manifest, every file compared with it. Raises BundleError."""
    manifest = listed(folder)
    check_files(folder, manifest)
    return manifest


def listed(folder: Path) -> Manifest:
    """A manifest that has whatever makes a bundle; not compared with the files."""
    manifest = read_manifest(folder)
    for name in (CONFIG_FILE, MODEL_CARD_FILE):
        _require(folder, manifest, name)
    if INDEX_FILE not in manifest.files:
        _require(folder, manifest, WEIGHTS_FILE)
    for name in _tokenizer_files(folder, manifest):
        _require(folder, manifest, name)
    return manifest


def _require(folder: Path, manifest: Manifest, name: str) -> None:
    if name not in manifest.files:
        raise BundleError(folder / name, f"not listed in {MANIFEST_FILE}; every bundle has one")


def _tokenizer_files(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    separate = [name for name in (SOURCE_FILE, TARGET_FILE) if name in manifest.files]
    if separate and JOINT_FILE in manifest.files:
        raise BundleError(folder / separate[0], f"stands beside {JOINT_FILE}; a bundle has one or the other")
    if MOSES_FILE in manifest.files:
        others = (JOINT_FILE, SOURCE_FILE, TARGET_FILE, DICTIONARY_FILE)
        if beside := [name for name in others if name in manifest.files]:
            raise BundleError(
                folder / MOSES_FILE, f"stands beside {beside[0]}; a bundle has one or the other"
            )
        return (MOSES_FILE,)
    models = (SOURCE_FILE, TARGET_FILE) if separate else (JOINT_FILE,)
    return (*models, DICTIONARY_FILE) if DICTIONARY_FILE in manifest.files else models


def load_tokenizer(folder: Path, manifest: Manifest) -> Tokenizer:
    """From the files that the manifest lists. Raises BundleError."""
    files = {name: read_bytes(folder / name) for name in _tokenizer_files(folder, manifest)}
    try:
        return Tokenizer.from_files(files)
    except TokenizerError as error:
        raise BundleError(folder / next(iter(files)), str(error)) from error


def check_vocabulary(path: Path, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Ids mean the same to network and tokenizer. `path` is what the error names."""
    agreeing = {
        "source_vocab_size": tokenizer.source_vocab_size,
        "target_vocab_size": tokenizer.target_vocab_size,
        "pad_id": tokenizer.pad_id,
        "eos_id": tokenizer.eos_id,
    }
    for field, wanted in agreeing.items():
        value = getattr(config, field)
        if value != wanted:
            raise BundleError(path, f"{field} is {value}, but the tokenizer says {wanted}")
