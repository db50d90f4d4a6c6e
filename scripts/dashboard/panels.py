"""What panels of one dashboard share: how they select, how a graph, a number and a table are made.

Knows Grafana's builders and the dashboard's variables; must not know which metrics there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from grafana_foundation_sdk.builders import common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
WHERE = ('namespace=~"$namespace"', 'job=~"$job"')
MODEL, PAIR = 'model=~"$model"', 'pair=~"$pair"'
# As the rules have it: probes, scrapes, administration and unknown addresses are no requests of clients.
CLIENTS = 'route!~"/health.*|/metrics|/v1/admin.*|unmatched"'
REQUESTS_PER_SECOND, SECONDS, SHARE, BYTES, COUNT = "reqps", "s", "percentunit", "bytes", "short"
BOTTOM, LIST = common_models.LegendPlacement.BOTTOM, common_models.LegendDisplayMode.LIST
GRAPH_HEIGHT, NUMBER_HEIGHT, LIST_HEIGHT = 8, 4, 6
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

# Bounds are lines without an area, and what is bad is red, whatever a series' place among the others.
LOOKS = {
    "/^limit/": [
        dashboard.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        dashboard.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 8]}),
        dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": "#8e8e8e"}),
    ],
    "/^2..$/": [
        dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": "#37872d"})
    ],
    "/^5..$/": [
        dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": "#c4162a"})
    ],
}

Panel = timeseries.Panel | stat.Panel | table.Panel
Item = dashboards.Row | Panel
Query = tuple[str, str]  # an expression and the legend of its series


def select(metric: str, *conditions: str) -> str:
    """The series of a metric that the dashboard's variables choose."""
    return f"{metric}{{{','.join([*WHERE, *conditions])}}}"


def rate(metric: str, *conditions: str) -> str:
    """Per second, in steps that fit the zoom."""
    return f"rate({select(metric, *conditions)}[$__rate_interval])"


def total(expression: str, by: str = "") -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def quantiles(metric: str, *conditions: str) -> list[Query]:
    """Median, 95th and 99th percentile of a histogram."""
    buckets = total(rate(f"{metric}_bucket", *conditions), "le")
    return [(f"histogram_quantile({q}, {buckets})", name) for name, q in QUANTILES.items()]


def graph(
    title: str,
    description: str,
    unit: str,
    queries: Iterable[Query],
    *,
    width: int = 8,
    is_stacked: bool = False,
    limit: float | None = None,
) -> timeseries.Panel:
    """Lines over time. `limit`: a value above which it is red."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    panel = panel.span(width).height(GRAPH_HEIGHT).min(0).line_width(1.5).fill_opacity(10)
    panel = panel.show_points(common_models.VisibilityMode.NEVER)
    panel = panel.legend(common.VizLegendOptions().show_legend(True).placement(BOTTOM).display_mode(LIST))
    multi, descending = common_models.TooltipDisplayMode.MULTI, common_models.SortOrder.DESCENDING
    panel = panel.tooltip(common.VizTooltipOptions().mode(multi).sort(descending))
    if is_stacked:
        stack = common.StackingConfig().mode(common_models.StackingMode.NORMAL)
        panel = panel.stacking(stack).fill_opacity(40)
    for pattern, look in LOOKS.items():
        panel = panel.override_by_regexp(pattern, look)
    if limit is not None:
        panel = panel.thresholds(_red_above(limit)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.DASHED)
        )
    for target in _targets(queries):
        panel = panel.with_target(target)
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    width: int = 4,
    warning: float | None = None,
    is_low_bad: bool = False,
) -> stat.Panel:
    """The last value, large; red from `warning` on (`is_low_bad`: green from there on)."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit)
    panel = panel.span(width).height(NUMBER_HEIGHT).graph_mode(common_models.BigValueGraphMode.AREA)
    panel = panel.color_mode(common_models.BigValueColorMode.VALUE).no_value("-")
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if warning is not None:
        panel = panel.thresholds(_steps("red", warning, "green") if is_low_bad else _red_above(warning))
    return panel.with_target(_target(expression, title, "A"))


def listing(title: str, description: str, expression: str, columns: Iterable[str]) -> table.Panel:
    """A table of the labels that an expression's series have now."""
    hidden = dict.fromkeys(("Time", "Value", "__name__", "container", "endpoint", "service"), True)
    order = {name: place for place, name in enumerate(columns)}
    organise = dashboard.DataTransformerConfig(
        id_val="organize", options={"excludeByName": hidden, "indexByName": order}
    )
    target = _target(expression, "", "A").instant().format(prometheus_models.PromQueryFormat.TABLE)
    panel = table.Panel().title(title).description(description).datasource(SOURCE)
    return panel.span(24).height(LIST_HEIGHT).with_target(target).with_transformation(organise)


def row(title: str, panels: Iterable[Panel]) -> list[Item]:
    """A heading and its panels, in the order of reading."""
    return [dashboards.Row(title), *panels]


def _targets(queries: Iterable[Query]) -> list[prometheus.Dataquery]:
    return [
        _target(expression, legend, chr(ord("A") + place))
        for place, (expression, legend) in enumerate(queries)
    ]


def _target(expression: str, legend: str, name: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(name).datasource(SOURCE)


def _red_above(value: float) -> dashboards.ThresholdsConfig:
    return _steps("green", value, "red")


def _steps(below: str, value: float, above: str) -> dashboards.ThresholdsConfig:
    steps = [dashboard.Threshold(color=below, value=None), dashboard.Threshold(color=above, value=value)]
    return dashboards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
