"""Evidence of the one category that changed most, at an exact level over all categories.

In:    pooled counts by category, the batch's counts.
Out:   a p-value for the largest single change, and which category it is.
Never: draws a random number; trusts a normal law of a rare category.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

P_FLOOR = 1e-300
"""Smallest p-value reported."""

_SETTLED = 1e-10
_MOST_TERMS = 100_000
_TERMS = 64
"""Terms at once."""
_NEAR = 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """The category with the smallest tail, and the p-value of its being that small."""

    place: int
    p_value: float


def smallest(pooled: Counts, current: Counts) -> Cell:
    """P-value of the most surprising single category among all.

    Parameters
    ----------
    pooled
        Rows of each category in both samples, 1 or more, shape (cells,).
    current
        Rows of each in the batch.

    Notes
    -----
    Given the pooled counts and no shift, the batch's count of one category is hypergeometric. Each
    category has two tails, P(X >= x) and P(X <= x); the statistic is the smallest tail q of all.
    P(q <= t) is at most t times the number of tails that can be as small as t at all (Tarone
    1990): a category of two rows cannot give 1e-6, and does not dilute what the others say. The
    result is a p-value for every vocabulary, by the union bound alone; it is sharp where it is
    small. Counts below 2 deviations from their mean are given the tail 1, which only makes q larger.

    Why not the largest standardised residual: a category of one row has the residual sqrt(m/n)
    with chance n/(m+n), so among many rare categories the largest residual is always theirs.

    Examples
    --------
    >>> cell = smallest(np.array([500, 500, 20]), np.array([45, 45, 10]))
    >>> cell.place, round(cell.p_value, 8)
    (2, 2.137e-05)
    """
    total, n = int(pooled.sum()), int(current.sum())
    upper = _log_tail(current, pooled, n, total)
    lower = _log_tail(n - current, total - pooled, n, total)
    tails = np.minimum(upper, lower)
    place = int(np.argmin(tails))
    log_q = float(tails[place])
    least = np.concatenate(
        [
            _log_mass(np.minimum(pooled, n), pooled, n, total),
            _log_mass(np.maximum(0, n - (total - pooled)), pooled, n, total),
        ]
    )
    able = max(1, int(np.count_nonzero(least <= log_q + _SETTLED * max(1.0, -log_q))))
    log_p = max(math.log(P_FLOOR), log_q + math.log(able))
    return Cell(place, min(1.0, math.exp(log_p)))


def _log_tail(hits: Counts, rows: Counts, n: int, total: int) -> Floats:
    """Log P(X >= hits) where hits exceed the mean by 2 deviations, else 0; shape of ``hits``.

    The probability at ``hits`` times 1 + r + r r' + ..., r the ratio of a probability to the one
    before, which falls; what is left out at the end is bounded by a geometric series.
    """
    logs = np.zeros(hits.size)
    beyond = hits - rows * (n / total)
    variance = rows * (n / total) * (1 - rows / total) * (1 - n / total)
    far = np.flatnonzero(beyond > np.maximum(1, _NEAR * np.sqrt(variance)))
    if far.size == 0:
        return logs
    at, of = hits[far].astype(np.float64)[:, None], rows[far].astype(np.float64)[:, None]
    series, term = np.ones(far.size), np.ones(far.size)
    for first in range(0, _MOST_TERMS, _TERMS):
        x = at + np.arange(first, first + _TERMS)
        # A count cannot exceed the rows there are: from there on all terms are 0.
        ratios = np.maximum(of - x, 0) * np.maximum(n - x, 0) / ((x + 1) * (total - of - n + x + 1))
        terms = term[:, None] * np.cumprod(ratios, axis=1)
        series, term = series + terms.sum(axis=1), terms[:, -1]
        rest = term * ratios[:, -1] / (1 - np.minimum(ratios[:, -1], 1 - 1e-9))
        if float(np.max(rest / series)) < _SETTLED:
            break
    logs[far] = np.minimum(0.0, _log_mass(hits[far], rows[far], n, total) + np.log(series + rest))
    return logs


def _log_mass(hits: Counts, rows: Counts, n: int, total: int) -> Floats:
    """Log of the hypergeometric probability of ``hits`` of ``rows`` among the batch's n."""
    ways = _log_choose(rows, hits) + _log_choose(total - rows, n - hits)
    mass: Floats = ways - _log_choose(np.array(total), np.array(n))
    return mass


def _log_choose(total: Counts, part: Counts) -> Floats:
    logs: Floats = np.asarray(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1))
    return logs
