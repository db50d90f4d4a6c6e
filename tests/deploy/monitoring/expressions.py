"""Every expression that is committed under deploy/ and in the runbook, as Prometheus is to be asked it.

Knows where rules, dashboards, KEDA's triggers, prometheus-adapter's rules and the runbook keep expressions,
and takes comparisons off alerts, which give nothing while all is well. Must not know which metrics there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from promql_parser import BinaryExpr, Call, NumberLiteral, ParenExpr, VectorSelector

from scripts.dashboard.filled import expressions, filled
from tests.contracts.project import ROOT
from tests.deploy.monitoring.rules import RUNBOOK

DEPLOY = ROOT / "deploy"
RATE_INTERVAL = "15s"
_JOINING, _COMPARING = {"and", "or", "unless"}, {"==", "!=", "<", "<=", ">", ">="}


@dataclass(frozen=True)
class Expression:
    """`where` names file and place, for people."""

    where: str
    text: str


def committed() -> list[Expression]:
    """All of them."""
    found = [Expression(f"runbook: {query}", query) for query in _of_runbook()]
    for path in sorted(DEPLOY.rglob("*")):
        name = path.relative_to(DEPLOY).as_posix()
        if path.suffix == ".yaml":
            found += [one for document in _documents(path) for one in _of_manifest(name, document)]
        elif path.suffix == ".json" and "panels" in (content := json.loads(path.read_text("utf-8"))):
            found += _of_dashboard(name, content)
    return found


def _documents(path: Path) -> Iterator[Any]:
    yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def _of_runbook() -> list[str]:
    text = RUNBOOK.read_text(encoding="utf-8")
    return [query.strip() for query in re.findall(r"```promql\n(.*?)```", text, re.DOTALL)]


def _of_dashboard(name: str, dashboard: dict[str, Any]) -> list[Expression]:
    return [
        Expression(f"{name}: {title}", filled(text, RATE_INTERVAL)) for title, text in expressions(dashboard)
    ]


def _of_manifest(name: str, thing: Any) -> Iterator[Expression]:
    """Wherever in the document they stand."""
    if isinstance(thing, list):
        for one in thing:
            yield from _of_manifest(name, one)
    if not isinstance(thing, dict):
        return
    match thing:
        case {"alert": alert, "expr": text}:
            yield from (Expression(f"{name}: {alert}", side) for side in sides(text))
        case {"record": record, "expr": text}:
            yield Expression(f"{name}: {record}", text)
            yield Expression(f"{name}: {record}, recorded", record)
        case {"seriesQuery": series, "metricsQuery": text}:
            yield Expression(f"{name}: seriesQuery", series)
            yield Expression(f"{name}: metricsQuery", as_adapter_asks(series, text))
        case {"type": "Pods", "pods": {"metric": {"name": metric}}}:
            yield Expression(f"{name}: metric", metric)
        case {"serverAddress": _, "query": text}:
            yield Expression(f"{name}: query", text)
        case _:
            for one in thing.values():
                yield from _of_manifest(name, one)


def as_adapter_asks(series: str, template: str) -> str:
    """What prometheus-adapter makes of a `metricsQuery` for all pods of a namespace."""
    parts = {"Series": series.partition("{")[0], "LabelMatchers": 'namespace="verto"', "GroupBy": "pod"}
    return re.sub(r"<<\.(\w+)>>", lambda found: parts[found[1]], template)


def sides(text: str) -> list[str]:
    """What an alert compares and joins, without the comparisons: that gives data also while all is well."""
    now = re.sub(r" offset \d+[smhd]", "", text)  # a server that has just begun has no past
    return list(dict.fromkeys(map(str, _sides(promql_parser.parse(now)))))


def _sides(one: Any) -> Iterator[Any]:
    match one:
        case ParenExpr():
            yield from _sides(one.expr)
        case Call() if one.func.name == "absent":
            yield from _sides(one.args[0])
        case BinaryExpr() if str(one.op) in _JOINING | _COMPARING or _is_constant(one.rhs):
            for side in (one.lhs, one.rhs):
                if not _is_constant(side):
                    yield from _sides(side)
        case _:
            yield one


def _is_constant(one: Any) -> bool:
    if isinstance(one, BinaryExpr):
        return _is_constant(one.lhs) and _is_constant(one.rhs)
    return isinstance(one, NumberLiteral)


def selectors(text: str) -> list[str]:
    """Each choice of series in an expression by itself: an `or` may hide that one of them finds nothing."""
    found: list[str] = []

    def note(one: Any) -> None:
        if isinstance(one, VectorSelector):
            found.append(str(one))

    promql_parser.walk(promql_parser.parse(text), note)
    return list(dict.fromkeys(found))
