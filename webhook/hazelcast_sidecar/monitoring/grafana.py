"""Dashboards of Grafana as JSON objects: rows of panels, and where each of them is.

Grafana's generators bring thousands of types; a dashboard of time series and single figures needs these few.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hazelcast_sidecar.kube.objects import JsonObject

_COLUMNS, _ROW_HEIGHT = 24, 8
_SCHEMA_VERSION = 39  # Grafana 10.4; newer ones migrate it
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Query(NamedTuple):
    """PromQL, and how its series are called in the legend (`{{label}}` is a label's value)."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A diagram.

    Attributes:
        title: what it shows.
        unit: Grafana's name of the unit: short, s, bytes, reqps, percentunit and others.
        queries: what is drawn.
        description: what is normal, for who has not seen it before.
        kind: timeseries or stat.
    """

    title: str
    unit: str
    queries: tuple[Query, ...]
    description: str
    kind: str = "timeseries"


class Variable(NamedTuple):
    """A choice on top of a dashboard.

    Attributes:
        name: used as `$name`.
        series: a selector of series.
        label: of them, whose values are to choose from.
    """

    name: str
    series: str
    label: str


class Dashboard(NamedTuple):
    """Rows of panels; each row fills the width.

    Attributes:
        uid: of the dashboard; stays the same, so that links to it do.
        title: its name.
        rows: a title for each, and its panels.
        variables: what there is to choose.
    """

    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[Variable, ...] = ()

    def panels(self) -> list[Panel]:
        """Return all panels, row by row."""
        return [panel for _, panels in self.rows for panel in panels]


def dashboard_json(dashboard: Dashboard) -> JsonObject:
    """Write a dashboard as Grafana imports it."""
    panels: list[JsonObject] = []
    top = 0
    for title, row in dashboard.rows:
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        panels.append({"type": "row", "title": title, "gridPos": place, "collapsed": False, "panels": []})
        width = _COLUMNS // len(row)
        for number, panel in enumerate(row):
            place = {"h": _ROW_HEIGHT, "w": width, "x": number * width, "y": top + 1}
            panels.append(_panel(panel, place))
        top += 1 + _ROW_HEIGHT
    for number, each in enumerate(panels, 1):
        each["id"] = number
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["hazelcast"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource_variable(), *map(_variable, dashboard.variables)]},
        "panels": panels,
    }


def _panel(panel: Panel, place: JsonObject) -> JsonObject:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": _options(panel.kind),
        "targets": _targets(panel.queries),
    }


def _options(kind: str) -> JsonObject:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _targets(queries: Sequence[Query]) -> list[JsonObject]:
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": _DATASOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
        }
        for number, query in enumerate(queries)
    ]


def _datasource_variable() -> JsonObject:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(variable: Variable) -> JsonObject:
    query = f"label_values({variable.series}, {variable.label})"
    return {
        "name": variable.name,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": variable.name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }
