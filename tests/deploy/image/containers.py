"""Containers without a container engine: buildah builds, podman and runc run, in a storage of their own.

Knows: the commands and the options that they need where root is not quite root and systemd is not there. Must
not know: what is in an image.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
# Files of the machine that a build needs to reach the same package sources as this machine does.
CERTIFICATES = Path("/etc/ssl/certs")
# What a cluster's restricted level asks for, and limits that a nested root may set.
_LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:2048"),
)
# The timer of health checks would be systemd's; a test asks itself.
_NO_TIMER = ("--no-healthcheck",)


def missing() -> str:
    """Why no container can be built and run here; nothing: one can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "only root builds and runs containers here"


@dataclass(frozen=True, slots=True)
class Containers:
    """Images and containers in one folder."""

    folder: Path

    def build(self, context: Path, tag: str, arguments: Mapping[str, str], mounts: Sequence[str]) -> str:
        """What the build said. Raises `AssertionError`."""
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--volume={mount}" for mount in mounts]
        # `docker`: that format alone has a HEALTHCHECK.
        command = ["buildah", "bud", "--layers", "--jobs=2", "--pull-never", "--format=docker"]
        return self._call([*command, *options, f"--tag={tag}", str(context)], timeout=540)

    def add_base(self, archive: Path, tag: str) -> None:
        """An image of one layer from a root file system."""
        path = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.podman("import", "--change", path, "--change", 'CMD ["python3"]', str(archive), tag)

    def podman(self, *arguments: str, timeout: float = 300) -> str:
        """What it said on both outputs. Raises `AssertionError` unless it ends with 0."""
        return self._call([*self.podman_command, *arguments], timeout)

    def inspect(self, name: str) -> dict[str, Any]:
        """Of an image or a container."""
        done = self.run_podman("inspect", name)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)[0])

    def run_podman(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """However it ends."""
        return self._run([*self.podman_command, *arguments], timeout)

    def once(
        self, image: str, *arguments: str, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """A container as locked down as in a cluster, to its end."""
        command = ["run", "--rm", "--network=host", *_LOCKED_DOWN, *_NO_TIMER, *options, image, *arguments]
        return self.run_podman(*command)

    @contextmanager
    def started(self, image: str, *options: str, health: Sequence[str] = ()) -> Iterator[str]:
        """A container as locked down as in a cluster, by its id, until the block is left.

        `health`: the command that `podman healthcheck run` is to run in it.
        """
        checks = ["--health-interval=disable", f"--health-cmd={json.dumps(health)}"] if health else _NO_TIMER
        command = ["run", "--detach", "--network=host", *_LOCKED_DOWN, *checks, *options, image]
        done = self.run_podman(*command)
        assert done.returncode == 0, done.stderr
        container = done.stdout.split()[-1]
        try:
            yield container
        finally:
            self.run_podman("rm", "--force", "--time=0", container)

    @contextmanager
    def pod(self, manifest: Path, name: str) -> Iterator[str]:
        """The one container of a Deployment of this name, on the host's network, until the block is left."""
        container = f"{name}-pod-0-{name}"
        try:
            self.podman("play", "kube", "--replace", str(manifest))
            yield container
        finally:
            self.run_podman("play", "kube", "--down", str(manifest))
            self.run_podman("pod", "rm", "--all", "--force")

    def log(self, container: str) -> str:
        """All that it has written so far."""
        done = self.run_podman("logs", container)
        return done.stdout + done.stderr

    def remove_all(self) -> None:
        """Every container, so that nothing is mounted any more, and every file."""
        self.run_podman("rm", "--all", "--force", "--time=0")
        self._run(["buildah", "rm", "--all"], 120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, command: Sequence[str], timeout: float) -> str:
        done = self._run(command, timeout)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command[:3])} ended with {done.returncode}:\n{said[-6000:]}"
        return said

    def _run(self, command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,  # where podman may leave a file
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @property
    def podman_command(self) -> list[str]:
        """To be run with `environment()`."""
        return ["podman", "--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"]

    def environment(self) -> dict[str, str]:
        """In which the programs find the storage."""
        for name in ("images", "run", "temporary"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "storage.conf"
        if not configuration.exists():
            images, run = self.folder / "images", self.folder / "run"
            configuration.write_text(
                f'[storage]\ndriver = "overlay"\ngraphroot = "{images}"\nrunroot = "{run}"\n'
            )
        # Else a pod gets limits that a nested root may not set, and there is no option against it.
        limits = self.folder / "containers.conf"
        limits.write_text("[containers]\ndefault_ulimits = []\n")
        return {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(configuration),
            "CONTAINERS_CONF": str(limits),
            "TMPDIR": str(self.folder / "temporary"),
            "BUILDAH_ISOLATION": "chroot",
        }
