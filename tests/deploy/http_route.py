"""The shape of an HTTPRoute, as far as ours uses it; anything beyond is refused.

No package of the index carries the schemas of the Gateway API, so this is written by hand.
Source: Gateway API 1.2, standard channel, gateway.networking.k8s.io/v1.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(_Strict):
    name: Name
    namespace: Name | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ParentReference(_Strict):
    name: Name
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    namespace: Name | None = None
    sectionName: str | None = None
    port: Port | None = None


class PathMatch(_Strict):
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, StringConstraints(pattern="^/", max_length=1024)] = "/"


class Match(_Strict):
    path: PathMatch


class Timeouts(_Strict):
    request: Duration | None = None
    backendRequest: Duration | None = None


class BackendReference(_Strict):
    name: Name
    port: Port
    group: str = ""
    kind: str = "Service"
    namespace: Name | None = None
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1


class Rule(_Strict):
    name: str | None = None
    matches: Annotated[list[Match], Field(min_length=1, max_length=64)]
    timeouts: Timeouts = Timeouts()
    backendRefs: Annotated[list[BackendReference], Field(min_length=1, max_length=16)]


class Spec(_Strict):
    parentRefs: Annotated[list[ParentReference], Field(min_length=1, max_length=32)]
    hostnames: Annotated[list[Name], Field(max_length=16)] = []
    rules: Annotated[list[Rule], Field(min_length=1, max_length=16)]


class HTTPRoute(_Strict):
    apiVersion: Literal["gateway.networking.k8s.io/v1"]
    kind: Literal["HTTPRoute"]
    metadata: Metadata
    spec: Spec
