"""Writes deploy/components/monitoring/dashboard.json: `python -m scripts.dashboard`. A test holds both equal.

Knows the dashboard's frame: name, variables, time. Must not know what its panels show.
"""

from __future__ import annotations

import os
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from scripts.dashboard.panels import SOURCE
from scripts.dashboard.rows import all_rows

TARGET = Path(__file__).resolve().parents[2] / "deploy" / "components" / "monitoring" / "dashboard.json"


def choice(name: str, label: str, query: str) -> dashboards.QueryVariable:
    """A variable whose values a query finds; all of them at first, also where a label is not there at all."""
    everything = dashboard.VariableOption(selected=True, text="All", value="$__all")
    variable = dashboards.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    variable = variable.include_all(True).all_value(".*").multi(True).current(everything)
    return variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        dashboard.VariableSort.ALPHABETICAL_ASC
    )


def build() -> str:
    """The dashboard's JSON."""
    frame = dashboards.Dashboard("Verto").uid("verto").tags(["verto", "translation"]).refresh("30s")
    frame = frame.time("now-1h", "now").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    frame = frame.description("Translations, and what makes them late. Written by scripts/dashboard.")
    frame = frame.with_variable(dashboards.DatasourceVariable("datasource").label("Data").type("prometheus"))
    for name, label, query in (
        ("namespace", "Namespace", "label_values(verto_ready, namespace)"),
        ("job", "Job", 'label_values(verto_ready{namespace=~"$namespace"}, job)'),
        ("model", "Model", 'label_values(verto_model_info{namespace=~"$namespace",job=~"$job"}, model)'),
        ("pair", "Pair", 'label_values(verto_requests_total{namespace=~"$namespace",job=~"$job"}, pair)'),
    ):
        frame = frame.with_variable(choice(name, label, query))
    for place, panel in enumerate(all_rows(), 1):
        panel.id(place)
        frame = frame.with_row(panel) if isinstance(panel, dashboards.Row) else frame.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2).encode(frame.build()) + "\n"


def write(target: Path = TARGET) -> None:
    """All of it or nothing."""
    unfinished = target.with_suffix(".json.new")
    unfinished.write_text(build(), encoding="utf-8")
    os.replace(unfinished, target)


if __name__ == "__main__":
    write()
