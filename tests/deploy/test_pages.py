"""What the pages about deploying tell their reader to write and to apply has no fault."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.checks import faults
from tests.deploy.manifests import of_kind
from tests.deploy.pages import commands, files, folders, manifests, written
from tests.deploy.rendering import COMPONENTS, OVERLAYS, ROOT, kubectl, kustomize, objects, render
from tests.deploy.rules.containers import version

PAGES = ("deploy/README.md", "docs/deploy.md")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_write_and_to_apply_renders_without_fault(page: str, tmp_path: Path) -> None:
    text = text_of(page)
    folder = written(text, tmp_path)
    own = {str(Path(path).parent) for path in files(text) if path.endswith("kustomization.yaml")}
    chosen = sorted(own | set(folders(text)))
    assert chosen, "the page renders nothing"
    found = {one: faults(objects(kustomize(folder / one))) for one in chosen}
    assert found == {one: [] for one in chosen}


def test_what_a_page_applies_beside_has_no_fault() -> None:
    """In the namespace of what is installed: volumes and accounts are there."""
    text = text_of("docs/deploy.md")
    assert manifests(text) == ["deploy/components/model-volume/loader.yaml"]
    beside = [one for path in manifests(text) for one in objects(text_of(path))]
    assert faults([*render("dev", "model-volume"), *beside]) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text_of(page))
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_readme_has_a_section_for_each_overlay_and_a_line_for_each_component() -> None:
    text = text_of("deploy/README.md")
    assert [name for name in OVERLAYS if f"\n### {name}\n" not in text] == []
    assert [name for name in COMPONENTS if f"\n| `{name}` |" not in text] == []


def test_numbers_of_the_readme_are_those_of_the_manifests() -> None:
    text = text_of("deploy/README.md")
    deployment = yaml.safe_load(text_of("deploy/base/deployment.yaml"))["spec"]["template"]["spec"]
    (server,) = deployment["containers"]
    settings = dict(re.findall(r"^(VERTO_\w+)=(.*)$", text_of("deploy/base/settings.env"), re.MULTILINE))
    assert f"preStop sleeps {server['lifecycle']['preStop']['sleep']['seconds']} s" in text
    assert f"leaves for {settings['VERTO_DRAIN_DELAY_SECONDS']} s" in text
    assert f"drains, at most {settings['VERTO_DRAIN_TIMEOUT_SECONDS']} s" in text
    assert f"killed after {deployment['terminationGracePeriodSeconds']} s" in text


def test_resources_of_the_readme_are_those_of_the_manifests() -> None:
    text = text_of("deploy/README.md")
    found = {name: text.split(f"\n### {name}\n")[1].split("\n#")[0] for name in OVERLAYS}
    told = {name: _told_resources(section) for name, section in found.items()}
    assert told == {name: _resources(name) for name in OVERLAYS}
    assert not re.search(r"\d [GM]iB", text.split("\n## Overlays\n")[0])


def _told_resources(section: str) -> tuple[int, str]:
    (told,) = re.findall(r"(\w+) processors? and (\d+) GiB", section)
    return ["no", "one", "two", "three", "four"].index(told[0]), f"{told[1]}Gi"


def _resources(overlay: str) -> tuple[int, str]:
    (deployment,) = of_kind(render(overlay), "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    limits = server["resources"]["limits"]
    return int(limits["cpu"]), limits["memory"]


def test_each_component_stands_once_in_the_table() -> None:
    named = re.findall(r"^\| `([\w-]+)` \|", text_of("deploy/README.md"), re.MULTILINE)
    assert sorted(named) == sorted(COMPONENTS)


def test_a_model_that_changes_places_again_and_again_is_always_the_newest(tmp_path: Path) -> None:
    """What the page tells to run in the loader's pod, on a folder, with a copy for each version."""
    in_pod = [
        line for line in commands(text_of("docs/deploy.md")) if " exec verto-model-loader -- sh " in line
    ]
    *update, back = (shlex.split(line)[-1].replace("/models", str(tmp_path)) for line in in_pod)
    current = tmp_path / "en-de"
    current.mkdir()
    (current / "version").write_text("1")
    for version_number in "234":
        subprocess.run(["sh", "-c", update[0]], check=True)
        (tmp_path / ".incoming" / "en-de").mkdir()
        (tmp_path / ".incoming" / "en-de" / "version").write_text(version_number)
        subprocess.run(["sh", "-c", update[1]], check=True)
        assert (current / "version").read_text() == version_number
    subprocess.run(["sh", "-c", back], check=True)
    assert (current / "version").read_text() == "3"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".incoming", "en-de"]


def test_commands_and_files_of_a_page_are_found() -> None:
    page = (
        "```sh\nkubectl apply -n verto \\\n  -k deploy/overlays/x\nkubectl kustomize deploy/a | head\n```\n"
        "```yaml\n# deploy/overlays/x/kustomization.yaml\nkind: Kustomization\n```\n"
    )
    assert folders(page) == ["deploy/overlays/x", "deploy/a"]
    assert list(files(page)) == ["deploy/overlays/x/kustomization.yaml"]
    assert len(commands(page)) == 2


def test_kubectl_understands_every_command_of_the_page(tmp_path: Path) -> None:
    """Each is run against an address where nobody is: options are read before anybody is asked."""
    (tmp_path / "config").write_text(NOBODY)
    folder = written(text_of("docs/deploy.md"), tmp_path)
    (folder / "checkpoints").symlink_to(ROOT / "checkpoints")
    lines = [line for line in commands(text_of("docs/deploy.md")) if line.startswith("kubectl ")]
    assert len(lines) > 20
    misunderstood = {line: said for line in lines if (said := _misunderstood(line, folder))}
    assert misunderstood == {}


@pytest.mark.parametrize(
    "line", ["kubectl rollot status", "kubectl get pods --nmspace x", "kubectl wait pod/x"]
)
def test_a_command_that_kubectl_does_not_understand_is_caught(line: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(NOBODY)
    assert _misunderstood(line, tmp_path) != ""


NOBODY = """
apiVersion: v1
kind: Config
current-context: nobody
clusters: [{name: nobody, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: nobody, context: {cluster: nobody, user: nobody}}]
users: [{name: nobody, user: {}}]
"""


def _misunderstood(line: str, folder: Path) -> str:
    """What kubectl says against the command; empty when it only found nobody, or when it needed nobody."""
    command = [kubectl(), *shlex.split(line)[1:]]
    environment = os.environ | {"KUBECONFIG": str(folder / "config"), "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    reached = done.returncode == 0 or "refused" in done.stderr
    return "" if reached else done.stderr


def test_versions_and_ports_of_the_page_are_those_of_the_manifests() -> None:
    text = text_of("docs/deploy.md")
    assert set(re.findall(r"verto:(\d[\w.-]*)", text)) == {version(), f"{version()}-cuda"}
    (service,) = of_kind(render("dev"), "Service")
    port = service["spec"]["ports"][0]["nodePort"]
    assert f"- containerPort: {port}\n        hostPort: {port}" in text
    assert f"http://127.0.0.1:{port}" in text
