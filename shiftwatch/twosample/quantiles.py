"""How far a numeric column moved, in its own unit: distance of quantiles, each with an interval.

In:    two sorted samples, each as an Outline.
Out:   the Wasserstein distance over the interquartile range, shifts of seven quantiles.
Never: needs the rows again once outlined; gives a p-value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrik

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Quantiles whose shifts are reported."""

_GRID = 2048
_COARSE = 256
_NORMAL_975 = 1.959963984540054
_TAIL = 0.0125
_MEDIAN = LEVELS.index(0.5)
_QUARTILES = [LEVELS.index(0.25), LEVELS.index(0.75)]


def finite(number: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """What the distance of two samples needs of one of them.

    Parameters
    ----------
    grid
        Shape (2048,): the quantile function at equally spaced midpoints.
    coarse
        Shape (at most 256,): equally spaced order statistics, both ends among them.
    marks
        Shape (3, levels): by quantile of :data:`LEVELS` its estimate, by linear interpolation, and
        the two order statistics around it, NaN beyond the sample; see :func:`shifts`.
    rows, deviation
        Of the sample; its standard deviation.
    """

    grid: Floats
    coarse: Floats
    marks: Floats
    rows: int
    deviation: float

    @classmethod
    def of(cls, ordered: Floats) -> Outline:
        """Outline a sorted sample."""
        rows = ordered.size
        if rows == 0:
            return cls(ordered, ordered, np.full((3, len(LEVELS)), np.nan), 0, math.nan)
        places = _places(rows)
        marks = ordered[places.marks]
        before, after = marks[0], marks[1]
        with np.errstate(all="ignore"):  # infinite values: not finite, and None where it is shown
            apart = ordered - ordered.sum() / rows
            deviation = math.sqrt(float(apart @ apart) / rows)
            middle = before * (1 - places.share) + after * places.share
        marks[1] = np.where(before == after, before, middle)
        marks[2:][places.beyond] = np.nan
        return cls(ordered[places.grid], ordered[places.coarse], marks[1:], rows, deviation)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where an outline looks in a sorted sample, which depends on its rows alone.

    ``grid`` and ``coarse`` are positions, as is ``marks``, shape (4, levels): before and after a
    quantile, and the order statistics around it, which are ``beyond`` some samples, shape
    (2, levels); ``share`` of the way from the one before to the one after, shape (levels,).
    """

    grid: Counts
    coarse: Counts
    marks: Counts
    share: Floats
    beyond: NDArray[np.bool_]


@lru_cache(maxsize=64)
def _places(rows: int) -> _Places:
    place = (rows - 1) * np.asarray(LEVELS)
    around = _order_statistics(rows)
    held = np.vstack([np.floor(place), np.ceil(place), np.clip(around, 0, rows - 1)])
    return _Places(
        grid=((np.arange(_GRID) + 0.5) / _GRID * rows).astype(np.int64),
        coarse=np.linspace(0, rows - 1, min(rows, _COARSE)).round().astype(np.int64),
        marks=held.astype(np.int64),
        share=place - np.floor(place),
        beyond=(around < 0) | (around >= rows),
    )


@lru_cache(maxsize=256)
def _order_statistics(rows: int) -> Counts:
    """Positions from 0 of the two order statistics around each quantile, shape (2, levels).

    -1 and ``rows`` where the sample has none so far out.
    """
    levels = np.asarray(LEVELS)
    # bdtr(k, n, p) is P(B <= k). Low: the largest l with P(B <= l - 1) at most the tail.
    least = np.floor(np.nan_to_num(bdtrik(_TAIL, rows, levels), nan=-1.0))
    least -= bdtr(np.maximum(least, 0), rows, levels) > _TAIL
    # High: the smallest u with P(B <= u - 1) at least 1 - tail.
    most = np.ceil(np.nan_to_num(bdtrik(1 - _TAIL, rows, levels), nan=float(rows)))
    most += bdtr(np.minimum(most, rows), rows, levels) < 1 - _TAIL
    return np.vstack([np.maximum(least, -1), np.minimum(most, rows)]).astype(np.int64)


def moved(reference: Outline, batch: Outline) -> dict[str, Any]:
    """Medians, distance and shifts of quantiles, as the explanation of a test tells them."""
    distance = wasserstein(reference, batch)
    return {
        "median_reference": finite(float(reference.marks[0, _MEDIAN])),
        "median_current": finite(float(batch.marks[0, _MEDIAN])),
        "wasserstein_over_iqr": None if distance is None else distance.value,
        "wasserstein_low": None if distance is None else distance.low,
        "wasserstein_high": None if distance is None else distance.high,
        "quantile_shifts": shifts(reference, batch),
    }


@dataclass(frozen=True, slots=True)
class Distance:
    """Wasserstein-1 distance in interquartile ranges of the reference, with a 95 % interval."""

    value: float
    low: float
    high: float


def wasserstein(reference: Outline, batch: Outline) -> Distance | None:
    """Mean distance of the two quantile functions over the reference's interquartile range.

    Returns
    -------
    Distance or None
        None where the range is 0 or anything is infinite.

    Notes
    -----
    W is an integral over (0, 1), taken as a mean over 2048 midpoints: exact where both sizes
    divide 2048, else off by the share of the outermost rows that fall between two midpoints.

    The interval: W is the largest difference of the means of a function of slope 1 (Kantorovich).
    That difference for the function that is best for the two laws is at most the W of the samples,
    and a function of slope 1 varies no more than the values, so W is at most W^ + 1.96 s with
    s^2 = var x/m + var y/n, by the central limit theorem. One row changes W^ by no more than it
    changes the mean, so W^ varies by s at most (Efron and Stein 1981), and the mean of W^ exceeds
    W by at most the integral of sqrt(F(1-F)/m + G(1-G)/n) =: bias. So the low end is
    W^ - bias - 1.96 s. An approximation: it takes finite variances and the normal law, and the
    range as known. Conservative: true distances are held in more than 95 %.
    """
    lower, upper = reference.marks[0, _QUARTILES]
    with np.errstate(all="ignore"):  # infinities of both signs, and overflow, end as None
        scale = upper - lower
        if not scale > 0:
            return None
        value = float(np.abs(reference.grid - batch.grid).sum()) / (scale * _GRID)
        spread = math.hypot(
            reference.deviation / scale / math.sqrt(reference.rows),
            batch.deviation / scale / math.sqrt(batch.rows),
        )
        low = value - _bias(reference, batch, scale) - _NORMAL_975 * spread
        high = value + _NORMAL_975 * spread
    if not all(map(math.isfinite, (value, low, high))):
        return None
    return Distance(float(value), max(0.0, float(low)), float(high))


def _bias(reference: Outline, batch: Outline, scale: np.float64) -> float:
    """Integral of sqrt(F(1-F)/m + G(1-G)/n), from above: over 256 quantiles and both ends."""
    both = np.concatenate([reference.coarse, batch.coarse])
    order = both.argsort(kind="stable")
    points = both[order] / scale
    ours = (order < reference.coarse.size).cumsum()
    theirs = np.arange(1, both.size + 1) - ours
    f, g = ours / reference.coarse.size, theirs / batch.coarse.size
    roots = np.sqrt(f * (1 - f) / reference.rows + g * (1 - g) / batch.rows)
    return float((points[1:] - points[:-1]) @ np.maximum(roots[1:], roots[:-1]))


def shifts(reference: Outline, batch: Outline) -> dict[str, Any]:
    """Shift of each quantile of :data:`LEVELS`, batch less reference, with a 95 % interval.

    Returns
    -------
    dict
        Lists by level: ``levels``, ``shift``, ``low`` and ``high``, in the unit of the values;
        None where a number is infinite, or the rows are too few for an end.

    Notes
    -----
    The quantile of a law lies between the order statistics l and u with chance at least
    1 - P(B < l) - P(B >= u), B binomial with the sample's rows and the level; l and u are taken so
    that each part is at most 1/80. Both samples together miss with chance 5 % at most, so each
    shift lies within [l of the batch - u of the reference, u of the batch - l of the reference]
    with 95 %: exact for every law, ties included, pointwise, not for all seven at once.

    Examples
    --------
    >>> found = shifts(Outline.of(np.arange(1000.0)), Outline.of(np.arange(1000.0) + 50))
    >>> found["shift"][3], found["low"][3], found["high"][3]
    (50.0, -21.0, 121.0)
    """
    with np.errstate(all="ignore"):  # infinities and overflow end as None
        apart = batch.marks - reference.marks[[0, 2, 1]]
    told = [_shown(row) for row in apart.tolist()]
    return {"levels": list(LEVELS)} | dict(zip(("shift", "low", "high"), told, strict=True))


_SIX_DIGITS = " ".join(["%.6g"] * len(LEVELS))


def _shown(numbers: list[float]) -> list[float | None]:
    """Six digits, as twenty-one numbers a column are kept of every batch."""
    return [finite(float(text)) for text in (_SIX_DIGITS % tuple(numbers)).split()]
