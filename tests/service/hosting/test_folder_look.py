"""A look at the models' folder: what is whole, what changed, whatever way it was put there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from service.hosting.bundle_folders import BundleFolders
from service.hosting.folder_look import Sighting, look
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_info


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    for seed, version in enumerate(("one", "two")):
        tiny_bundle(root / version, seed=seed, info=tiny_info(version=version))
    return root


def seen(root: Path) -> dict[str, Sighting]:
    return look(BundleFolders(Settings(models_dir=root)))


def test_a_bundle_looks_the_same_until_one_of_its_files_is_another(bundles: Path, tmp_path: Path) -> None:
    shutil.copytree(bundles / "one", tmp_path / "en-de")
    first, again = seen(tmp_path)["en-de"], seen(tmp_path)["en-de"]
    assert first == again
    assert first.fault is None
    assert len(first.digest) == 64
    weights = tmp_path / "en-de" / "model.safetensors"
    os.utime(weights, ns=(1, 1))
    touched = seen(tmp_path)["en-de"]
    assert touched.digest == first.digest
    assert touched.fingerprint != first.fingerprint


def test_while_a_bundle_is_copied_file_by_file_it_is_not_whole_until_the_last_byte(
    bundles: Path, tmp_path: Path
) -> None:
    target, faults = tmp_path / "en-de", []
    target.mkdir()
    assert seen(tmp_path) == {}
    names = sorted(path.name for path in (bundles / "one").iterdir())
    for name in names:
        content = (bundles / "one" / name).read_bytes()
        for part in (content[: len(content) // 2], content):
            (target / name).write_bytes(part)
            if sighting := seen(tmp_path).get("en-de"):
                faults.append(sighting.fault)
    assert faults[-1] is None
    assert all(fault and fault.startswith("en-de/") for fault in faults[:-1])
    named = {str(fault).partition(":")[0] for fault in faults[:-1]}
    assert {"en-de/manifest.json", "en-de/tokenizer.model"} <= named


def test_a_copy_over_another_bundle_of_the_same_sizes_looks_different_with_each_file(
    bundles: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundles / "one", tmp_path / "en-de")
    fingerprints = [seen(tmp_path)["en-de"].fingerprint]
    for path in sorted((bundles / "two").iterdir()):
        shutil.copyfile(path, tmp_path / "en-de" / path.name)
        fingerprints.append(seen(tmp_path)["en-de"].fingerprint)
    assert len(set(fingerprints)) > len(json.loads((bundles / "two" / "manifest.json").read_text())["files"])


def test_links_that_are_turned_to_another_folder_are_seen_as_a_change(bundles: Path, tmp_path: Path) -> None:
    """As volumes of Kubernetes do: the name is a link to a link that is replaced in one step."""
    for name in ("one", "two"):
        shutil.copytree(bundles / name, tmp_path / f"..{name}" / "en-de")
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "en-de").symlink_to("..data/en-de")
    first = seen(tmp_path)
    (tmp_path / "..tmp").symlink_to("..two")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    second = seen(tmp_path)
    assert list(first) == list(second) == ["en-de"]
    assert first["en-de"].digest != second["en-de"].digest
    assert second["en-de"].fault is None


def test_a_folder_that_is_away_holds_nothing(tmp_path: Path) -> None:
    assert seen(tmp_path / "away") == {}
