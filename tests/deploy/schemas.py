"""Every object against the schema of its kind: Kubernetes' own of several versions, and those of operators.

Knows which kinds are not Kubernetes' own; an unknown kind is a fault, as is an unknown field.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
from pydantic import BaseModel, ValidationError

from tests.deploy.http_route import HTTPRoute
from tests.deploy.manifests import title
from tests.deploy.rendering import Manifest

# The oldest that we promise (preStop sleep is there without a feature gate) to the newest that is known here.
KUBERNETES_VERSIONS = ("1.31.0", "1.34.0", "1.37.0")


def objects_have_their_schema(objects: list[Manifest]) -> Iterator[str]:
    """Types, required fields and names of fields; for Kubernetes' own kinds in each version."""
    for thing in objects:
        for fault in _faults(json.dumps(thing, sort_keys=True)):
            yield f"{title(thing)}: {fault}"


@cache
def _faults(text: str) -> tuple[str, ...]:
    """Kept: most objects are the same in most renderings."""
    thing = json.loads(text)
    kind = f"{thing['apiVersion']} {thing['kind']}"
    if kind in _operators_kinds():
        return tuple(_operator_faults(_operators_kinds()[kind], thing))
    return tuple(_kubernetes_faults(thing))


def _kubernetes_faults(thing: Manifest) -> Iterator[str]:
    for version in KUBERNETES_VERSIONS:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{version}: {error.message}"


@cache
def _operators_kinds() -> dict[str, type[BaseModel]]:
    """Imported when they are needed: it takes seconds."""
    from cloudcoil.models.keda.v1alpha1 import ScaledObject
    from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

    return {
        "gateway.networking.k8s.io/v1 HTTPRoute": HTTPRoute,
        "keda.sh/v1alpha1 ScaledObject": ScaledObject,
        "monitoring.coreos.com/v1 PrometheusRule": PrometheusRule,
        "monitoring.coreos.com/v1 ServiceMonitor": ServiceMonitor,
    }


def _operator_faults(model: type[BaseModel], thing: Manifest) -> Iterator[str]:
    try:
        known = model.model_validate(thing).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except ValidationError as error:
        for fault in error.errors():
            yield f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    else:
        yield from (f"{path}: no such field" for path in _missing(thing, known))


def _missing(given: Any, known: Any, path: str = "") -> Iterator[str]:
    """The models ignore fields that they do not know: what was given and does not come back."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            here = f"{path}.{key}".lstrip(".")
            if key not in known:
                yield here
            else:
                yield from _missing(value, known[key], here)
    elif isinstance(given, list) and isinstance(known, list):
        for position, (one, other) in enumerate(zip(given, known, strict=True)):
            yield from _missing(one, other, f"{path}[{position}]")
