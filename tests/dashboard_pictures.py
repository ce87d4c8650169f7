"""Pictures of dashboards from what Prometheus answered: close to Grafana's, to be looked at.

They show what a panel gets, in its place, with its units, colours and names of series. They prove
nothing about Grafana itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

CELL, ROW, LINE = 60, 32, 14
COLOURS = ("#2f6fb5", "#d1662c", "#3f9142", "#a64ca6", "#b59b2f", "#c23b4b", "#4aa5a5", "#777777")
NAMED = {
    "green": "#3f9142",
    "orange": "#e08b27",
    "red": "#d0342c",
    "blue": "#5b8fd0",
    "purple": "#8f5fb0",
    "dark-red": "#7d1410",
    "transparent": "none",
}


@dataclass(frozen=True, slots=True)
class Series:
    """Labels, and points of time in seconds with values."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


Answers = Mapping[str, Sequence[Series]]
"""By the letter of a query, its series."""


def picture(board: Mapping[str, Any], answers: Mapping[int, Answers]) -> str:
    """The dashboard as SVG; ``answers`` by the number of a panel."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * ROW
    body = [f'<text x="8" y="22" font-size="17">{escape(board["title"])}</text>']
    for panel in board["panels"]:
        body.extend(_panel(panel, answers.get(panel["id"], {})))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{24 * CELL}" height="{height + 30}" '
        'font-family="DejaVu Sans, sans-serif" font-size="11"><rect width="100%" height="100%" '
        f'fill="#f4f5f7"/>{"".join(body)}</svg>'
    )


def _panel(panel: Mapping[str, Any], answers: Answers) -> Iterator[str]:
    at = panel["gridPos"]
    x, y = at["x"] * CELL, at["y"] * ROW + 30
    width, height = at["w"] * CELL - 8, at["h"] * ROW - 8
    if panel["type"] == "row":
        yield f'<text x="{x + 8}" y="{y + 20}" font-size="14" fill="#444">▾ {escape(panel["title"])}</text>'
        return
    yield f'<svg x="{x + 4}" y="{y}" width="{width}" height="{height}">'
    yield '<rect width="100%" height="100%" fill="white" stroke="#d8d9dd"/>'
    yield f'<text x="8" y="16" font-weight="bold">{escape(panel["title"])}</text>'
    if not any(answers.values()):
        nothing = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        yield f'<text x="8" y="{height / 2 + 8}" fill="#888">{escape(nothing)}</text>'
    else:
        yield from _DRAWN[panel["type"]](panel, answers, width, height)
    yield "</svg>"


def named(panel: Mapping[str, Any], answers: Answers) -> list[tuple[str, Series]]:
    """Every series with the name that the legend gives it."""
    found = []
    for target in panel["targets"]:
        form = target["legendFormat"]
        for series in answers.get(target["refId"], ()):
            name = ", ".join(series.labels.values()) if form == "__auto" else form
            name = re.sub(r"{{(\w+)}}", lambda label, of=series: of.labels.get(label[1], ""), name)
            found.append((name.strip(), series))
    return found


def told(panel: Mapping[str, Any], value: float) -> str:
    """A value as the panel's unit or its words say it."""
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults.get("mappings", ()):
        if (word := mapping["options"].get(f"{value:g}")) is not None:
            return str(word["text"])
    if defaults.get("decimals") == 0:
        value = round(value)
    return with_unit(value, defaults["unit"])


_SUFFIXES = {"watt": " W", "joule": " J", "cps": " /s", "cpm": " /min"}


def with_unit(value: float, unit: str) -> str:
    """As Grafana would write it, more or less."""
    match unit:
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "bytes":
            return f"{value / 2**20:.4g} MiB"
        case "bool_on_off":
            return "On" if value else "Off"
        case "s":
            return _time(value)
    return f"{value:.4g}{_SUFFIXES.get(unit, '')}"


def _time(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (0.001, "ms")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"


def _colour(panel: Mapping[str, Any], value: float) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults.get("mappings", ()):
        if (word := mapping["options"].get(f"{value:g}")) is not None:
            return NAMED[word["color"]]
    steps = defaults.get("thresholds", {}).get("steps", [{"value": None, "color": "blue"}])
    passed = [step for step in steps if step["value"] is None or value >= step["value"]]
    return NAMED[passed[-1]["color"]]


def _stat(panel: Mapping[str, Any], answers: Answers, width: int, height: int) -> Iterator[str]:
    for index, (name, series) in enumerate(named(panel, answers)):
        value = series.points[-1][1]
        text = name if panel["options"]["textMode"] == "name" else told(panel, value)
        yield (
            f'<text x="{width / 2}" y="{height / 2 + 16 + 30 * index}" font-size="26" '
            f'text-anchor="middle" fill="{_colour(panel, value)}">{escape(text)}</text>'
        )


class _Scale:
    """Where a value lies on a panel."""

    def __init__(
        self, panel: Mapping[str, Any], series: Sequence[Series], *, stacked: bool
    ) -> None:
        defaults = panel["fieldConfig"]["defaults"]
        custom = defaults.get("custom", {})
        self.log = custom.get("scaleDistribution", {}).get("type") == "log"
        times = [time for each in series for time, _ in each.points]
        self.times = min(times), max(*times, min(times) + 1)
        values = [value for each in series for _, value in each.points if math.isfinite(value)]
        if stacked:
            values = [sum(value for _, value in column) for column in _columns(series).values()]
        low = defaults.get("min", min([*values, custom.get("axisSoftMin", math.inf)]))
        high = defaults.get("max", max(values, default=0.0) or 1.0)
        self.values = self._of(low), self._of(high)

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value

    def y(self, value: float) -> float:
        low, high = self.values
        return min((self._of(value) - low) / ((high - low) or 1), 1.0)

    def x(self, time: float) -> float:
        return (time - self.times[0]) / (self.times[1] - self.times[0])


def _columns(series: Sequence[Series]) -> dict[float, list[tuple[int, float]]]:
    columns: dict[float, list[tuple[int, float]]] = {}
    for index, each in enumerate(series):
        for time, value in each.points:
            columns.setdefault(time, []).append((index, value))
    return columns


def _lines(panel: Mapping[str, Any], answers: Answers, width: int, height: int) -> Iterator[str]:
    found = named(panel, answers)
    series = [each for _, each in found]
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("drawStyle") == "bars"
    scale = _Scale(panel, series, stacked=stacked)
    legend = min(len(found), 6) * LINE
    left, top, wide, high = 62, 26, width - 72, height - 40 - legend

    def place(time: float, value: float) -> tuple[float, float]:
        return left + wide * scale.x(time), top + high * (1 - scale.y(value))

    yield f'<path d="M{left},{top}V{top + high}H{left + wide}" stroke="#999" fill="none"/>'
    for share in (0.0, 0.5, 1.0):
        low, top_value = scale.values
        value = low + share * (top_value - low)
        text = told(panel, 10**value if scale.log else value)
        yield f'<text x="{left - 4}" y="{top + high * (1 - share) + 4}" text-anchor="end" fill="#555">{text}</text>'
    if "thresholdsStyle" in custom:
        limit = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        y = place(scale.times[0], limit)[1]
        yield f'<rect x="{left}" y="{top}" width="{wide}" height="{max(y - top, 0)}" fill="#d0342c" opacity="0.12"/>'
    drawn = _stacked(series, place, wide) if stacked else _curves(series, place)
    yield from drawn
    for index, (name, each) in enumerate(found[:6]):
        last = told(panel, each.points[-1][1])
        y = height - legend + LINE * index + 4
        colour = COLOURS[index % len(COLOURS)]
        yield f'<rect x="10" y="{y - 4}" width="12" height="4" fill="{colour}"/>'
        yield f'<text x="28" y="{y}">{escape(name)}: {last}</text>'


def _curves(series: Sequence[Series], place: Any) -> Iterator[str]:
    for index, each in enumerate(series):
        points = [place(*point) for point in each.points if math.isfinite(point[1])]
        path = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        if path:
            colour = COLOURS[index % len(COLOURS)]
            yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _stacked(series: Sequence[Series], place: Any, wide: int) -> Iterator[str]:
    columns = _columns(series)
    broad = max(wide / max(len(columns), 1) - 1, 1)
    for time, column in columns.items():
        below = 0.0
        for index, value in column:
            x, y = place(time, below + value)
            foot = place(time, below)[1]
            below += value
            colour = COLOURS[index % len(COLOURS)]
            yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{broad:.1f}" height="{foot - y:.1f}" fill="{colour}"/>'


def _bands(panel: Mapping[str, Any], answers: Answers, width: int, height: int) -> Iterator[str]:
    heat = panel["type"] == "heatmap"
    found = named(panel, answers)
    scale = _Scale(panel, [series for _, series in found], stacked=False)
    most = panel["options"]["color"]["max"] if heat else 1.0
    left, band = 170, (height - 40) / len(found)
    for index, (name, series) in enumerate(found):
        y = 28 + band * index
        yield f'<text x="{left - 8}" y="{y + band / 2 + 4}" text-anchor="end">{escape(name)}</text>'
        step = (width - left - 10) / len({time for _, each in found for time, _ in each.points})
        for time, value in series.points:
            x = left + (width - left - 10 - step) * scale.x(time)
            shade = f"rgb(230,85,13,{min(value / most, 1):.2f})" if heat else _colour(panel, value)
            yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{step + 0.3:.2f}" height="{band * 0.9:.1f}" fill="{shade}"/>'
        yield f'<text x="{width - 12}" y="{y + band / 2 + 4}" text-anchor="end">{told(panel, series.points[-1][1])}</text>'


def _ranking(panel: Mapping[str, Any], answers: Answers, width: int, height: int) -> Iterator[str]:
    found = named(panel, answers)
    most = max([series.points[-1][1] for _, series in found] + [1e-9])
    band = (height - 30) / len(found)
    for index, (name, series) in enumerate(found):
        value, y = series.points[-1][1], 26 + band * index
        yield f'<rect x="150" y="{y}" width="{(width - 220) * value / most}" height="{band * 0.8}" fill="{_colour(panel, value)}"/>'
        yield f'<text x="144" y="{y + band / 2 + 2}" text-anchor="end">{escape(name)}</text>'
        yield f'<text x="{width - 8}" y="{y + band / 2 + 2}" text-anchor="end">{told(panel, value)}</text>'


def _table(panel: Mapping[str, Any], answers: Answers, width: int, height: int) -> Iterator[str]:
    del height
    shown = table(panel, answers)
    heads = list(dict.fromkeys(key for row in shown for key in row))
    for column, head in enumerate(heads):
        x = 8 + column * (width - 8) / len(heads)
        yield f'<text x="{x}" y="36" fill="#555">{escape(head)}</text>'
        for index, row in enumerate(shown[:14]):
            yield f'<text x="{x}" y="{54 + index * 16}">{escape(row.get(head, "")[:28])}</text>'


def table(panel: Mapping[str, Any], answers: Answers) -> list[dict[str, str]]:
    """The rows of a table panel, merged and renamed as its transformations say."""
    organize = panel["transformations"][-1]["options"]
    units = {
        each["matcher"]["options"]: part["value"]
        for each in panel["fieldConfig"]["overrides"]
        for part in each["properties"]
        if part["id"] == "unit"
    }
    merged: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    order = sorted(answers, key=lambda letter: -max(len(s.labels) for s in answers[letter]))
    for letter in order:
        for series in answers[letter]:
            heading = organize["renameByName"].get(f"Value #{letter}")
            into = [row for key, row in merged.items() if set(key) >= set(series.labels.items())]
            key = tuple(series.labels.items())
            for row in into or [merged.setdefault(key, dict(series.labels))]:
                if heading:
                    row[heading] = with_unit(series.points[-1][1], units[heading])
    names = organize["renameByName"]
    places = {heading: organize["indexByName"][name] for name, heading in names.items()}
    rows = [{names.get(key, key): value for key, value in row.items()} for row in merged.values()]
    return [dict(sorted(row.items(), key=lambda item: places.get(item[0], 99))) for row in rows]


_DRAWN = {
    "stat": _stat,
    "timeseries": _lines,
    "state-timeline": _bands,
    "heatmap": _bands,
    "bargauge": _ranking,
    "table": _table,
}
