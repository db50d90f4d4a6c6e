"""Where the server under test is, and whether it is one. Knows: URLs, the API's own list of models.

Must not know: loads, statistics.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.requests import Direction

PROBE_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}
_DIRECT = build_opener(ProxyHandler({}))  # as the load goes: what a proxy takes is not the server's


@dataclass(frozen=True, slots=True)
class Address:
    """A server's URL without a slash at its end, and headers that every request to it carries."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def is_tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def netloc(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def prefix(self) -> str:
        """The path before those of the API."""
        return urlsplit(self.url).path

    def get(self, path: str, seconds: float = PROBE_SECONDS) -> tuple[int, bytes]:
        """Status and content. Raises `OSError` where nobody answers, or not to the end."""
        request = Request(self.url + path, headers=dict(self.headers))
        try:
            with _opened(request, seconds) as answer:
                return int(answer.status), bytes(answer.read())
        except HTTPException as error:  # half an answer, or none of HTTP
            raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _opened(request: Request, seconds: float) -> Any:
    try:
        return _DIRECT.open(request, timeout=seconds)
    except HTTPError as error:  # an answer like any other
        return error


def read_address(url: str, headers: Sequence[str] = ()) -> Address:
    """Of `http://host:port/prefix` and lines `Name: value`. Raises LoadTestError."""
    fault = f"--url: {url!r} is no address of a server; write it as http://host:8000"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _PORTS and parts.hostname and parts.port != 0
        valid = valid and not parts.query and parts.username is None  # a key goes into --header
    except ValueError:  # a port that is no number, or too large
        valid = False
    if not valid:
        raise LoadTestError(fault)
    return Address(url.rstrip("/"), dict(map(_header, headers)))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or "\n" in line or "\r" in line:
        raise LoadTestError(f"--header: {line!r} is no header; write it as 'Authorization: Bearer KEY'")
    return name.strip(), value.strip()


@dataclass(frozen=True, slots=True)
class Served:
    """What a server says of itself. `models` as in `GET /v1/models`."""

    models: Sequence[Mapping[str, Any]]

    @property
    def told(self) -> str:
        """For a report: each model with what it runs as."""
        names = ("version", "dtype", "device", "path")
        return "; ".join(
            " ".join([str(model["id"]), *(str(model[name]) for name in names if model.get(name))])
            for model in self.models
        )

    def direction(self, source: str | None, target: str | None) -> Direction:
        """The first that agrees with what is given, from English if there is one. Raises LoadTestError."""
        found = [
            Direction(*pair)
            for model in self.models
            for pair in pairs_of(model)
            if (source in (None, pair[0])) and (target in (None, pair[1]))
        ]
        if not found:
            asked = f"{source or 'any'} to {target or 'any'}"
            raise LoadTestError(f"the server does not translate {asked}; it has: {self._pairs()}")
        return next((one for one in found if one.is_from_english), found[0])

    def _pairs(self) -> str:
        pairs = [f"{source}-{target}" for model in self.models for source, target in pairs_of(model)]
        return ", ".join(pairs[:10]) + (" ..." if len(pairs) > 10 else "") or "nothing"


def pairs_of(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of a model in `GET /v1/models`; one from many languages into many tells two lists in their place.

    Raises `ValueError`, `TypeError` or `KeyError` for anything else.
    """
    told = model["directions"]
    if isinstance(told, Mapping):
        each = itertools.product(told["sources"], told["targets"])
        return [(source, target) for source, target in each if source != target]
    return [(source, target) for source, target in told]


def probe(address: Address) -> Served:
    """What is there, before load is put on it. Raises LoadTestError: nobody, another server, not ready."""
    status, content = _asked(address, "/v1/models")
    try:
        models = json.loads(content)["data"]
        for model in models:
            pairs_of(model)
        is_verto = status == 200
    except (ValueError, TypeError, KeyError):
        is_verto = False
    if status == 503:
        raise LoadTestError(f"{address.url} is not ready (status 503); wait until /health/ready says 200")
    if not is_verto:
        raise LoadTestError(
            f"{address.url} answers, but not as a Verto server does (GET /v1/models: status {status}); "
            "check the address and its path"
        )
    return Served(models)


def _asked(address: Address, path: str) -> tuple[int, bytes]:
    try:
        return address.get(path)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise LoadTestError(
            f"{address.url} cannot be reached ({reason}); start a server with `verto serve`, or leave --url "
            "out and one is started"
        ) from None
