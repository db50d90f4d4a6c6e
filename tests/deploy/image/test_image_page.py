"""Every command of docs/image.md that can run here does; the arguments of the others exist."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.image.conftest import ROOT
from tests.deploy.image.containers import Containers
from tests.deploy.image.server import free_port

PAGE = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IMAGE = "verto:0.1.0"


def commands() -> list[str]:
    """The lines of every shell block, each in one piece."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def serves_in_the_foreground(command: str) -> bool:
    return "--publish" in command and "--detach" not in command


def test_every_argument_of_a_build_is_one_of_the_dockerfile() -> None:
    declared = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    named = set(re.findall(r"--build-arg (\w+)", PAGE))
    listed = {
        name
        for row in re.findall(r"^\| (`[A-Z].*?`) \| [^|]*\| ", PAGE, re.MULTILINE)
        for name in row.split("`")
    }
    assert named | {"PYTHON_IMAGE", "REVISION"} <= declared
    assert declared <= listed


def as_docker(containers: Containers, folder: Path) -> dict[str, str]:
    """An environment whose `docker` is podman, on the host's network, on a free port, and stops only what
    is ready: in the tenth of a second in which Python starts, a signal to a first process is lost."""
    limits = "--network=host --no-healthcheck --ulimit nofile=1024:4096 --ulimit nproc=1024:2048"
    podman = shlex.join(containers.podman_command)
    program = folder / "docker"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = run ]; then shift; exec {podman} run {limits} '
        f'--env VERTO_PORT={free_port()} "$@"; fi\n'
        f"for look in $(seq 300); do {podman} exec verto verto health >&2 && break; sleep 0.2; done\n"
        f'exec {podman} "$@"\n'
    )
    program.chmod(0o755)
    return {**containers.environment(), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.image
@pytest.mark.slow
def test_every_command_that_ends_by_itself_works(containers: Containers, image: str, tmp_path: Path) -> None:
    containers.podman("tag", image, f"localhost/{IMAGE}")
    shutil.copytree(ROOT / "checkpoints" / "en-de", tmp_path / "my-bundles" / "en-de")
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path / "my-bundles")], check=True)
    environment = as_docker(containers, tmp_path)
    ending = [one for one in commands() if "docker build" not in one and not serves_in_the_foreground(one)]
    said = {}
    for command in ending:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        said[command] = done.stdout
    assert len(ending) == 4
    assert said[ending[-1]] == "Guten Morgen.\n"
    assert "en-de" in said[ending[-2]]
