"""Small distributions as SVG text: what differs, at a glance.

In:    a ColumnProfile.
Out:   SVG elements that need no style of their own, each with a role and a title.
Never: draws rows; needs a script, a namespace or anything from outside.

Colours are classes: ``r`` is the reference (an outline), ``c`` the current batch (a fill), so that
shape tells them apart where colour cannot.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

from shiftwatch.report.phrase import cut, number, percent, visible
from shiftwatch.values import PROFILE_QUANTILES, ColumnProfile

WIDTH = 232
_PLOT = 42.0
_ROW = 15
_BARS_FROM = 92.0
_BARS_WIDE = 64.0
_MARKS = tuple(PROFILE_QUANTILES.index(level) for level in (0.05, 0.25, 0.5, 0.75, 0.95))
"""What the marks below a histogram show: a thin line, a thick line, a tick."""

_LOW, _MEDIAN, _HIGH = _MARKS[1:4]
_TOP = 6
_OTHER = "other"
_NEW, _GONE = "+ ", "\N{MINUS SIGN} "
_LABEL = 13


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
    spreads = (column.quantiles_reference, column.quantiles_current)
    parts += [
        _marks([_place(each[mark], column.edges) for mark in _MARKS], kind, y)
        for kind, y, each in zip("rc", (_PLOT + 6, _PLOT + 13), spreads, strict=True)
        if len(each) == len(PROFILE_QUANTILES) and not any(map(math.isnan, each))
    ]
    parts += _axis(column.edges)
    bars = _null_bars(column)
    below = int(_PLOT) + 32
    parts.append(_bars(bars, below))
    height = below + (_ROW if bars else -2)
    return _svg(height, _numeric_title(column), "".join(parts))


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


def _marks(at: Sequence[float], kind: str, y: float) -> str:
    """Quantiles below the plot: 5 to 95 % a thin line, the middle half a thick one, the median."""
    low, first, median, third, high = at
    return (
        f'<path class="q{kind}" d="M{low:.1f} {y:g}H{high:.1f}"/>'
        f'<path class="h{kind}" d="M{first:.1f} {y:g}H{third:.1f}"/>'
        f'<path class="m{kind}" d="M{median:.1f} {y - 3:g}v6"/>'
    )


def _axis(edges: Sequence[float]) -> list[str]:
    if not edges:
        return []
    wide = WIDTH / (len(edges) + 1)
    y = _PLOT + 28
    if len(edges) == 1:
        return [_text(WIDTH / 2, y, number(edges[0]), "e m")]
    return [
        _text(wide / 2, y, number(edges[0]), "e"),
        _text(WIDTH - wide / 2, y, number(edges[-1]), "e n"),
    ]


def _numeric_title(column: ColumnProfile) -> str:
    sides = (column.quantiles_reference, column.quantiles_current)
    before, now = (_spread_words(side) for side in sides)
    nulls = _nulls_words(column)
    ending = f"; {nulls}" if nulls else ""
    return f"{_label(column)}: median {before} in the reference, {now} now{ending}"


def _spread_words(quantiles: Sequence[float]) -> str:
    if len(quantiles) != len(PROFILE_QUANTILES) or math.isnan(quantiles[_MEDIAN]):
        return "unknown"
    low, middle, high = (number(quantiles[mark]) for mark in (_LOW, _MEDIAN, _HIGH))
    return f"{middle} (half of all between {low} and {high})"


# --- categorical -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bar:
    label: str
    reference: float | None
    current: float | None
    sign: str = ""
    """``+`` where the reference has never had it, a minus where the batch no longer has it."""


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
    bars = [_Bar(_category(column.categories[i]), *shares[i], _sign(column, i, new)) for i in shown]
    before, now = (_rest([shares[i][side] for i in shown]) for side in (0, 1))
    if max(before or 0.0, now or 0.0) > 1e-9:
        bars.append(_Bar(_OTHER, before, now))
    return bars


def _sign(column: ColumnProfile, index: int, new: Collection[str]) -> str:
    if column.categories[index] in new:
        return _NEW
    gone = index < len(column.counts_current) and not column.counts_current[index]
    return _GONE if gone and column.counts_reference[index] else ""


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
    mark = bar.sign + bar.label
    return (
        _text(0, y + 10, cut(mark, _LABEL), "w" if bar.sign else "")
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


# --- text --------------------------------------------------------------------------------------


def _text(x: float, y: float, content: str, classes: str) -> str:
    kind = f' class="{classes}"' if classes else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}>{escape(content)}</text>'


def _svg(height: int, title: str, body: str) -> str:
    return (
        f'<svg class="d" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img"><title>{escape(title)}</title>{body}</svg>'
    )
