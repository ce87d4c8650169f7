"""Small distributions as SVG text: what differs, at a glance.

In:    a ColumnProfile, an evidence ratio or a row of past verdicts.
Out:   SVG elements that need no style of their own, each with a role and a title.
Never: draws rows; needs a script, a namespace or anything from outside.

Colours are classes: ``r`` is the reference (an outline), ``c`` the current batch (a fill), so that
shape tells them apart where colour cannot.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from shiftwatch.report.phrase import cut, number, percent, visible
from shiftwatch.values import PROFILE_QUANTILES, ColumnProfile

WIDTH = 232
_PLOT = 46.0
_ROW = 15
_BARS_FROM = 92.0
_BARS_WIDE = 70.0
_MEDIAN = PROFILE_QUANTILES.index(0.5)
_TOP = 6
_OTHER = "other"
_LABEL = 13


@dataclass(frozen=True, slots=True)
class Beat:
    """One past verdict in the timeline."""

    state: str
    alarm: bool
    label: str
    current: bool


def distribution(column: ColumnProfile) -> str:
    """Reference and current distribution of one column; empty where there is nothing to draw."""
    if column.kind == "numeric" and column.counts_reference:
        return _numeric(column)
    if column.kind == "categorical" and column.categories:
        return _categorical(column)
    bars = _null_bars(column)
    return (
        _svg(_ROW + 2, f"{_label(column)}: {_nulls_words(column)}", _bars(bars, 1)) if bars else ""
    )


def _label(column: ColumnProfile) -> str:
    return cut(visible(column.name), 40)


# --- numeric -----------------------------------------------------------------------------------


def _numeric(column: ColumnProfile) -> str:
    sides = (_shares(column.counts_reference), _shares(column.counts_current))
    top = max((max(side) for side in sides if side), default=0.0) or 1.0
    parts = [f'<path class="x" d="M0 {_PLOT + 1:g}H{WIDTH}"/>']
    if sides[1]:
        parts.append(f'<path class="c" d="{_steps(sides[1], top)}Z"/>')
    if sides[0]:
        parts.append(f'<path class="r" d="{_steps(sides[0], top)}"/>')
    medians = _medians(column)
    parts += [
        _mark(_place(value, column.edges), kind)
        for kind, value in zip("rc", medians, strict=True)
        if value is not None
    ]
    parts += _axis(column.edges)
    bars = _null_bars(column)
    below = int(_PLOT) + 21
    parts.append(_bars(bars, below))
    height = below + (_ROW if bars else -2)
    return _svg(height, _numeric_title(column, medians), "".join(parts))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else []


def _steps(shares: Sequence[float], top: float) -> str:
    """A step line over equal bins; the open end bins are as wide as the others."""
    wide = WIDTH / len(shares)
    floor = _PLOT + 1
    steps = "".join(
        f"V{floor - share / top * _PLOT:.1f}H{(index + 1) * wide:.1f}"
        for index, share in enumerate(shares)
    )
    return f"M0 {floor:g}{steps}V{floor:g}".replace(".0H", "H").replace(".0V", "V")


def _place(value: float, edges: Sequence[float]) -> float:
    """Where a value lies on the axis of equal bins; wild values lie at its ends."""
    wide = WIDTH / (len(edges) + 1)
    if not edges or value < edges[0]:
        return wide / 2
    if value >= edges[-1]:
        return WIDTH - wide / 2
    right = bisect_right(edges, value)
    low, high = edges[right - 1], edges[right]
    within = (value - low) / (high - low)
    return (right + (within if math.isfinite(within) else 0.5)) * wide


def _mark(x: float, kind: str) -> str:
    """A median: a line through the plot that ends in a triangle below the axis."""
    floor = _PLOT + 1
    return (
        f'<path class="m{kind}" d="M{x:.1f} 0V{floor:g}"/>'
        f'<path class="t{kind}" d="M{x:.1f} {floor:g}l3.5 6h-7z"/>'
    )


def _axis(edges: Sequence[float]) -> list[str]:
    if not edges:
        return []
    wide = WIDTH / (len(edges) + 1)
    y = _PLOT + 17
    if len(edges) == 1:
        return [_text(WIDTH / 2, y, number(edges[0]), "e m")]
    return [
        _text(wide / 2, y, number(edges[0]), "e"),
        _text(WIDTH - wide / 2, y, number(edges[-1]), "e n"),
    ]


def _medians(column: ColumnProfile) -> tuple[float | None, float | None]:
    sides = (column.quantiles_reference, column.quantiles_current)
    first, second = (side[_MEDIAN] if len(side) > _MEDIAN else None for side in sides)
    return _unless_nan(first), _unless_nan(second)


def _unless_nan(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _numeric_title(column: ColumnProfile, medians: tuple[float | None, float | None]) -> str:
    before, now = ("unknown" if m is None else number(m) for m in medians)
    nulls = _nulls_words(column)
    ending = f"; {nulls}" if nulls else ""
    return f"{_label(column)}: median {before} in the reference, {now} now{ending}"


# --- categorical -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bar:
    label: str
    reference: float | None
    current: float | None
    new: bool = False


def _categorical(column: ColumnProfile) -> str:
    bars = [*_category_bars(column), *_null_bars(column)]
    largest = max(bars, key=lambda bar: abs((bar.current or 0.0) - (bar.reference or 0.0)))
    title = (
        f"{_label(column)}: {cut(largest.label, 40)} {_or_unknown(largest.reference)} in the reference, "
        f"{_or_unknown(largest.current)} now"
    )
    return _svg(len(bars) * _ROW + 1, title, _bars(bars, 1))


def _category_bars(column: ColumnProfile) -> list[_Bar]:
    """The categories with the largest share on either side, then all others together."""
    totals = (_present(column, reference=True), _present(column, reference=False))
    shares = [
        (_share(column.counts_reference, i, totals[0]), _share(column.counts_current, i, totals[1]))
        for i in range(len(column.categories))
    ]
    by_size = sorted(range(len(shares)), key=lambda i: -max(s or 0.0 for s in shares[i]))
    new = set(column.new_categories)
    shown = sorted(by_size[:_TOP])
    bars = [
        _Bar(_category(column.categories[i]), *shares[i], column.categories[i] in new)
        for i in shown
    ]
    before, now = (_rest([shares[i][side] for i in shown]) for side in (0, 1))
    if max(before or 0.0, now or 0.0) > 1e-9:
        bars.append(_Bar(_OTHER, before, now))
    return bars


def _category(text: str) -> str:
    return visible(text) or "(empty)"


def _present(column: ColumnProfile, *, reference: bool) -> int:
    if reference:
        rows, nulls, counts = column.rows_reference, column.nulls_reference, column.counts_reference
    else:
        rows, nulls, counts = column.rows_current, column.nulls_current, column.counts_current
    return max(rows - nulls, sum(counts))


def _share(counts: Sequence[int], index: int, total: int) -> float | None:
    return counts[index] / total if index < len(counts) and total else None


def _rest(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return max(0.0, 1.0 - sum(known)) if known else None


def _null_bars(column: ColumnProfile) -> list[_Bar]:
    """A pair of bars for the nulls, where there are any."""
    if not column.nulls_reference and not column.nulls_current:
        return []
    return [
        _Bar(
            "nulls",
            _ratio(column.nulls_reference, column.rows_reference),
            _ratio(column.nulls_current, column.rows_current),
        )
    ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _nulls_words(column: ColumnProfile) -> str:
    bars = _null_bars(column)
    if not bars:
        return ""
    return f"nulls {_or_unknown(bars[0].reference)}, now {_or_unknown(bars[0].current)}"


def _or_unknown(share: float | None) -> str:
    return "unknown" if share is None else percent(share)


def _bars(bars: Sequence[_Bar], top: int) -> str:
    """Pairs of bars, the longest as long as there is room."""
    shares = [share or 0.0 for bar in bars for share in (bar.reference, bar.current)]
    unit = _BARS_WIDE / (max(shares, default=0.0) or 1.0)
    return "".join(_pair(bar, top + index * _ROW, unit) for index, bar in enumerate(bars))


def _pair(bar: _Bar, y: int, unit: float) -> str:
    """Label, two bars one over the other, and the shares in figures."""
    wide = [(share or 0.0) * unit for share in (bar.reference, bar.current)]
    before, now = ("?" if s is None else _rounded(s) for s in (bar.reference, bar.current))
    mark = ("+ " if bar.new else "") + bar.label
    return (
        _text(0, y + 10, cut(mark, _LABEL), "w" if bar.new else "")
        + f'<path class="rb" d="M{_BARS_FROM:g} {y + 3}h{wide[0]:.1f}v3.5h-{wide[0]:.1f}z"/>'
        + f'<path class="cb" d="M{_BARS_FROM:g} {y + 8}h{wide[1]:.1f}v4h-{wide[1]:.1f}z"/>'
        + _text(WIDTH, y + 10, f"{before} → {now} %", "n")
    )


def _rounded(share: float) -> str:
    """Per cent for a place where there is room for two or three characters."""
    if 0 < share < 0.001:
        return "<0.1"
    if 0.995 < share < 1:
        return ">99"
    return f"{100 * share:.1f}" if 0 < share < 0.0995 else f"{100 * share:.0f}"


# --- evidence and timeline ---------------------------------------------------------------------


def evidence_bar(ratio: float) -> str:
    """Evidence over its threshold: the tick in the middle is where the alarm rises."""
    kept = min(max(ratio, 0.0), 2.0) if math.isfinite(ratio) else 2.0
    wide = kept / 2 * 200
    state = "over" if ratio >= 1 else "under"
    body = (
        '<rect class="k" y="3" width="200" height="8" rx="2"/>'
        f'<rect class="{state}" y="3" width="{wide:.1f}" height="8" rx="2"/>'
        '<path class="tick" d="M100 0V14"/>'
    )
    title = f"evidence {ratio + 0.0:.2f}, the alarm rises at 1"
    return f'<svg class="ev" viewBox="0 0 200 14" preserveAspectRatio="none" role="img"><title>{title}</title>{body}</svg>'


_SHADES = ("blue", "orange", "green", "violet")
"""Of the classes ``s0`` to ``s3``, which neighbours in a bar do not share."""


class Share(Protocol):
    """A part of a whole: how much of it, and what to say of it."""

    @property
    def share(self) -> float:
        """0 to 1."""
        ...

    @property
    def text(self) -> str:
        """Name and amount."""
        ...


def shares_bar(parts: Sequence[Share]) -> str:
    """Parts of a whole side by side, each as wide as its share; what is left is empty."""
    body, at = ['<rect class="k" width="200" height="10"/>'], 0.0
    for place, part in enumerate(parts):
        wide = min(part.share * 200, 200 - at)
        body.append(
            f'<rect class="s{place % len(_SHADES)}" x="{at:.1f}" width="{wide:.1f}" height="10">'
            f"<title>{escape(part.text)}</title></rect>"
        )
        at += wide
    told = "; ".join(part.text for part in parts)
    return (
        '<svg class="ev" viewBox="0 0 200 10" preserveAspectRatio="none" role="img">'
        f"<title>{escape(told)}</title>{''.join(body)}</svg>"
    )


def swatch(place: int) -> str:
    """The colour of a part of :func:`shares_bar`, to stand beside its name."""
    return (
        '<svg width="9" height="9" viewBox="0 0 9 9" role="img">'
        f"<title>{_SHADES[place % len(_SHADES)]}</title>"
        f'<rect class="s{place % len(_SHADES)}" width="9" height="9"/></svg>'
    )


_BEAT_SHAPES = {
    "shift": '<path class="b-shift" d="M{x} 19V3h8v16z"/>',
    "no_shift": '<path class="b-quiet" d="M{x} 19v-5h8v5z"/>',
    "insufficient_data": '<path class="b-open" d="M{x}.5 18.5v-4h7v4z"/>',
    "invalid_data": '<path class="b-bad" d="M{x} 19l4 -10 4 10z"/>',
    "error": '<path class="b-err" d="M{x} 10l8 8m0 -8l-8 8"/>',
}


def timeline(beats: Sequence[Beat]) -> str:
    """Past verdicts, the oldest first: height and shape tell the verdict, a line the alarm."""
    width = len(beats) * 11 + 2
    body = "".join(_beat(beat, index * 11 + 2) for index, beat in enumerate(beats))
    title = f"the last {len(beats)} verdicts, oldest first"
    return (
        f'<svg class="tl" viewBox="0 0 {width} 28" width="{width}" height="28" role="img">'
        f"<title>{title}</title>{body}</svg>"
    )


def _beat(beat: Beat, x: int) -> str:
    shape = _BEAT_SHAPES.get(beat.state, _BEAT_SHAPES["error"]).replace("{x}", str(x))
    alarm = f'<path class="b-alarm" d="M{x - 1} 22h10"/>' if beat.alarm else ""
    here = f'<path class="b-here" d="M{x + 4} 24l3 4h-6z"/>' if beat.current else ""
    return f"<g><title>{escape(beat.label)}</title>{shape}{alarm}{here}</g>"


# --- text --------------------------------------------------------------------------------------


def _text(x: float, y: float, content: str, classes: str) -> str:
    kind = f' class="{classes}"' if classes else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}>{escape(content)}</text>'


def _svg(height: int, title: str, body: str) -> str:
    return (
        f'<svg class="d" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img"><title>{escape(title)}</title>{body}</svg>'
    )
