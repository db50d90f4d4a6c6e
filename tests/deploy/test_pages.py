"""What the pages about deploying tell their reader to write and to apply has no fault."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.checks import faults
from tests.deploy.pages import commands, files, folders, manifests, written
from tests.deploy.rendering import COMPONENTS, OVERLAYS, ROOT, kustomize, objects, render

# Written elsewhere at this time.
COMING = {"scaling.md", "model-lifecycle.md"}
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
    missing = {link for link in links if not (folder / link).exists()}
    assert missing - COMING == set()


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


def test_commands_and_files_of_a_page_are_found() -> None:
    page = (
        "```sh\nkubectl apply -n verto \\\n  -k deploy/overlays/x\nkubectl kustomize deploy/a | head\n```\n"
        "```yaml\n# deploy/overlays/x/kustomization.yaml\nkind: Kustomization\n```\n"
    )
    assert folders(page) == ["deploy/overlays/x", "deploy/a"]
    assert list(files(page)) == ["deploy/overlays/x/kustomization.yaml"]
    assert len(commands(page)) == 2
