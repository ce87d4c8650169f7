"""The timeline as a picture: evidence of every check, alarms, and what operators said.

In:    a Timeline.
Out:   SVG elements as wide as the page; places are per cent, so that points and text keep their shape.
Never: draws evidence where nothing could be tested; lets a line hide which check it is of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from shiftwatch.report.alarm import ratio_text
from shiftwatch.report.phrase import day_and_time, plural
from shiftwatch.report.timeline import SCOPES, Point, Stretch, Timeline

LANES = 3
"""Rows of words at most; what finds no free one shares the last."""

_LANE_HIGH = 18
_LEAST_WIDE = 7.0
"""Per cent that a word takes in its lane at least: its number needs room."""

_TICKS = 5
_UNTESTED = {
    "insufficient_data": ("few", "\N{WHITE CIRCLE}"),
    "invalid_data": ("bad", "\N{BLACK DIAMOND}"),
    "error": ("err", "\N{MULTIPLICATION SIGN}"),
}
"""Class and sign, the same shapes as in the badge of a verdict."""

_CLASSES: Mapping[str, str] = dict(zip(SCOPES, "io", strict=True))


def picture(line: Timeline) -> str:
    """The evidence of every check as SVG; empty where there is no check.

    Height is ratio / (1 + ratio): nothing lies at the bottom, the threshold in the middle, and
    whatever is overwhelming near the top.
    """
    count = len(line.points)
    if not count:
        return ""
    parts = [_rect("al", places, count) for places in _alarms(line.points)]
    parts.append('<line class="th" x1="0" x2="100%" y1="50%" y2="50%"/>')
    parts += [_upright(place, count, kind) for kind, place in _landmarks(line) if place is not None]
    parts += [_steps(line.points, scope) for scope in line.scopes]
    parts += [dot for scope in line.scopes for dot in _dots(line.points, scope)]
    parts += [_untested(point, place, count) for place, point in enumerate(line.points)]
    parts += _axis(line.points)
    return f'<svg class="tl" role="img"><title>{escape(_title(line))}</title>{"".join(parts)}</svg>'


def _title(line: Timeline) -> str:
    on = sum(point.alarm for point in line.points)
    first, last = line.ends
    alarm = f"; an alarm was on after {plural(on, 'of them').removesuffix('s')}" if on else ""
    strongest = [p.strongest for p in line.points if p.strongest is not None]
    most = f"; the strongest evidence was {ratio_text(max(strongest))}" if strongest else ""
    return f"evidence of {plural(len(line.points), 'check')} from {first} to {last}{alarm}{most}"


def _x(place: float, count: int) -> float:
    return (place + 0.5) / count * 100


def _y(ratio: float) -> float:
    share = 1.0 if math.isinf(ratio) else max(0.0, ratio) / (1 + max(0.0, ratio))
    return (1 - share) * 96 + 2


def _rect(kind: str, places: tuple[int, int], count: int) -> str:
    left, wide = (100 * place / count for place in (places[0], places[1] - places[0]))
    return f'<rect class="{kind}" x="{left:.2f}%" width="{wide:.2f}%" height="100%"/>'


def _alarms(points: Sequence[Point]) -> Iterator[tuple[int, int]]:
    begun: int | None = None
    for place, point in enumerate(points):
        if point.alarm and begun is None:
            begun = place
        if not point.alarm and begun is not None:
            yield begun, place
            begun = None
    if begun is not None:
        yield begun, len(points)


def _landmarks(line: Timeline) -> Iterator[tuple[str, int | None]]:
    yield "nw", next((place for place, p in enumerate(line.points) if p.current), None)
    yield "ro", line.rose
    yield "bg", line.begins


def _upright(place: int, count: int, kind: str) -> str:
    x = f"{_x(place, count):.2f}%"
    return f'<line class="{kind}" x1="{x}" x2="{x}" y2="100%"/>'


def _steps(points: Sequence[Point], scope: str) -> str:
    """The line through the points of a scope; only a path stretches, so it has its own frame."""
    at = [
        f"{10 * _x(place, len(points)):.1f} {_y(point.evidence[scope]):.1f}"
        for place, point in enumerate(points)
        if scope in point.evidence
    ]
    frame = 'viewBox="0 0 1000 100" preserveAspectRatio="none" role="img"'
    path = f'<path class="l{_CLASSES[scope]}" d="M{"L".join(at)}"/>'
    return f"<svg {frame}><title>{scope}</title>{path}</svg>"


def _dots(points: Sequence[Point], scope: str) -> Iterator[str]:
    for place, point in enumerate(points):
        if scope not in point.evidence:
            continue
        ratio = point.evidence[scope]
        kind, radius = f"d{_CLASSES[scope]}", 2
        if ratio >= 1:
            kind, radius = f"{kind} hot", 4
        title = f"<title>{escape(f'{scope}: {point.told}')}</title>"
        at = f'cx="{_x(place, len(points)):.2f}%" cy="{_y(ratio):.1f}%"'
        yield f'<circle class="{kind}" {at} r="{radius}">{title}</circle>'


def _untested(point: Point, place: int, count: int) -> str:
    if point.state not in _UNTESTED:
        return ""
    kind, sign = _UNTESTED[point.state]
    title = f"<title>{escape(point.told)}</title>"
    return f'<text class="u {kind}" x="{_x(place, count):.2f}%" y="97%">{sign}{title}</text>'


def _axis(points: Sequence[Point]) -> Iterator[str]:
    """When some of the checks were, below the frame; every other one goes where there is no room."""
    count = len(points)
    ticks = min(_TICKS, count)
    places = [int((tick + 0.5) / ticks * count) for tick in range(ticks)]
    years = len({day_and_time(points[place].at).partition(",")[0][-4:] for place in places}) > 1
    for tick, place in enumerate(places):
        day, _, time = day_and_time(points[place].at).partition(", ")
        told = day if years else f"{day[:-5]}, {time}"
        x = f"{_x(place, count):.2f}%"
        kind = "m t2" if tick % 2 else "m"
        yield f'<line class="tk" x1="{x}" x2="{x}" y1="100%" y2="103%"/>'
        yield f'<text class="{kind}" x="{x}" y="100%" dy="18">{escape(told)}</text>'


# --- what operators said -----------------------------------------------------------------------


def words_picture(line: Timeline) -> str:
    """The words of operators as numbered bars above the picture; empty where none can be drawn."""
    count = len(line.points)
    drawn = [(number, word) for number, word in enumerate(line.words, 1) if word.drawn]
    if not drawn:
        return ""
    lanes = _lanes(drawn, count)
    high = _LANE_HIGH * (max(lanes.values()) + 1)
    bars = "".join(_word(number, word, lanes[number], count) for number, word in drawn)
    title = f"{plural(len(drawn), 'word')} of operators, numbered as in the list below"
    return f'<svg class="wl" height="{high}" role="img"><title>{title}</title>{bars}</svg>'


def _lanes(drawn: Sequence[tuple[int, Stretch]], count: int) -> dict[int, int]:
    """The first free row of each word, from left to right."""
    free = [0.0] * LANES
    found = {}
    for number, word in sorted(drawn, key=lambda pair: pair[1].first):
        left, right = 100 * word.first / count, 100 * word.last / count
        lane = next((lane for lane, end in enumerate(free) if end <= left), LANES - 1)
        free[lane] = max(right, left + _LEAST_WIDE)
        found[number] = lane
    return found


def _word(number: int, word: Stretch, lane: int, count: int) -> str:
    left, wide = 100 * word.first / count, 100 * (word.last - word.first) / count
    top = lane * _LANE_HIGH
    shape = f'x="{left:.2f}%" y="{top + 12}" width="{wide:.2f}%" height="4"'
    end = ' class="n"' if left > 100 - _LEAST_WIDE else ""
    x = min(left + wide, 100.0) if end else left
    return (
        f'<g><title>{escape(word.text)}</title><rect class="wd" {shape}/>'
        f'<text x="{x:.2f}%" y="{top + 9}"{end}>{number}</text></g>'
    )
