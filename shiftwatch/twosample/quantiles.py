"""How far a numeric column moved, in its own unit: distance of quantiles, each with an interval.

In:    two sorted samples.
Out:   the Wasserstein distance over the interquartile range, shifts of seven quantiles.
Never: reads all of the reference; gives a p-value.
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


def quantile(ordered: Floats, level: float) -> float | None:
    """Linear interpolation between order statistics; None if it is infinite."""
    place = (ordered.size - 1) * level
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    share = place - math.floor(place)
    return finite(low if low == high else low * (1 - share) + high * share)


def finite(number: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Distance:
    """Wasserstein-1 distance in interquartile ranges of the reference, with a 95 % interval."""

    value: float
    low: float
    high: float


def wasserstein(reference: Floats, batch: Floats, deviation: float) -> Distance | None:
    """Mean distance of the two quantile functions over the reference's interquartile range.

    Parameters
    ----------
    reference, batch
        Sorted samples, shapes (m,) and (n,).
    deviation
        Standard deviation of the reference, known from when it was prepared.

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
    lower, upper = quantile(reference, 0.25), quantile(reference, 0.75)
    if lower is None or upper is None or not upper > lower:
        return None
    scale = np.float64(upper) - lower
    grid = (np.arange(_GRID) + 0.5) / _GRID
    with np.errstate(all="ignore"):  # infinities of both signs, and overflow, end as None
        ours = reference[(grid * reference.size).astype(np.int64)] / scale
        theirs = batch[(grid * batch.size).astype(np.int64)] / scale
        value = float(np.mean(np.abs(ours - theirs)))
        spread = math.hypot(
            deviation / scale / math.sqrt(reference.size),
            float(np.std(batch / scale)) / math.sqrt(batch.size),
        )
        low = value - _bias(reference, batch, scale) - _NORMAL_975 * spread
        high = value + _NORMAL_975 * spread
    if not all(map(math.isfinite, (value, low, high))):
        return None
    return Distance(value, max(0.0, low), high)


def _bias(reference: Floats, batch: Floats, scale: np.float64) -> float:
    """Integral of sqrt(F(1-F)/m + G(1-G)/n), from above: over 256 quantiles and both ends."""
    ours, theirs = _thinned(reference) / scale, _thinned(batch) / scale
    points = np.sort(np.concatenate([ours, theirs]))
    variance = _variance(ours, points) / reference.size + _variance(theirs, points) / batch.size
    roots = np.sqrt(variance)
    return float(np.diff(points) @ np.maximum(roots[1:], roots[:-1]))


def _thinned(ordered: Floats) -> Floats:
    places = np.linspace(0, ordered.size - 1, min(ordered.size, _COARSE)).round().astype(np.int64)
    return np.asarray(ordered[places])


def _variance(ordered: Floats, points: Floats) -> Floats:
    share = np.searchsorted(ordered, points, side="right") / ordered.size
    return np.asarray(share * (1 - share))


def shifts(reference: Floats, batch: Floats) -> dict[str, Any]:
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
    >>> found = shifts(np.arange(1000.0), np.arange(1000.0) + 50)
    >>> found["shift"][3], found["low"][3], found["high"][3]
    (50.0, -21.0, 121.0)
    """
    found: dict[str, Any] = {"levels": list(LEVELS), "shift": [], "low": [], "high": []}
    ours, theirs = _order_statistics(reference.size), _order_statistics(batch.size)
    for place, level in enumerate(LEVELS):
        before, now = quantile(reference, level), quantile(batch, level)
        shift = None if before is None or now is None else _shown(now - before)
        found["shift"].append(shift)
        found["low"].append(_apart(batch, theirs[place][0], reference, ours[place][1]))
        found["high"].append(_apart(batch, theirs[place][1], reference, ours[place][0]))
    return found


def _apart(batch: Floats, mine: int | None, reference: Floats, other: int | None) -> float | None:
    if mine is None or other is None:
        return None
    with np.errstate(all="ignore"):  # infinities and overflow end as None
        return _shown(float(batch[mine] - reference[other]))


def _shown(number: float) -> float | None:
    """Six digits, as twenty-one numbers a column are kept of every batch."""
    return float(f"{number:.6g}") if math.isfinite(number) else None


@lru_cache(maxsize=256)
def _order_statistics(rows: int) -> tuple[tuple[int | None, int | None], ...]:
    """Positions from 0 of the two order statistics around each quantile; None beyond the sample."""
    levels = np.asarray(LEVELS)
    # bdtr(k, n, p) is P(B <= k). Low: the largest l with P(B <= l - 1) at most the tail.
    least = np.floor(np.nan_to_num(bdtrik(_TAIL, rows, levels), nan=-1.0))
    least -= bdtr(np.maximum(least, 0), rows, levels) > _TAIL
    # High: the smallest u with P(B <= u - 1) at least 1 - tail.
    most = np.ceil(np.nan_to_num(bdtrik(1 - _TAIL, rows, levels), nan=float(rows)))
    most += bdtr(np.minimum(most, rows), rows, levels) < 1 - _TAIL
    return tuple(
        (int(low) if low >= 0 else None, int(high) if high < rows else None)
        for low, high in zip(least.tolist(), most.tolist(), strict=True)
    )
