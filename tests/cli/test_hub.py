"""A model of the hub is fetched by its name: what is needed, once; every failure says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.hub import HubError, fetch
from tests.cli.small_hub import COMMIT, SmallHub, running

FILES = ["config.json", "README.md", "vocab.json", "source.spm"]
UNNEEDED = ["tf_model.h5", "rust_model.ot", ".gitattributes"]


def lay(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"content of {name}")
    return folder


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[SmallHub]:
    models = {
        "org/plain": lay(tmp_path / "plain", *FILES, *UNNEEDED, "model.safetensors", "pytorch_model.bin"),
        "org/bin": lay(tmp_path / "bin", *FILES, "pytorch_model.bin"),
        "org/empty": lay(tmp_path / "empty", "config.json"),
        "org/other": lay(tmp_path / "other", "weights.npz"),
        "org/sharded": lay(tmp_path / "sharded", "config.json", "a.safetensors", "b.safetensors"),
    }
    index = models["org/sharded"] / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"x": "a.safetensors", "y": "b.safetensors", "z": "a.safetensors"}}')
    with running(SmallHub(models, gated=("org/gated",))) as running_hub:
        yield running_hub


def test_only_the_needed_files_are_fetched_and_only_once(hub: SmallHub, tmp_path: Path) -> None:
    fetched = fetch("org/plain", endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert sorted(path.name for path in fetched.folder.iterdir()) == sorted([*FILES, "model.safetensors"])
    assert sorted(hub.sent) == sorted([*FILES, "model.safetensors"])
    assert (fetched.folder / "vocab.json").read_text() == "content of vocab.json"
    assert fetched.origin == f"org/plain, revision {COMMIT}"
    fetch("org/plain", endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert len(hub.sent) == len(FILES) + 1


def test_a_pickle_is_fetched_where_there_is_nothing_better(hub: SmallHub, tmp_path: Path) -> None:
    fetch("org/bin", endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert "pytorch_model.bin" in hub.sent


def test_every_shard_is_fetched(hub: SmallHub, tmp_path: Path) -> None:
    fetched = fetch("org/sharded", endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert {"a.safetensors", "b.safetensors"} <= {path.name for path in fetched.folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "revision", "fault"),
    [
        ("org/none", "main", r"^org/none: no such folder here, and no such model on the hub"),
        ("org/gated", "main", r"^org/gated: its terms have to be accepted"),
        ("org/plain", "v9", r"^org/plain: the model has no revision 'v9'"),
        ("org/empty", "main", r"^org/empty: the hub's model lacks any of model\.safetensors"),
        ("org/other", "main", r"^org/other: the hub's model lacks config\.json"),
        ("org/a--b..c", "main", r"^org/a--b\.\.c: not a name that the hub can have"),
    ],
)
def test_what_is_not_there_is_told_by_name(
    hub: SmallHub, tmp_path: Path, name: str, revision: str, fault: str
) -> None:
    with pytest.raises(HubError, match=fault):
        fetch(name, revision=revision, endpoint=hub.endpoint, cache=tmp_path / "cache")


def test_without_a_connection_the_cache_serves_or_the_fault_is_told(hub: SmallHub, tmp_path: Path) -> None:
    fetch("org/plain", endpoint=hub.endpoint, cache=tmp_path / "cache")
    nowhere = "http://127.0.0.1:9"
    again = fetch("org/plain", endpoint=nowhere, cache=tmp_path / "cache")
    assert (again.folder / "model.safetensors").is_file()
    with pytest.raises(
        HubError, match=r"^org/bin: the hub cannot be reached, and the model is not in the cache"
    ):
        fetch("org/bin", endpoint=nowhere, cache=tmp_path / "cache")


def test_a_missing_client_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        HubError,
        match=r"huggingface_hub is missing.*root of the clone: pip install '\.\[hub\]'; or give a folder",
    ):
        fetch("org/plain")
