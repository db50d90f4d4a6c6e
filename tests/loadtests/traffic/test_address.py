"""A server is asked who it is before any load: what is wrong is one line with the next step."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from loadtests.traffic.address import Served, probe, read_address
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.requests import Direction
from loadtests.traffic.scrape import Scraper
from service.answer_schemas import LanguageProduct, ModelAnswer, ModelsAnswer
from tests.loadtests.traffic.fake_server import MODELS, FakeServer, running


def refusal(url: str, *headers: str) -> str:
    with pytest.raises(LoadTestError) as error:
        probe(read_address(url, headers))
    return str(error.value)


@contextlib.contextmanager
def server_that_says(content: bytes) -> Iterator[str]:
    """To everybody, whatever is asked; then it hangs up."""

    class Saying(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(content)

    with socketserver.TCPServer(("127.0.0.1", 0), Saying) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://h?a=b",
        "http://u:p@h",
    ],
)
def test_what_is_no_address_is_told_with_one_that_is(url: str) -> None:
    assert refusal(url) == f"--url: {url!r} is no address of a server; write it as http://host:8000"


@pytest.mark.parametrize("header", ["Authorization", ": x", "A: b\r\nC: d"])
def test_what_is_no_header_is_told_with_one_that_is(header: str) -> None:
    assert "write it as 'Authorization: Bearer KEY'" in refusal("http://host", header)


def test_an_address_has_its_parts() -> None:
    address = read_address("https://host/api/", ["X-Key: a:b"])
    assert (address.host, address.port, address.is_tls, address.prefix) == ("host", 443, True, "/api")
    assert address.headers == {"X-Key": "a:b"}
    assert read_address("http://[::1]:81").host == "::1"


def test_nobody_there_is_told_with_what_would_be_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "cannot be reached ([Errno 111] Connection refused); start a server" in refusal(
        f"http://127.0.0.1:{port}"
    )


@pytest.mark.parametrize("content", [b"SSH-2.0-X\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{"])
def test_no_answer_of_http_and_half_a_one_are_told_in_one_line_too(content: bytes) -> None:
    with server_that_says(content) as url:
        assert "cannot be reached" in refusal(url)
        with Scraper(read_address(url), 0.01) as scraper:
            time.sleep(0.2)
    assert scraper.fault.startswith("GET /metrics: ")


@pytest.mark.parametrize(
    ("models", "status", "words"),
    [
        (MODELS, 404, "not as a Verto server does (GET /v1/models: status 404)"),
        (MODELS, 503, "is not ready (status 503); wait until /health/ready says 200"),
        ([], 200, "not as a Verto server does"),
        ({"object": "list", "data": [{"id": "gpt"}]}, 200, "not as a Verto server does"),
        ("hello", 200, "not as a Verto server does"),
        ({"data": [{"id": "x", "directions": {"sources": ["en"]}}]}, 200, "not as a Verto server does"),
        ({"data": [{"id": "x", "directions": ["en", "d"]}]}, 200, "not as a Verto server does"),
    ],
)
def test_another_server_is_told_apart(models: Any, status: int, words: str) -> None:
    with running(FakeServer(models=models, models_status=status)) as server:
        assert words in refusal(server.url)


def test_a_server_says_what_it_serves_and_english_comes_first() -> None:
    with running(FakeServer()) as server:
        served = probe(read_address(server.url))
    assert served.told == "fake f"
    assert served.direction(None, None) == Direction("en", "de")
    assert served.direction("de", None) == served.direction(None, "en") == Direction("de", "en")


def test_a_server_of_many_languages_into_many_is_one_too() -> None:
    told = ModelAnswer(
        id="many", created=0, version="1", dtype="float32", device="cpu", path="native",
        directions=LanguageProduct(sources=["deu_Latn", "eng_Latn"], targets=["deu_Latn", "eng_Latn"]),
    )  # fmt: skip
    with running(FakeServer(models=ModelsAnswer(data=[told]).model_dump())) as server:
        served = probe(read_address(server.url))
    assert served.direction(None, None) == Direction("eng_Latn", "deu_Latn")
    assert served.direction("deu_Latn", None) == Direction("deu_Latn", "eng_Latn")
    with pytest.raises(LoadTestError, match="it has: deu_Latn-eng_Latn, eng_Latn-deu_Latn"):
        served.direction("deu_Latn", "deu_Latn")


def test_a_direction_that_is_not_served_is_told_with_those_that_are() -> None:
    with pytest.raises(LoadTestError, match="does not translate fr to any; it has: de-en, en-de"):
        Served(MODELS["data"]).direction("fr", None)  # type: ignore[arg-type]
    with pytest.raises(LoadTestError, match="it has: nothing"):
        Served([]).direction(None, None)
