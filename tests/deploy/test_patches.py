"""No patch is lost: kustomize drops without a word what it cannot place, as a port without its protocol."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendering import DEPLOY, OVERLAYS, Manifest, render


def patches() -> list[tuple[Path, Manifest]]:
    """The files that kustomizations name as patches, with what is in them."""
    found = []
    for path in sorted(DEPLOY.rglob("kustomization.yaml")):
        for patch in yaml.safe_load(path.read_text(encoding="utf-8")).get("patches", []):
            if "path" in patch:
                file = path.parent / patch["path"]
                found.append((file, yaml.safe_load(file.read_text(encoding="utf-8"))))
    return found


def lost(wanted: Any, there: Any, path: str = "") -> list[str]:
    """What of a patch is not in an object. The image is another one later, and is left out."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        keys = [key for key in wanted if not (key == "image" and isinstance(wanted[key], str))]
        return [one for key in keys for one in lost(wanted[key], there.get(key), f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(there, list):
        return [
            f"{path}[{position}]"
            for position, one in enumerate(wanted)
            if all(lost(one, other) for other in there)
        ]
    return [] if wanted == there else [path]


def rendered_with(file: Path) -> list[Manifest]:
    """What a patch is part of."""
    folder, name = file.relative_to(DEPLOY).parts[:2]
    if folder == "overlays":
        return render(name)
    return render("cpu", "model-volume" if folder == "parts" else name)


@pytest.mark.parametrize(
    ("file", "patch"), [pytest.param(*one, id=str(one[0].relative_to(DEPLOY))) for one in patches()]
)
def test_a_patch_is_found_in_what_is_rendered(file: Path, patch: Manifest) -> None:
    (patched,) = [
        one
        for one in rendered_with(file)
        if (one["kind"], one["metadata"]["name"]) == (patch["kind"], patch["metadata"]["name"])
    ]
    assert lost(patch, patched) == []


def test_there_are_patches_to_look_for() -> None:
    assert {file.relative_to(DEPLOY).parts[1] for file, _ in patches()} >= set(OVERLAYS) - {"cpu"}


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ({"nodePort": 30800}, {"port": 80}),
        ({"ports": [{"port": 80, "nodePort": 30800}]}, {"ports": [{"port": 80}, {"nodePort": 30800}]}),
        ({"spec": {"replicas": 2}}, {"spec": None}),
    ],
    ids=["field", "item", "branch"],
)
def test_a_lost_patch_is_caught(wanted: Manifest, there: Manifest) -> None:
    assert lost(wanted, there) != []
