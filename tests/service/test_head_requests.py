"""HEAD gets what GET gets, but for the body; over a real socket too."""

from __future__ import annotations

import http.client

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.end_to_end.live_server import live_server
from tests.fakes import fake_translator
from tests.service.http_client import app_client, metric

PATHS = ["/", "/health/live", "/health/ready", "/health/startup", "/v1/models", "/v1/languages"]
PATHS += ["/docs", "/openapi.json", "/web/client.js", "/web/limits.json", "/v1/nothing"]
PATIENCE = 30.0
# Different from request to request.
OWN = {"x-request-id", "date"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return app_client()


@pytest.mark.parametrize("path", PATHS)
def test_head_gets_the_status_and_the_headers_of_get(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code
    assert {name: value for name, value in head.headers.items() if name not in OWN} == {
        name: value for name, value in get.headers.items() if name not in OWN
    }
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(get.content)


def test_metrics_have_a_head_too(client: TestClient) -> None:
    head = client.head("/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/plain")


def test_what_only_takes_a_body_takes_no_head(client: TestClient) -> None:
    for path in ("/v1/translate", "/v1/detect"):
        head = client.head(path)
        assert (head.status_code, head.headers["allow"], head.content) == (405, "POST", b"")


def test_a_refusal_says_that_head_is_taken(client: TestClient) -> None:
    refused = client.delete("/v1/models")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.json()["errors"][0]["bound"] == "one of GET, HEAD"


def test_a_head_is_counted_by_its_route() -> None:
    client = app_client()
    client.head("/v1/models")
    assert metric(client, 'verto_requests_total{code="200",pair="none",route="/v1/models"}') == 1


def test_over_a_socket_nothing_follows_the_head() -> None:
    with live_server(create_app(fake_translator(), Settings())) as server:
        connection = http.client.HTTPConnection(*server.listener.getsockname()[:2], timeout=PATIENCE)
        sizes = []
        for method in ("HEAD", "GET", "HEAD", "GET"):  # over one connection: a body would be in the way
            connection.request(method, "/")
            answer = connection.getresponse()
            sizes.append((int(answer.headers["content-length"]), len(answer.read())))
        connection.close()
    size = sizes[1][1]
    assert sizes == [(size, 0), (size, size)] * 2
