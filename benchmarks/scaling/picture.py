"""The growth benchmark as a table and as a picture.

In:    what ``growth.json`` holds.
Out:   Markdown; SVG, logarithmic both ways, readable on light and dark.
Never: measures; writes a figure that is not in the results.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.scaling.fit import exponents

Results = Mapping[str, Any]

SERIES: Mapping[str, tuple[str, str, float]] = {
    "prepare_seconds": ("prepare the reference", "CPU s", 1),
    "check_seconds": ("check a batch", "CPU s", 1),
    "step": ("take, store and show a batch", "CPU s", 1000),
    "page": ("report page", "CPU s", 1000),
    "listing": ("list of verdicts", "CPU s", 1000),
    "look": ("look for new files", "CPU s", 1000),
    "metrics": ("scrape /metrics", "CPU s", 1000),
    "retention": ("retention, once an hour", "CPU s", 1000),
    "prepare_peak_bytes": ("prepare the reference", "peak MB", 1e6),
    "check_peak_bytes": ("check a batch", "peak MB", 1e6),
    "peak_bytes": ("daemon", "peak MB", 1e6),
}
"""By key of a point: what was measured, its unit, and how many of the stored unit make one."""

_WIDTH, _HEIGHT = 180, 130
_LEFT, _TOP, _GAP_X, _GAP_Y = 44, 34, 56, 116
_TONES = 6

_STYLE = """
text { font: 10px system-ui, sans-serif; fill: #57606a; }
.title { font-weight: 600; fill: #24292f; }
.grid { stroke: #d0d7de; stroke-width: .5; }
path { fill: none; stroke-width: 1.6; }
.t0 { stroke: #0969da; } .t1 { stroke: #bc4c00; } .t2 { stroke: #1a7f37; }
.t3 { stroke: #8250df; } .t4 { stroke: #bf3989; } .t5 { stroke: #9a6700; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; } .title { fill: #f0f6fc; } .grid { stroke: #3d444d; }
  .t0 { stroke: #4493f8; } .t1 { stroke: #f0883e; } .t2 { stroke: #3fb950; }
  .t3 { stroke: #ab7df8; } .t4 { stroke: #db61a2; } .t5 { stroke: #d29922; }
}
"""


def table(results: Results) -> str:
    """A row for each thing measured along each axis: first and last figure, exponents."""
    lines = [
        "| grows | measured | unit | figures | exponent, whole | last step |",
        "|---|---|---|---|---|---|",
    ]
    for axis, found in results["axes"].items():
        for key, sizes, values in _series(found["points"]):
            what, unit, _ = SERIES[key]
            growth = exponents(sizes, values)
            fitted = ("", "") if growth is None else (f"{growth.whole:.2f}", f"{growth.last:.2f}")
            pairs = zip(sizes, values, strict=True)
            figures = ", ".join(f"{_short(size)}: {value:.3g}" for size, value in pairs)
            lines.append(f"| {axis} | {what} | {unit} | {figures} | {fitted[0]} | {fitted[1]} |")
    return "\n".join(lines) + "\n"


def drawn(results: Results) -> str:
    """One panel an axis for time, one below it for memory."""
    axes = list(results["axes"].items())
    width = _LEFT + len(axes) * (_WIDTH + _GAP_X)
    height = _TOP + 2 * (_HEIGHT + _GAP_Y) - 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<title>Time and memory against size, both logarithmic</title>",
        f"<style>{_STYLE}</style>",
    ]
    for column, (axis, found) in enumerate(axes):
        for row, unit in enumerate(("CPU s", "peak MB")):
            series = [
                (SERIES[key][0], sizes, values)
                for key, sizes, values in _series(found["points"])
                if SERIES[key][1] == unit
            ]
            place = (_LEFT + column * (_WIDTH + _GAP_X), _TOP + row * (_HEIGHT + _GAP_Y))
            parts += _panel(place, axis, unit, series)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _series(
    points: Sequence[Mapping[str, float]],
) -> Iterator[tuple[str, list[float], list[float]]]:
    for key, (_, _, scale) in SERIES.items():
        held = [point for point in points if key in point]
        if held:
            yield key, [point["size"] for point in held], [point[key] / scale for point in held]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Whole decades of values onto a length."""

    low: int
    high: int
    start: float
    length: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, length: float) -> _Scale:
        positive = [value for value in values if value > 0] or [1.0]
        low = math.floor(math.log10(min(positive)))
        high = max(low + 1, math.ceil(math.log10(max(positive))))
        return cls(low, high, start, length)

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + share * self.length, 1)


def _panel(
    place: tuple[float, float],
    axis: str,
    unit: str,
    series: Sequence[tuple[str, list[float], list[float]]],
) -> Iterator[str]:
    left, top = place
    x = _Scale.of([size for _, sizes, _ in series for size in sizes], left, _WIDTH)
    values = [value for _, _, values in series for value in values]
    y = _Scale.of(values, top + _HEIGHT, -_HEIGHT)
    yield f'<text class="title" x="{left}" y="{top - 18}">{axis}: {unit}</text>'
    for power in range(x.low, x.high + 1):
        at = x.place(10.0**power)
        yield f'<line class="grid" x1="{at}" x2="{at}" y1="{top}" y2="{top + _HEIGHT}"/>'
        yield f'<text x="{at}" y="{top + _HEIGHT + 12}" text-anchor="middle">{_short(10**power)}</text>'
    for power in range(y.low, y.high + 1):
        at = y.place(10.0**power)
        yield f'<line class="grid" x1="{left}" x2="{left + _WIDTH}" y1="{at}" y2="{at}"/>'
        yield f'<text x="{left - 4}" y="{at + 3}" text-anchor="end">{10.0**power:g}</text>'
    for tone, (what, sizes, own) in enumerate(series):
        pairs = [(x.place(a), y.place(b)) for a, b in zip(sizes, own, strict=True) if b > 0]
        steps = " L".join(f"{a} {b}" for a, b in pairs)
        yield f'<path class="t{tone % _TONES}" d="M{steps}"><title>{what}</title></path>'
        below = top + _HEIGHT + 26 + 11 * tone
        yield f'<path class="t{tone % _TONES}" d="M{left} {below - 3} h10"/>'
        yield f'<text x="{left + 14}" y="{below}">{what}</text>'


def _short(number: float) -> str:
    """1k, 10M.

    Examples
    --------
    >>> _short(250), _short(10_000), _short(10**7)
    ('250', '10k', '10M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"
