"""The web page's files: complete, from this server only, and safe under a strict Content-Security-Policy."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.web_page import FOLDER

FILES = sorted(path for path in FOLDER.iterdir() if path.is_file())
PAGE = (FOLDER / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_app(None, Settings(max_text_characters=1234)))


class Tags(HTMLParser):
    """All start tags with their attributes, and the text within scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(PAGE)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline += data.strip()


def test_the_page_holds_no_script_style_or_handler_of_its_own() -> None:
    found = Tags()
    attributes = {name for _, attributes in found.tags for name in attributes}
    assert found.inline == ""
    assert [name for name in attributes if name == "style" or name.startswith("on")] == []


def test_every_address_in_the_page_is_relative_and_answered(client: TestClient) -> None:
    addresses = {
        value for _, attributes in Tags().tags for name in ("href", "src") if (value := attributes.get(name))
    }
    assert {"web/app.js", "web/style.css", "web/controls.css", "web/icon.svg", "docs"} <= addresses
    assert [one for one in addresses if ":" in one or one.startswith("/")] == []
    assert {one: client.get(f"/{one}").status_code for one in addresses} == dict.fromkeys(addresses, 200)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_names_no_other_server(path: Path) -> None:
    addresses = re.findall(r"\b\w+:?//[\w.-]+", path.read_text(encoding="utf-8"))
    assert set(addresses) <= {"http://www.w3.org"}  # the name of the SVG language, never asked for


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_script_imports_is_there(path: Path) -> None:
    imported = re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8"))
    assert [name for name in imported if not (FOLDER / name).is_file()] == []


def test_a_file_has_its_type_and_is_asked_for_again_each_time(client: TestClient) -> None:
    first = client.get("/web/app.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["x-content-type-options"] == "nosniff"
    again = client.get("/web/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/web/missing.js", "/web/../app.py", "/web/%2e%2e/app.py", "/web/"])
def test_only_the_page_s_own_files_are_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_the_limit_is_known_before_any_model_is(client: TestClient) -> None:
    assert client.get("/web/limits.json").json() == {"max_text_characters": 1234}


def test_metrics_name_the_route_of_the_files(client: TestClient) -> None:
    client.get("/web/app.js")
    assert (
        'verto_requests_total{code="200",pair="none",route="/web/{name}"} 1.0' in client.get("/metrics").text
    )
