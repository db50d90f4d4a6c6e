"""Expressions as Prometheus takes them: what Grafana would put in place of its variables, put in.

Knows the dashboard's JSON and its variables; must not know who runs the expressions.
"""

from __future__ import annotations

import re
from typing import Any

EVERYTHING = ".*"


def filled(expression: str, rate_interval: str) -> str:
    """With everything chosen. Raises `ValueError` for a variable that nobody knows."""
    text = expression.replace("$__rate_interval", rate_interval)
    text = re.sub(r"\$(namespace|job|model|pair)\b", EVERYTHING, text)
    if "$" in text:
        raise ValueError(f"what is to stand in place of the variable in {text!r}?")
    return text


def expressions(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Title of its panel and the expression itself, of all of them."""
    return [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
