"""Images and resources of containers: which one runs, and what it may take."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.deploy.manifests import containers, title, workloads
from tests.deploy.rendering import ROOT, Manifest


def images_are_pinned(objects: list[Manifest]) -> Iterator[str]:
    """Every image names a tag or a digest, none that moves; ours is the project's version."""
    for workload in workloads(objects):
        for container in containers(workload):
            image = str(container.get("image", ""))
            name, _, tag = image.rpartition("/")[2].partition(":")
            if tag in ("", "latest") and "@sha256:" not in image:
                yield f"{title(workload)}: image {image!r} is not pinned"
            elif name == "verto" and not re.fullmatch(re.escape(version()) + "(-cuda)?", tag):
                yield f"{title(workload)}: image {image!r} is not of version {version()}"


@cache
def version() -> str:
    """The project's version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def resources_are_bounded(objects: list[Manifest]) -> Iterator[str]:
    """Each container requests and limits processors and memory; memory, and each device, alike."""
    for workload in workloads(objects):
        for container in containers(workload):
            for fault in _unbounded(container.get("resources", {})):
                yield f"{title(workload)}: container {container['name']}: {fault}"


def _unbounded(resources: dict[str, Any]) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name in ("cpu", "memory"):
        if name not in requests or name not in limits:
            yield f"{name} is not both requested and limited"
    for name in sorted((requests.keys() | limits.keys()) - {"cpu"}):
        if requests.get(name) != limits.get(name):
            yield f"{name}: requested {requests.get(name)}, limited {limits.get(name)}"
