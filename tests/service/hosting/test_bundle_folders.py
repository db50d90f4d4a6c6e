"""Bundles are found by their folder's name and by nothing else, and described without their weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.manifest import BundleError
from service.engine.weight_memory import weight_bytes
from service.errors import InvalidRequest
from service.hosting import bundle_folders
from service.hosting.bundle_folders import PROCESS_BYTES, BundleFolders
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_info


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outside = tmp_path_factory.mktemp("outside")
    tiny_bundle(outside / "secret")
    root = tmp_path_factory.mktemp("models")
    for name in ("one", "two"):
        tiny_bundle(root / name, info=tiny_info(name=f"model-{name}"))
    (root / "linked").symlink_to(outside / "secret")
    (root / "empty").mkdir()
    return root


def folders(root: Path, **fields: object) -> BundleFolders:
    return BundleFolders(Settings(models_dir=root, **fields))  # type: ignore[arg-type]


def test_a_bundle_is_described_by_its_heads_alone(root: Path) -> None:
    found = folders(root, max_rows=32).find("one")
    assert (found.folder, found.path, found.name, found.version) == ("one", root / "one", "model-one", "1")
    from model.checkpoint import load_bundle

    bundle = load_bundle(root / "one")
    numbers = sum(tensor.numel() for tensor in {id(p): p for p in bundle.model.parameters()}.values())
    assert found.need.weights == weight_bytes(numbers, bundle.model.config, "float32")
    assert found.need.process == PROCESS_BYTES
    assert 0 < found.need.cache < 2_000_000_000
    assert found.need.total == found.need.weights + found.need.cache + found.need.process
    assert found.digest == bundle.manifest_digest


def test_precision_limits_and_backing_decide_what_it_needs(root: Path) -> None:
    plain, small = (
        folders(root).find("one").need,
        folders(root, precision="int8", engine="thread").find("one").need,
    )
    assert small.weights < plain.weights
    assert small.process == 0
    assert folders(root, cache_bytes_limit=1_000_000).find("one").need.cache == 1_000_000


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../outside/secret", "one/../two", "/etc", "./one", "one/", "empty", "none", "o\0ne"],
)
def test_what_is_no_name_of_a_bundle_there_is_refused_with_the_list(root: Path, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        folders(root).find(name)
    (fault,) = caught.value.faults
    assert (fault.field, fault.value) == ("folder", name)
    assert fault.bound == "the name of a bundle's folder in the models' folder: linked, one, two"


def test_a_link_in_the_folder_is_the_operators_own(root: Path) -> None:
    assert folders(root).find("linked").name == "tiny"


def test_a_folder_that_is_the_only_bundle_is_named_by_a_dot(root: Path) -> None:
    alone = folders(root / "one")
    assert alone.names() == ["."]
    assert alone.find(".").path == root / "one"


def test_a_folder_that_cannot_be_read_is_a_fault_of_the_bundles(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bundle_folders, "list_bundles", forbidden)
    with pytest.raises(BundleError, match="Permission denied"):
        folders(root).find("one")
    with pytest.raises(OSError, match="Permission denied"):
        folders(root).names()


def test_a_fault_is_told_by_its_place_in_the_folder(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "one")
    (tmp_path / "one" / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(BundleError) as caught:
        folders(tmp_path).find("one")
    assert folders(tmp_path).told(caught.value).startswith("one/model.safetensors: not a safetensors file")
