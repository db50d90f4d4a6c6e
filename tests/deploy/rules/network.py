"""Network policies: words that the API server knows, both ways closed, nobody let in without being named."""

from collections.abc import Iterator

from tests.deploy.manifests import of_kind, title
from tests.deploy.rendering import Manifest

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


def policies_are_spelt_right(objects: list[Manifest]) -> Iterator[str]:
    """Types and protocols are strings to a schema, and a closed list to the API server."""
    for policy in of_kind(objects, "NetworkPolicy"):
        for one in policy["spec"].get("policyTypes", []):
            if one not in _TYPES:
                yield f"{title(policy)}: policyTypes {one!r}, not one of {_TYPES}"
        rules = [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]
        for protocol in [port.get("protocol", "TCP") for rule in rules for port in rule.get("ports", [])]:
            if protocol not in _PROTOCOLS:
                yield f"{title(policy)}: protocol {protocol!r}, not one of {_PROTOCOLS}"


def policies_name_who_may_come_in(objects: list[Manifest]) -> Iterator[str]:
    """A rule without `from` or `ports` lets everybody in everywhere."""
    for policy in of_kind(objects, "NetworkPolicy"):
        for way in [one for one in _TYPES if one.lower() in policy["spec"]]:
            if way not in policy["spec"].get("policyTypes", []):
                yield f"{title(policy)}: {way} is not in policyTypes, and so is open"
        for rule in policy["spec"].get("ingress", []):
            if not rule.get("from") or not rule.get("ports") or {} in rule["from"]:
                yield f"{title(policy)}: a rule of ingress names nobody or no port"
        for rule in policy["spec"].get("egress", []):
            if not rule.get("to") or not rule.get("ports"):
                yield f"{title(policy)}: a rule of egress names nobody or no port"
