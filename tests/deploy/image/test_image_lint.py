"""The Dockerfile passes hadolint and agrees with the project around it; planted mistakes are caught."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
HADOLINT = Path(sys.executable).with_name("hadolint")


def faults(text: str) -> list[str]:
    """The codes that hadolint finds."""
    command = [str(HADOLINT), "--no-fail", "--format=json", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return [fault["code"] for fault in json.loads(done.stdout)]


def copied() -> list[str]:
    """What the Dockerfile takes from the folder that it is built in."""
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    return [name for line in lines for name in line.split()[:-1]]


def test_hadolint_finds_nothing() -> None:
    assert faults(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("python:3.11.14-slim-bookworm", "python:latest", "DL3007"),
        ("--no-install-recommends ", "", "DL3015"),
        ('ENTRYPOINT ["tini", "-s", "--", "verto", "serve"]', "ENTRYPOINT verto serve", "DL3025"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ("COPY cli cli", "ADD cli cli", "DL3020"),
    ],
)
def test_a_planted_mistake_is_caught(old: str, new: str, code: str) -> None:
    assert old in DOCKERFILE
    # Of a base image that an argument names hadolint sees nothing, so it is put where it is used.
    base = re.search(r"^ARG PYTHON_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    text = DOCKERFILE.replace("${PYTHON_IMAGE}", base[1])
    assert faults(text) == []
    assert code in faults(text.replace(old, new))


def test_the_version_on_the_label_is_the_one_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nARG VERSION={version}\n" in DOCKERFILE


def test_no_package_source_is_built_in() -> None:
    assert '\nARG TORCH_INDEX_URL=""\n' in DOCKERFILE


def test_only_what_the_dockerfile_copies_reaches_the_builder() -> None:
    allowed = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {name for name in copied() if not name.startswith("model/")}  # those lie within model
    assert set(allowed) == wanted
    assert all((ROOT / name).exists() for name in copied())


def test_both_docker_and_buildah_can_read_it() -> None:
    assert "<<" not in DOCKERFILE  # buildah of Debian 12 knows no here-documents
    assert set(re.findall(r"--mount=([^ ]*)", DOCKERFILE)) == {"type=cache,target=/root/.cache/pip"}
