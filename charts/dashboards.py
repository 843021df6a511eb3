"""Makes Grafana's dashboards of the tables of panels, and tells what they ask."""

import json
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as vis
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from charts.fleet import FLEET
from charts.panel import HEALTH, Kind, Panel, Query, Row, Steps
from charts.store import STORE

Builder = timeseries.Panel | stat.Panel | statetimeline.Panel | table.Panel

SOURCE = DataSourceRef("prometheus", "${datasource}")
UIDS = {"fleet": "checkpointstore-fleet", "store": "checkpointstore-store"}
TABLES: dict[str, tuple[Row, ...]] = {"fleet": FLEET, "store": STORE}
# The slowest answers that change all the time are kept for a minute by the exporter: rates are over four of them.
STEP, RATE = "1m", "5m"
STATES: list[ValueMapping] = [
    ValueMap(
        {
            str(value): ValueMappingResult(text, color, index=place)
            for place, (value, text, color) in enumerate(
                ((2, "good", "green"), (1, "open", "yellow"), (0, "look", "red"))
            )
        }
    )
]
OF_STORE = (
    f"/d/{UIDS['store']}?var-datasource=${{datasource}}&var-namespace=${{__data.fields.namespace}}"
    "&var-store=${__data.fields.name}&${__url_time_range}"
)


class Asked(NamedTuple):
    """An expression without variables, and where it is from."""

    dashboard: str
    panel: str
    expression: str


def expressions(namespace: str, store: str) -> Iterator[Asked]:
    """All that the dashboards ask Prometheus for, for one store."""
    values = {"$namespace": namespace, "$store": store, "$__rate_interval": RATE}
    for name, rows in TABLES.items():
        for panel in (panel for row in rows for panel in row.panels):
            for query in panel.queries:
                expression = query.expr
                for variable, value in values.items():
                    expression = expression.replace(variable, value)
                yield Asked(name, panel.title, expression)


def pages() -> dict[str, str]:
    """The dashboards as Grafana reads them, by name."""
    made = {"fleet": _fleet(), "store": _store()}
    return {
        name: json.dumps(page.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n" for name, page in made.items()
    }


def _fleet() -> dashboard.Dashboard:
    return _dashboard("fleet", "CheckpointStores", "All stores: which of them need somebody, and how the operator is.")


def _store() -> dashboard.Dashboard:
    page = _dashboard("store", "CheckpointStore", "One store: from what applications feel to why it is so.")
    back = dashboard.DashboardLink("All stores").url(f"/d/{UIDS['fleet']}?var-datasource=${{datasource}}")
    return (
        page.with_variable(_variable("namespace", "label_values(checkpointstore_condition, namespace)"))
        .with_variable(_variable("store", 'label_values(checkpointstore_condition{namespace="$namespace"}, name)'))
        .link(back.keep_time(True))
    )


def _dashboard(name: str, title: str, description: str) -> dashboard.Dashboard:
    page = (
        dashboard.Dashboard(title)
        .uid(UIDS[name])
        .description(description)
        .tags(["checkpointstore"])
        .time("now-6h", "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    numbers = count(1)
    for row in TABLES[name]:
        page.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            page.with_panel(_panel(panel).id(next(numbers)))
    return page


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _panel(panel: Panel) -> Builder:
    built = (
        _shape(panel)
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .span(panel.width)
        .height(panel.height)
        .unit(_unit(panel.unit))
    )
    if panel.unit == HEALTH:
        built.mappings(STATES)
    if panel.steps:
        built.thresholds(_thresholds(panel.steps))
    for place, query in enumerate(panel.queries):
        built.with_target(_target(query, panel.kind, _letter(place)))
    return built


def _shape(panel: Panel) -> Builder:
    """What is particular to the kind of panel."""
    match panel.kind:
        case Kind.STAT:
            return (
                stat.Panel()
                .graph_mode(BigValueGraphMode.NONE)
                .color_mode(BigValueColorMode.BACKGROUND if panel.steps else BigValueColorMode.NONE)
                .no_value("no data")
            )
        case Kind.STATES:
            return statetimeline.Panel().show_value(VisibilityMode.NEVER).merge_values(True).row_height(0.8)
        case Kind.TABLE:
            return _table(panel)
        case Kind.LINES | Kind.STACKED:
            return _lines(panel)


def _lines(panel: Panel) -> timeseries.Panel:
    lines = (
        timeseries.Panel()
        .show_points(VisibilityMode.NEVER)
        .axis_soft_min(0)
        .tooltip(vis.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(vis.VizLegendOptions().show_legend(True))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    if panel.steps:
        lines.thresholds_style(vis.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if panel.kind is Kind.STACKED:
        lines.stacking(vis.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(30)
    return lines


def _table(panel: Panel) -> table.Panel:
    """One line a store, or whatever else the queries' labels are; the first column is sorted by that has a number."""
    columns = {_value(panel, place): query for place, query in enumerate(panel.queries)}
    named = {name: query for name, query in columns.items() if query.legend}
    hidden = dict.fromkeys(["Time", *(name for name in columns if name not in named)], True)
    renamed = {name: query.legend for name, query in named.items()}
    organized = {"excludeByName": hidden, "renameByName": renamed}
    made = (
        table.Panel()
        .filterable(True)
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(DataTransformerConfig("organize", options=organized))
        .override_by_name("name", [DynamicConfigValue("links", [{"title": "The store", "url": OF_STORE}])])
    )
    for query in named.values():
        made.override_by_name(query.legend, _column(query))
    if renamed:
        made.sort_by([vis.TableSortByFieldState().display_name(next(iter(renamed.values()))).desc(False)])
    return made


def _value(panel: Panel, place: int) -> str:
    """What Grafana calls a query's numbers in a table."""
    return f"Value #{_letter(place)}" if len(panel.queries) > 1 else "Value"


def _column(query: Query) -> list[DynamicConfigValue]:
    told: dict[str, object] = {"unit": _unit(query.unit)}
    colored: dict[str, object] = {"custom.cellOptions": {"type": "color-background", "mode": "basic"}}
    if query.unit == HEALTH:
        told |= {"mappings": STATES} | colored
    if query.steps:
        told |= {"thresholds": _thresholds(query.steps).build()} | colored
    return [DynamicConfigValue(name, value) for name, value in told.items()]


def _target(query: Query, kind: Kind, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE).interval(STEP)
    if kind is Kind.TABLE:
        return target.instant().format(PromQueryFormat.TABLE)
    target.legend_format(query.legend)
    return target.instant() if kind is Kind.STAT else target.range()


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _unit(unit: str) -> str:
    return "none" if unit == HEALTH else unit or "short"


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return dashboard.ThresholdsConfig().steps([Threshold(value, color) for value, color in steps])
