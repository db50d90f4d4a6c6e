"""What is in the image, what is not, how large it is, and what a change of the program builds again."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.import_rules import ONLY_WITH_TRITON
from tests.deploy.image.conftest import ROOT, TAG
from tests.deploy.image.containers import Containers

pytestmark = [pytest.mark.image, pytest.mark.slow]

# Megabytes, uncompressed: what docs/image.md says. Of these Debian and its Python are 190.
MAX_SIZE = 930
NOT_INSIDE = ("gcc", "cc", "c++", "clang", "ld", "make", "pip", "pip3", "curl", "wget")
# Imports all that serves; then tells what of the packages is there that nobody may find.
_PROGRAM = f"""
import importlib, importlib.util, json, pathlib
root = pathlib.Path("/app")
files = [path for name in ("model", "service", "cli") for path in (root / name).rglob("*.py")]
names = {{".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in files}}
for name in sorted(names - {ONLY_WITH_TRITON}):
    importlib.import_module(name)
unwanted = "training pip setuptools pytest sacrebleu tensorboard matplotlib yaml locust transformers"
found = [name for name in unwanted.split() if importlib.util.find_spec(name)]
print(json.dumps({{"imported": len(names), "unwanted": found}}))
"""


@pytest.fixture(scope="module")
def about(containers: Containers, image: str) -> dict[str, Any]:
    """What the image says of itself."""
    return containers.inspect(image)


def layers(about: dict[str, Any]) -> list[str]:
    return list(about["RootFS"]["Layers"])


def test_it_says_what_it_is(about: dict[str, Any]) -> None:
    labels = {name.rpartition(".")[2]: value for name, value in about["Labels"].items()}
    assert labels["title"] == "verto"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "abc123"
    assert labels["version"] == "0.1.0"


def test_it_runs_one_command_as_a_user_that_is_not_root(about: dict[str, Any]) -> None:
    config = about["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == [
        "tini",
        "-s",
        "--",
        "verto",
        "serve",
    ]  # no shell between the server and its signals
    assert about["Healthcheck"]["Test"] == ["CMD", "verto", "health"]
    assert list(config["ExposedPorts"]) == ["8000/tcp"]


def test_it_is_no_larger_than_it_says(about: dict[str, Any], record_property: Any) -> None:
    size = about["Size"] / 1e6
    record_property("image_megabytes", round(size))
    print(f"\nthe image holds {size:.0f} MB, uncompressed")  # noqa: T201
    assert size < MAX_SIZE
    assert f"{MAX_SIZE} MB" in (ROOT / "docs" / "image.md").read_text(encoding="utf-8")


def test_nothing_inside_compiles_installs_or_trains(containers: Containers, image: str) -> None:
    look = f"for name in {' '.join(NOT_INSIDE)}; do command -v $name; done; command -v verto"
    done = containers.once(image, "-c", look, options=["--entrypoint=sh"])
    assert done.stdout == "/app/bin/verto\n"


def test_all_that_serves_imports_with_what_was_kept_of_the_packages(
    containers: Containers, image: str
) -> None:
    done = containers.once(image, "-c", _PROGRAM, options=["--entrypoint=python"])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["imported"] > 100
    assert told["unwanted"] == []


def test_the_kernels_of_every_level_are_there_and_agree_with_pytorch(
    containers: Containers, image: str
) -> None:
    done = containers.once(image, "prepare", "--level", "all", options=["--entrypoint=verto"])
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^kernels (\w+): was there", done.stdout, re.MULTILINE)[-1] == "generic"
    assert "built in" not in done.stdout
    shipped = len(list((ROOT / "checkpoints").iterdir()))
    assert done.stdout.count("agrees with PyTorch") == 3 * shipped  # float32, bfloat16, int8


def test_its_other_commands_are_there_but_for_those_that_train(containers: Containers, image: str) -> None:
    done = containers.once(image, "--help", options=["--entrypoint=verto"])
    assert re.search(r"\btranslate\b", done.stdout)
    assert not re.search(r"\b(train|evaluate)\b", done.stdout)


def test_a_change_of_the_program_makes_one_layer_anew(
    containers: Containers,
    image: str,
    context: Path,
    base: str,
    mounts: list[str],
    about: dict[str, Any],
    tmp_path: Path,
) -> None:
    shutil.copytree(context, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "service" / "app.py").open("a") as file:
        file.write("# changed\n")
    said = containers.build(tmp_path, f"{TAG}-changed", {"PYTHON_IMAGE": base, "REVISION": "def456"}, mounts)
    assert "Collecting" not in said  # no package was installed
    assert "kernels generic" not in said  # nothing was compiled
    before, after = layers(about), layers(containers.inspect(f"{TAG}-changed"))
    assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 1


def test_the_wrong_build_of_torch_ends_the_build_and_says_what_to_do(
    containers: Containers, image: str, context: Path, base: str, mounts: list[str]
) -> None:
    with pytest.raises(AssertionError, match=r"VARIANT=cuda, but torch .* is a build without CUDA"):
        containers.build(context, f"{TAG}-cuda", {"PYTHON_IMAGE": base, "VARIANT": "cuda"}, mounts)
