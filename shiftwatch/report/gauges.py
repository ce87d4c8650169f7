"""Small bars: evidence over its threshold, an effect with its interval, parts of a whole.

In:    numbers.
Out:   SVG elements that need no style of their own, each with a role and a title.
Never: draws outside its frame, whatever the number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Protocol

from shiftwatch.report.phrase import effect_text, interval_text


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


INTERVAL_WIDTH = 120


def interval_bar(
    span: tuple[float | None, float, float | None],
    scale: float,
    tolerance: float,
    seen: float | None = None,
) -> str:
    """An effect with its interval, the tick of what matters and the triangle of what can be seen.

    Parameters
    ----------
    span
        Low end, effect, high end; an end is None where the test has no interval.
    scale
        The effect at the right edge, the same for all rows of a table.
    tolerance
        The smallest shift that matters, in the unit of the effect.
    seen
        The smallest shift that the check finds in 4 of 5 cases, in the same unit; None where that
        is not known.
    """
    low, effect, high = span
    at = [_place(value, scale) for value in (low, effect, high, tolerance)]
    parts = [f'<path class="x" d="M0 7H{INTERVAL_WIDTH}"/>']
    if low is not None and high is not None:
        parts.append(f'<path class="iv" d="M{at[0]:.1f} 7H{at[2]:.1f}"/>')
    parts.append(f'<path class="tol" d="M{at[3]:.1f} 1V13"/>')
    parts.append(f'<circle class="pt" cx="{at[1]:.1f}" cy="7" r="3"/>')
    if seen is not None:
        parts.append(f'<path class="see" d="M{_place(seen, scale):.1f} 11l3.5 6h-7z"/>')
    told = interval_text(low, high)
    between = f", 95 % interval {told}" if told else ""
    title = (
        f"effect {effect_text(effect)}{between}; what matters begins at {effect_text(tolerance)}"
    )
    if seen is not None:
        title += f"; this check finds {effect_text(seen)} in 4 of 5 cases"
    return (
        f'<svg class="ivl" viewBox="-4 0 {INTERVAL_WIDTH + 8} 18" width="{INTERVAL_WIDTH + 8}" '
        f'height="18" role="img"><title>{title}</title>{"".join(parts)}</svg>'
    )


def _place(value: float | None, scale: float) -> float:
    if value is None or math.isnan(value) or not scale > 0:
        return 0.0
    return min(1.0, max(0.0, value / scale)) * INTERVAL_WIDTH


def share_bar(share: float) -> str:
    """A part of a whole as a short bar; the number stands beside it."""
    wide = min(1.0, max(0.0, share)) * 40
    return (
        '<svg width="40" height="7" viewBox="0 0 40 7" role="img"><title>its part</title>'
        f'<rect class="k" width="40" height="7"/><rect class="cb" width="{wide:.1f}" height="7"/></svg>'
    )
