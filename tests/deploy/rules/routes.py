"""What the outside may reach: the app's own routes, compared with Ingress and HTTPRoute.

Knows which addresses are for inside the cluster; all others are the clients'.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from pydantic import SecretStr

from service.app import create_app
from service.settings import Settings
from tests.deploy.manifests import of_kind, servers, title
from tests.deploy.rendering import Manifest
from tests.deploy.rules.quantities import amount
from tests.deploy.rules.settings import resolved

INSIDE = ("/metrics", "/health", "/v1/admin")
_DURATION = re.compile(r"(\d+)s")


@cache
def declared_paths() -> frozenset[str]:
    """Every address of the app, those of administrators too, parameters replaced by a word."""
    app = create_app(None, Settings(admin_key=SecretStr("k" * 32)))
    return frozenset(re.sub(r"\{\w+\}", "word", path) for path in _paths(app.routes))


def _paths(routes: Iterable[Any]) -> Iterator[str]:
    """Of routers within routers too."""
    for route in routes:
        if inner := getattr(route, "original_router", None):
            yield from _paths(inner.routes)
        else:
            yield route.path


def is_inside(path: str) -> bool:
    """Whether an address is for inside the cluster only."""
    return any(path == one or path.startswith(f"{one}/") for one in INSIDE)


def clients_reach_what_is_theirs(objects: list[Manifest]) -> Iterator[str]:
    """Every address of clients is let in; metrics, probes and administration are not."""
    for thing in of_kind(objects, "Ingress", "HTTPRoute"):
        allowed = list(_allowed(thing))
        for path in sorted(declared_paths()):
            if not is_inside(path) and not _lets_in(allowed, path):
                yield f"{title(thing)}: {path} is not let in"
        for path in sorted(filter(is_inside, declared_paths())):
            if _lets_in(allowed, path):
                yield f"{title(thing)}: {path} is open to the outside"


def _allowed(thing: Manifest) -> Iterator[tuple[str, str]]:
    """Kind of match and path."""
    for rule in thing["spec"].get("rules", []):
        for path in rule.get("http", {}).get("paths", []):
            yield path["pathType"], path["path"]
        for match in rule.get("matches", [{}]) if thing["kind"] == "HTTPRoute" else []:
            path = match.get("path", {"type": "PathPrefix", "value": "/"})
            yield path["type"], path["value"]


def _lets_in(allowed: list[tuple[str, str]], path: str) -> bool:
    return any(
        path == own or (kind != "Exact" and path.startswith(own.rstrip("/") + "/")) for kind, own in allowed
    )


def ways_in_lead_to_the_service(objects: list[Manifest]) -> Iterator[str]:
    """Backends are a Service of ours, at a port that it has."""
    there = {
        (service["metadata"]["name"], port)
        for service in of_kind(objects, "Service")
        for one in service["spec"]["ports"]
        for port in (one.get("name"), one["port"])
    }
    for thing in of_kind(objects, "Ingress", "HTTPRoute"):
        for backend in _backends(thing):
            if backend not in there:
                yield f"{title(thing)}: leads to {backend}, which does not exist"


def _backends(thing: Manifest) -> Iterator[tuple[str, Any]]:
    for rule in thing["spec"].get("rules", []):
        for path in rule.get("http", {}).get("paths", []):
            service = path["backend"]["service"]
            yield service["name"], service["port"].get("name", service["port"].get("number"))
        for backend in rule.get("backendRefs", []):
            yield backend["name"], backend.get("port")


def ways_in_let_streams_through(objects: list[Manifest]) -> Iterator[str]:
    """Nothing is buffered or cut before the server's own deadline; bodies are as the server takes them."""
    for _, container in servers(objects):
        settings = resolved(objects, container)
        for ingress in of_kind(objects, "Ingress"):
            yield from (f"{title(ingress)}: {fault}" for fault in _ingress_faults(ingress, settings))
        for route in of_kind(objects, "HTTPRoute"):
            yield from (f"{title(route)}: {fault}" for fault in _route_faults(route, settings))


def _ingress_faults(ingress: Manifest, settings: Settings) -> Iterator[str]:
    given = ingress["metadata"].get("annotations", {})
    said = {name.removeprefix("nginx.ingress.kubernetes.io/"): value for name, value in given.items()}
    if said.get("proxy-buffering") != "off":
        yield "proxy-buffering is not off"
    for name in ("proxy-read-timeout", "proxy-send-timeout"):
        if float(said.get(name, 60)) <= settings.max_timeout_seconds:
            yield f"{name} {said.get(name)} is within max_timeout_seconds {settings.max_timeout_seconds:g}"
    body = amount(said.get("proxy-body-size", "1Mi"))
    if body != settings.max_body_bytes:
        yield f"proxy-body-size {body:.0f} is not max_body_bytes {settings.max_body_bytes}"


def _route_faults(route: Manifest, settings: Settings) -> Iterator[str]:
    for rule in route["spec"].get("rules", []):
        for name in ("request", "backendRequest"):
            said = str(rule.get("timeouts", {}).get(name, ""))
            match = _DURATION.fullmatch(said)
            if not match or int(match[1]) <= settings.max_timeout_seconds:
                yield f"timeout {name} {said!r} is within {settings.max_timeout_seconds:g} s"
