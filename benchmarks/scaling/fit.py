"""Exponents of growth, and the slope of a series whose neighbours depend on each other.

In:    figures.
Out:   exponents; a slope with its standard error.
Never: measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_BLOCKS = 20


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
    """Slope by least squares and its standard error where neighbours are alike.

    Both of the means of up to 20 blocks, which are nearly independent where the blocks are much
    longer than the memory of the series; what does not fill a block is left out at the start.

    Examples
    --------
    >>> found, error = slope([0, 1, 2, 3, 4, 5], [0.0, 1.1, 1.9, 3.1, 3.9, 5.3])
    >>> round(found, 2), round(error, 2)
    (1.01, 0.02)
    """
    count = min(_BLOCKS, max(3, len(x) // 4))
    size = len(x) // count
    start = len(x) - count * size
    ends = [(start + block * size, start + (block + 1) * size) for block in range(count)]
    middles, means = ([sum(each[a:b]) / size for a, b in ends] for each in (x, y))
    found, origin = line(middles, means)
    middle = sum(middles) / count
    spread = sum((a - middle) ** 2 for a in middles)
    left = sum((b - origin - found * a) ** 2 for a, b in zip(middles, means, strict=True))
    return found, math.sqrt(left / (count - 2) / spread)
