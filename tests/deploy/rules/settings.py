"""What the manifests tell the server: each variable is a setting, is valid, and agrees with the pod.

Knows the server's settings, and asks them themselves what is valid.
"""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from pydantic import ValidationError

from service.settings import PREFIX, Settings
from tests.deploy.manifests import containers, environment, of_kind, servers, title
from tests.deploy.rendering import Manifest
from tests.deploy.rules.quantities import amount

# The server and an engine for each of the four shipped models, measured at 1 GB together, and some room.
_PROCESSES_BYTES = 1_400_000_000


def resolved(objects: list[Manifest], container: dict[str, Any]) -> Settings:
    """The settings that the server will have. Raises ValidationError."""
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment(objects, container).items()
        if name.startswith(PREFIX) and value
    }
    # Processors of the pod, not of this machine, decide the number of threads, and how many there may be.
    processors = int(amount(container["resources"]["limits"]["cpu"]))
    with patch("service.settings.usable_processors", return_value=max(1, processors)):
        return Settings(**({"num_threads": processors} | given))  # type: ignore[arg-type]


def settings_are_valid(objects: list[Manifest]) -> Iterator[str]:
    """No variable is misspelt, and no value is refused when the server starts."""
    for config in of_kind(objects, "ConfigMap"):
        yield from (f"{title(config)}: {fault}" for fault in _unknown(config.get("data", {})))
    for deployment in of_kind(objects, "Deployment"):
        for container in containers(deployment):
            names = [one["name"] for one in container.get("env", [])]
            yield from (f"{title(deployment)}: {fault}" for fault in _unknown(names))
    for deployment, container in servers(objects):
        try:
            resolved(objects, container)
        except ValidationError as error:
            for fault in error.errors():
                yield f"{title(deployment)}: {fault['loc'][0]}: {fault['msg']}, got {fault['input']!r}"


def _unknown(names: Any) -> Iterator[str]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in names:
        if name.startswith(PREFIX) and name not in known:
            yield f"{name} is no setting"


def server_listens_where_it_is_asked(objects: list[Manifest]) -> Iterator[str]:
    """The server listens on the pod's address, at the port that the container declares."""
    for deployment, container in servers(objects):
        settings = resolved(objects, container)
        if settings.host != "0.0.0.0":
            yield f"{title(deployment)}: listens on {settings.host}, where no other pod reaches it"
        if settings.port not in [port["containerPort"] for port in container.get("ports", [])]:
            yield f"{title(deployment)}: listens at {settings.port}, which is no containerPort"


def threads_fit_the_processors(objects: list[Manifest]) -> Iterator[str]:
    """Whole processors, requested and limited alike, and no more threads of the network than those."""
    for deployment, container in servers(objects):
        requested = amount(container["resources"]["requests"]["cpu"])
        limited = amount(container["resources"]["limits"]["cpu"])
        threads = resolved(objects, container).num_threads
        if requested != limited or limited != int(limited):
            yield f"{title(deployment)}: cpu {requested:g}, limit {limited:g}: not one whole number"
        if threads > limited:
            yield f"{title(deployment)}: {threads} threads on {limited:g} processors"


def memory_fits(objects: list[Manifest]) -> Iterator[str]:
    """The limit holds both processes, the model, and keys and values (which a GPU has in its own memory)."""
    for deployment, container in servers(objects):
        settings = resolved(objects, container)
        cache = 0 if settings.device.startswith("cuda") else settings.cache_bytes_limit
        limit = amount(container["resources"]["limits"]["memory"])
        if limit < _PROCESSES_BYTES + cache:
            yield f"{title(deployment)}: memory {limit:.0f} is less than cache {cache} + {_PROCESSES_BYTES}"
