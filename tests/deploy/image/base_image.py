"""A stand-in for the base image, which no registry has to be asked for: Debian, its Python, and a pip.

The Dockerfile finds everything where Docker's own Python image has it. Knows: mmdebstrap, and which settings
of pip this machine has. Must not know: the project.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pip
import pytest

from tests.deploy.image.containers import CERTIFICATES, Containers

TAG = "localhost/verto-test-python:bookworm"
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_SITE_PACKAGES = "usr/local/lib/python3.11/site-packages"
# With $1, the root that is being made.
_MAKE_IT_LIKE_THE_IMAGE = f"""set -eu
mkdir -p "$1/{_SITE_PACKAGES}"
cp -r {shlex.quote(str(Path(pip.__file__).parent))} "$1/{_SITE_PACKAGES}/"
echo /{_SITE_PACKAGES} > "$1/usr/lib/python3/dist-packages/local.pth"
rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED
for name in python python3; do ln -s /usr/bin/python3 "$1/usr/local/bin/$name"; done
"""
_COMMAND = (
    *("mmdebstrap", "--variant=minbase", "--include=python3,ca-certificates"),
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
    f"--customize-hook={_MAKE_IT_LIKE_THE_IMAGE}",
    "bookworm",
)


def add_base(containers: Containers) -> str:
    """Its tag. Its files are kept in the user's folder of caches; skips where Debian cannot be had."""
    if containers.run_podman("image", "exists", TAG).returncode != 0:
        containers.add_base(_archive(), TAG)
    return TAG


def _archive() -> Path:
    recipe = hashlib.sha256(repr(_COMMAND).encode() + pip.__version__.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "verto-tests"
    archive = cache / f"python-base-{recipe}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = archive.with_name(f".{os.getpid()}.partial.tar")
        try:
            _make(partial)
            partial.replace(archive)
        finally:
            partial.unlink(missing_ok=True)
    return archive


def _make(archive: Path) -> None:
    sources = [str(path) for path in _SOURCES if path.is_file() and path.read_text().strip()][:1]
    done = subprocess.run([*_COMMAND, str(archive), *sources], capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        pytest.skip("no base image: mmdebstrap says " + done.stderr.strip().splitlines()[-1])


def mounts_of_this_machine(folder: Path) -> Iterator[str]:
    """What a build has to see of it to reach what pip reaches here. `folder`: for the file of settings."""
    if CERTIFICATES.is_dir():
        yield f"{CERTIFICATES}:{CERTIFICATES}:ro"
    settings = dict(_pip_settings())
    for word in " ".join(settings.values()).split():
        if Path(word).is_absolute() and Path(word).exists():
            yield f"{word}:{word}:ro"
    file = folder / "pip.conf"
    file.touch(mode=0o600)
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    yield f"{file}:/etc/pip.conf:ro"


def _pip_settings() -> Iterator[tuple[str, str]]:
    """As `pip config list` writes them: SECTION.NAME='VALUE', in the order in which later ones win."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        yield name.rpartition(".")[2], " ".join(ast.literal_eval(value).split())
