"""checkov on what is rendered: nothing is found but what deploy/.checkov.yaml leaves out, with reasons."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.mistakes import POD, SERVER, Mistake, at, deployment, without
from tests.deploy.rendering import ROOT, Manifest, render

SCRIPT = ROOT / "scripts" / "policy_linter.sh"
INSTALL_SECONDS = 60

pytestmark = pytest.mark.slow

GOOD = {
    "cpu": ("networkpolicy", "ingress", "gateway", "hpa", "model-volume", "monitoring"),
    "gpu": ("networkpolicy", "keda", "model-image", "tracing"),
    "dev": ("networkpolicy",),
}
# Names of rules that find each.
BAD: dict[str, Mistake] = {
    "CKV_K8S_11": deployment("no limits", without(SERVER + "resources.limits"), "networkpolicy"),
    "CKV_K8S_40": deployment("root", at(POD + "securityContext.runAsUser", 0), "networkpolicy"),
    "CKV_K8S_22": deployment(
        "a root that may be written",
        without(SERVER + "securityContext.readOnlyRootFilesystem"),
        "networkpolicy",
    ),
    "CKV_K8S_8": deployment("no liveness probe", without(SERVER + "livenessProbe"), "networkpolicy"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """File's name without ending to the rules that it fails; one run for all, since each takes seconds."""
    _installed()
    folder = tmp_path_factory.mktemp("rendered")
    for name, components in GOOD.items():
        _write(folder / f"{name}.yaml", render(name, *components))
    for name, mistake in BAD.items():
        _write(folder / f"{name}.yaml", mistake.planted())
    options = [word for path in sorted(folder.iterdir()) for word in ("-f", str(path))]
    done = _run("-o", "json", *options, seconds=300)
    assert done.returncode == 1, done.stderr
    rules: dict[str, set[str]] = {path.stem: set() for path in folder.iterdir()}
    for failed in _failed(json.loads(done.stdout)):
        rules[Path(failed["file_path"]).stem].add(failed["check_id"])
    return rules


def _installed() -> None:
    """Once on each machine; skips where there is no way to it."""
    try:
        done = _run("--version", seconds=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"checkov could not be installed within {INSTALL_SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"checkov could not be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def _run(*options: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """The script, and whatever it has started ends with it."""
    command = [str(SCRIPT), *options]
    environment = os.environ | {"PYTHON": sys.executable}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _write(path: Path, objects: list[Manifest]) -> None:
    """In a namespace, as an overlay of a user's has it."""
    for one in objects:
        one["metadata"]["namespace"] = "verto"
    path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")


def _failed(report: Any) -> list[dict[str, Any]]:
    return [one for part in _parts(report) for one in part["results"]["failed_checks"]]


def _parts(report: Any) -> list[Any]:
    return report if isinstance(report, list) else [report]


@pytest.mark.parametrize("name", GOOD)
def test_the_linter_finds_nothing(name: str, found: dict[str, set[str]]) -> None:
    assert found[name] == set()


@pytest.mark.parametrize("rule", BAD)
def test_the_linter_finds_a_planted_mistake(rule: str, found: dict[str, set[str]]) -> None:
    assert rule in found[rule]


def test_every_rule_left_out_has_its_reason() -> None:
    lines = (ROOT / "deploy" / ".checkov.yaml").read_text(encoding="utf-8").splitlines()
    left_out = [number for number, line in enumerate(lines) if line.strip().startswith("- CKV")]
    assert left_out
    assert all(lines[number - 1].strip().startswith("# ") for number in left_out)
