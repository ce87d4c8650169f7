"""The shapes that the panels of all dashboards share, and the frame around them.

In:    titles, descriptions, units and PromQL.
Out:   builders of the Grafana Foundation SDK; the head of a dashboard.
Never: knows a metric; leaves a panel without a unit or a description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""Whatever Prometheus is chosen at the top of the dashboard."""

CALM, WARN, BAD, IDLE = "green", "orange", "red", "blue"

Steps = Sequence[tuple[float | None, str]]
"""Colour from each value on; the first has None, for all that is less."""


@dataclass(frozen=True, slots=True)
class About:
    """What every panel must say of itself.

    ``text`` tells what is seen and what to do when it looks bad; ``unit`` is Grafana's name of the
    unit, ``short`` for counts and ``none`` for values without one. 24 columns are the whole width;
    a row is 30 pixels high.
    """

    title: str
    text: str
    unit: str
    width: int = 8
    height: int = 8


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, how its series are called, and whether only the last value counts."""

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the query its values come from, its heading, unit and colours."""

    expr: str
    heading: str
    unit: str = "short"
    steps: Steps = ()


def from_one(colour: str = BAD) -> Steps:
    """Calm below 1, then the colour: for evidence, flags and counts of what should not be."""
    return (None, CALM), (1, colour)


def _steps(steps: Steps) -> Any:
    each = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(each)


def _mapping(names: Mapping[int, tuple[str, str]]) -> Any:
    return model.ValueMap(
        {
            str(value): model.ValueMappingResult(text=text, color=colour, index=value)
            for value, (text, colour) in names.items()
        }
    )


def _described(panel: Any, about: About) -> Any:
    return (
        panel.title(about.title)
        .description(about.text)
        .unit(about.unit)
        .datasource(SOURCE)
        .span(about.width)
        .height(about.height)
    )


def _target(query: Query, index: int) -> Any:
    target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + index))
    target = target.datasource(SOURCE).legend_format(query.legend or "__auto")
    return target.exemplar(True) if query.exemplars else target


def _ranged(panel: Any, queries: Sequence[Query]) -> Any:
    for index, query in enumerate(queries):
        panel = panel.with_target(_target(query, index).range())
    return panel


def _last() -> Any:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def number(
    about: About, query: Query, steps: Steps = ((None, IDLE),), *, grow: bool = False
) -> Any:
    """The last value, large; with ``grow`` its course behind it."""
    panel = _described(stat.Panel(), about).reduce_options(_last())
    mode = options.BigValueGraphMode.AREA if grow else options.BigValueGraphMode.NONE
    panel = panel.graph_mode(mode).thresholds(_steps(steps)).no_value("none yet")
    if not grow:
        return panel.with_target(_target(query, 0).instant())
    return _ranged(panel, [query])


def word(about: About, query: Query, names: Mapping[int, tuple[str, str]]) -> Any:
    """The last value as a word in its colour."""
    panel = number(about, query).mappings([_mapping(names)])
    return panel.color_mode(options.BigValueColorMode.BACKGROUND)


def text(about: About, query: Query) -> Any:
    """The name of the series, for what Prometheus keeps in labels."""
    return number(about, query).text_mode(options.BigValueTextMode.NAME)


def lines(about: About, *queries: Query, limit: float | None = None, log: bool = False) -> Any:
    """Values over time, with a logarithmic axis for p-values.

    Above ``limit`` the ground is red, and the axis ends at three times of it: how near a line comes
    to the limit must be seen, how far beyond it goes the legend says.
    """
    panel = _ranged(_described(timeseries.Panel(), about), queries)
    panel = panel.line_width(2).fill_opacity(6).show_points(options.VisibilityMode.AUTO)
    panel = panel.legend(_legend()).tooltip(_tooltip())
    if log:
        scale = common.ScaleDistributionConfig().type(options.ScaleDistribution.LOG).log(10)
        panel = panel.scale_distribution(scale).max(1)
    else:
        panel = panel.axis_soft_min(0)
    if limit is not None:
        area = options.GraphThresholdsStyleMode.LINE_AND_AREA
        style = common.GraphThresholdsStyleConfig().mode(area)
        steps = _steps(((None, "transparent"), (limit, BAD)))
        panel = panel.thresholds(steps).thresholds_style(style)
        panel = panel.min(0).max(3 * limit)
    return panel


BOUND = "at least"
"""How the names of lower bounds end."""


def lines_with_bounds(about: About, *queries: Query) -> Any:
    """Values over time; those whose names end in BOUND thin and dashed, since they only limit."""
    looks = {"custom.lineWidth": 1, "custom.lineStyle": {"fill": "dash", "dash": [4, 6]}}
    properties = [model.DynamicConfigValue(name, value) for name, value in looks.items()]
    return lines(about, *queries).override_by_regexp(f".*, {BOUND}", properties)


def bars(about: About, *queries: Query) -> Any:
    """Amounts per interval, stacked."""
    stack = common.StackingConfig().mode(options.StackingMode.NORMAL).group("A")
    panel = _ranged(_described(timeseries.Panel(), about), queries)
    panel = panel.draw_style(options.GraphDrawStyle.BARS).fill_opacity(70).stacking(stack)
    return panel.legend(_legend()).tooltip(_tooltip()).axis_soft_min(0).decimals(_places(about))


def _places(about: About) -> int:
    """None for counts: Prometheus estimates growth, and 2.07 alarms are two."""
    return 0 if about.unit == "short" else 2


def _legend() -> Any:
    legend = common.VizLegendOptions().show_legend(True).calcs(["lastNotNull", "max"])
    legend = legend.display_mode(options.LegendDisplayMode.TABLE)
    return legend.placement(options.LegendPlacement.BOTTOM)


def _tooltip() -> Any:
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)
    return tooltip.sort(options.SortOrder.DESCENDING)


def states(about: About, names: Mapping[int, tuple[str, str]], *queries: Query) -> Any:
    """One band for each series, coloured by what its value means."""
    panel = _ranged(_described(statetimeline.Panel(), about), queries)
    panel = panel.mappings([_mapping(names)]).merge_values(True).row_height(0.8)
    return panel.show_value(options.VisibilityMode.AUTO).fill_opacity(80).line_width(0)


def heat(about: About, query: Query, most: float) -> Any:
    """A row for each series, the darker the larger its value; ``most`` is the darkest."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges")
    colour = colour.steps(64).min(0).max(most)
    axis = heatmap.YAxisConfig().axis_placement(options.AxisPlacement.LEFT)
    panel = _ranged(_described(heatmap.Panel(), about), [query]).calculate(False).color(colour)
    panel = panel.y_axis(axis).cell_values(heatmap.CellValues().unit(about.unit).decimals(1))
    return panel.cell_gap(1).show_legend()


def ranking(about: About, query: Query, steps: Steps = ((None, IDLE),)) -> Any:
    """A bar for each series, of its last value."""
    panel = _described(bargauge.Panel(), about).with_target(_target(query, 0).instant())
    panel = panel.orientation(options.VizOrientation.HORIZONTAL).reduce_options(_last()).min(0)
    panel = panel.display_mode(options.BarGaugeDisplayMode.BASIC).thresholds(_steps(steps))
    return panel.value_mode(options.BarGaugeValueMode.TEXT).decimals(_places(about))


def rows(about: About, names: Mapping[str, str], columns: Sequence[Column], by: str) -> Any:
    """A table: a row for each set of labels, a column for each query.

    Parameters
    ----------
    names
        Labels that are columns too, in their order, with their headings.
    by
        Heading of the column by which the rows are sorted, largest first.
    """
    panel = _described(table.Panel(), about)
    shown, hidden = dict(names), {"Time": True}
    alone = len(columns) == 1
    for index, column in enumerate(columns):
        target = _target(Query(column.expr), index).instant().format(PromQueryFormat.TABLE)
        panel = panel.with_target(target)
        value = "Value" if alone else f"Value #{chr(ord('A') + index)}"
        if not column.heading:
            hidden[value] = True
            continue
        shown[value] = column.heading
        panel = panel.override_by_name(column.heading, _looks(column))
    order = {name: place for place, name in enumerate(shown)}
    organize = {"excludeByName": hidden, "indexByName": order, "renameByName": shown}
    panel = panel.with_transformation(model.DataTransformerConfig("merge", options={}))
    panel = panel.with_transformation(model.DataTransformerConfig("organize", options=organize))
    return panel.sort_by([common.TableSortByFieldState().display_name(by).desc(True)])


def _looks(column: Column) -> list[Any]:
    looks: dict[str, object] = {"unit": column.unit}
    if column.steps:
        looks["thresholds"] = _steps(column.steps).build()
        looks["custom.cellOptions"] = {"type": "color-text"}
    return [model.DynamicConfigValue(name, value) for name, value in looks.items()]


def linked(panel: Any, heading: str, title: str, url: str) -> Any:
    """The table with a link behind the cells of one column."""
    link = [{"title": title, "url": url, "targetBlank": False}]
    return panel.override_by_name(heading, [model.DynamicConfigValue("links", link)])


def frame(uid: str, title: str, text: str) -> Any:
    """A dashboard with nothing on it but the choice of a Prometheus and the way to the others."""
    others = dashboard.DashboardLink("Dashboards of shiftwatch").tags(["shiftwatch"])
    others = others.type(model.DashboardLinkType.DASHBOARDS).keep_time(True)
    source = dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["shiftwatch"])
        .timezone("browser")
        .refresh("1m")
        .time("now-24h", "now")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others)
        .with_variable(source)
    )


def choice(name: str, label: str, metric: str, *, several: bool) -> Any:
    """A variable with the values of a label; with ``several`` all are chosen at first."""
    chosen = dashboard.QueryVariable(name).label(label).datasource(SOURCE)
    chosen = chosen.query({"query": f"label_values({metric}, {name})", "refId": "A"})
    chosen = chosen.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    chosen = chosen.sort(model.VariableSort.ALPHABETICAL_ASC)
    if not several:
        return chosen
    all_of_them = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return chosen.multi(True).include_all(True).all_value(".*").current(all_of_them)


def narrowed() -> Any:
    """Filters by any label, such as the namespace where there is one."""
    text = "Narrows every panel by labels of your Prometheus, such as namespace or cluster."
    return dashboard.AdHocVariable("filters").label("Filters").description(text).datasource(SOURCE)
