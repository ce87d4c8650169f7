"""Exponents of growth, and the slope of a series whose neighbours depend on each other.

In:    figures.
Out:   exponents; a slope with its standard error.
Never: measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Growth:
    """Exponents of y ~ x^e: over all points by least squares, and of the last step alone."""

    whole: float
    last: float


def exponents(x: Sequence[float], y: Sequence[float]) -> Growth | None:
    """Slopes in logarithms; None where fewer than two points are positive.

    Examples
    --------
    >>> exponents([1, 10, 100], [2.0, 20.0, 2000.0])
    Growth(whole=1.5, last=2.0)
    """
    logs = [(math.log(a), math.log(b)) for a, b in zip(x, y, strict=True) if a > 0 and b > 0]
    if len(logs) < 2:
        return None
    (before, low), (after, high) = logs[-2:]
    whole, _ = line([a for a, _ in logs], [b for _, b in logs])
    return Growth(round(whole, 3), round((high - low) / (after - before), 3))


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept by least squares."""
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - middle_x) ** 2 for a in x)
    slope = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / spread
    return slope, middle_y - slope * middle_x


def slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope by least squares and its standard error where residuals depend on those before.

    Newey & West (1987) with Bartlett's weights and n^(1/3) lags, times n / (n - 2).

    Examples
    --------
    >>> found, error = slope([0, 1, 2, 3, 4, 5], [0.0, 1.1, 1.9, 3.1, 3.9, 5.0])
    >>> round(found, 3), error < 0.05
    (0.994, True)
    """
    found, start = line(x, y)
    count, middle = len(x), sum(x) / len(x)
    spread = sum((a - middle) ** 2 for a in x)
    scores = [(a - middle) * (b - start - found * a) for a, b in zip(x, y, strict=True)]
    total = sum(score**2 for score in scores)
    lags = max(1, round(count ** (1 / 3)))
    for lag in range(1, lags + 1):
        weight = 1 - lag / (lags + 1)
        pairs = zip(scores, scores[lag:], strict=False)
        total += 2 * weight * sum(one * other for one, other in pairs)
    return found, math.sqrt(max(0.0, total) * count / (count - 2)) / spread
