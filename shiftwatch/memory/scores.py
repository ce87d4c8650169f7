"""Standard scores of a batch within a pool: how far its counts lie from an exchangeable draw.

In:    counts of a batch and of the pool over the same cells.
Out:   scores that are standard normal if the batch is a random draw from both together.
Never: remembers anything; knows a threshold.

Given the pooled counts, the batch's are multivariate hypergeometric. All moments used here are those
of this law: exact, with ties, whatever the distribution of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_FURTHEST = 37.0
"""Scores beyond this have no p-value in a double; nothing is gained by telling them apart."""

_REACH = 13.0
"""Standard deviations on either side of the mean within which hypergeometric chances are added."""


@dataclass(frozen=True, slots=True, eq=False)
class RankScores:
    """Scores of numeric columns, shape (columns,) each; 0 where nothing can be said."""

    level: Floats
    """Of the mean rank: a shift of the level, upwards if positive."""
    spread: Floats
    """Of the mean squared distance of the rank from the middle."""


def rank_scores(batch: Counts, pool: Counts) -> RankScores:
    """Score the mean rank of the batch in the pool, and the mean square around the middle.

    Parameters
    ----------
    batch, pool
        Shape (columns, bins), ascending bins; the pool does not contain the batch.

    Notes
    -----
    Every row has the mid-rank of its bin in both together, u in (0, 1). The mean over the batch of
    a = u - 1/2 (Wilcoxon's statistic) and of a^2 minus its overall mean (Mood's) are means of a
    random draw without replacement of n of N numbers: their variance is S^2 (1/n)(1 - n/N) N/(N-1),
    and their third moment is known too (Cochran 1977, Sampling Techniques, section 2.15). The
    third moment corrects the score by the cube-root transformation of Wilson and Hilferty (1931),
    so that ties, which make the law skew, do not make the tails wrong.

    Examples
    --------
    >>> pool = np.array([[100, 100, 100, 100]])
    >>> scores = rank_scores(np.array([[10, 10, 30, 30]]), pool)
    >>> round(float(scores.level[0]), 2), round(float(scores.spread[0]), 2)
    (3.66, -0.51)
    """
    pooled = (batch + pool).astype(np.float64)
    total = pooled.sum(axis=1, keepdims=True)
    n = batch.sum(axis=1, keepdims=True).astype(np.float64)
    apart = (np.cumsum(pooled, axis=1) - pooled / 2) / np.maximum(total, 1.0) - 0.5
    level = _mean_scores(apart, batch, pooled, (n, total))
    square = apart**2
    middle = (pooled * square).sum(axis=1, keepdims=True) / np.maximum(total, 1.0)
    spread = _mean_scores(square - middle, batch, pooled, (n, total))
    return RankScores(level, spread)


def _mean_scores(
    values: Floats, batch: Counts, pooled: Floats, sizes: tuple[Floats, Floats]
) -> Floats:
    """Score of the batch's mean of values that have mean 0 over both together."""
    n, total = (size[:, 0] for size in sizes)
    weighted = pooled * values
    second = np.einsum("ij,ij->i", weighted, values)
    third = np.einsum("ij,ij,ij->i", weighted, values, values)
    sums = np.einsum("ij,ij->i", batch, values)
    known = (n > 0) & (total > n) & (total > 2) & (second > 1e-12 * total)
    n, total, second = (np.where(known, each, 4.0) for each in (n, total, second))
    total = np.where(known, total, 16.0)
    rest = total - n
    variance = second * n * rest / (total * (total - 1))
    cube = third * n * rest * (rest - n) / (total * (total - 1) * (total - 2))
    standard = sums / np.sqrt(variance)
    skewness = np.where(known, cube / variance**1.5, 0.0)
    return np.where(known, unskewed(standard, skewness), 0.0)


def unskewed(standard: Floats, skewness: Floats) -> Floats:
    """Normal scores of standardised gamma (Pearson III) variables, by Wilson and Hilferty (1931).

    Examples
    --------
    >>> unskewed(np.array([3.0]), np.array([0.0])).tolist()
    [3.0]
    >>> bool(unskewed(np.array([3.0]), np.array([0.5]))[0] < 2.7)
    True
    """
    g = np.clip(skewness, -2.0, 2.0)
    small = np.abs(g) < 1e-6
    safe = np.where(small, 1.0, g)
    root = np.cbrt(np.maximum(safe * standard / 2 + 1, 0.0))
    scores = 6 / safe * (root - 1) + safe / 6
    return np.clip(np.where(small, standard, scores), -_FURTHEST, _FURTHEST)


def share_scores(hits: Counts, n: Counts, pooled: Counts, total: Counts, draws: Floats) -> Floats:
    """Normal scores of counts of batch rows in a cell, exact for every size of cell.

    Parameters
    ----------
    hits, n
        Batch rows in the cell, and in all; shape (cells,).
    pooled, total
        The same of batch and pool together.
    draws
        Uniform random numbers, which part ties; shape (cells,).

    Notes
    -----
    The score is the normal quantile of P(X < x) + u P(X = x), X hypergeometric. If the batch is a
    random draw that is exactly standard normal, and independent of what came before (Vovk,
    Nouretdinov & Gammerman, arXiv:2006.02329). Cells that are empty, or full, have score 0.

    Examples
    --------
    >>> one = np.array([1])
    >>> share_scores(5 * one, 50 * one, 100 * one, 1000 * one, np.array([0.5])).round(2).tolist()
    [0.05]
    """
    known = (pooled > 0) & (pooled < total) & (n > 0) & (n < total)
    scores = np.zeros(hits.size)
    if not known.any():
        return scores
    below, equal = _hypergeometric(hits[known], n[known], pooled[known], total[known])
    above = np.maximum(0.0, 1.0 - below - equal)
    # Each tail by itself: near 1 a distribution function has no digits left.
    lower, upper = below + draws[known] * equal, above + (1.0 - draws[known]) * equal
    half = np.where(lower <= upper, ndtri(np.maximum(lower, 1e-300)), 0.0)
    other = np.where(lower <= upper, 0.0, -ndtri(np.maximum(upper, 1e-300)))
    scores[known] = half + other
    return scores


def _hypergeometric(
    hits: Counts, n: Counts, pooled: Counts, total: Counts
) -> tuple[Floats, Floats]:
    """P(X < hits) and P(X = hits), from the chances within a wide band around the mean."""
    x, size, marked, rows = (each.astype(np.float64) for each in (hits, n, pooled, total))
    mean = size * marked / rows
    spread = np.sqrt(mean * (1 - marked / rows) * (rows - size) / np.maximum(rows - 1, 1))
    low = np.maximum(np.maximum(0.0, size + marked - rows), np.floor(mean - _REACH * spread - 30))
    high = np.minimum(np.minimum(size, marked), np.ceil(mean + _REACH * spread + 30))
    steps = np.arange(int((high - low).max()) + 1)
    every = low[:, None] + steps
    held = every <= high[:, None]
    counts: Floats = np.minimum(every, high[:, None])
    logs = log_chances(counts, size[:, None], marked[:, None], rows[:, None])
    chances = np.where(held, np.exp(logs), 0.0)
    chances /= chances.sum(axis=1, keepdims=True)
    below = np.where(counts < x[:, None], chances, 0.0).sum(axis=1)
    equal = np.where((counts == x[:, None]) & held, chances, 0.0).sum(axis=1)
    return below, equal


def log_chances(hits: Floats, n: Floats, marked: Floats, total: Floats) -> Floats:
    """Logarithm of the hypergeometric chance of that many marked rows among n drawn of total."""
    logs: Floats = (
        _log_choose(marked, hits) + _log_choose(total - marked, n - hits) - _log_choose(total, n)
    )
    return logs


def tail_bounds(hits: Counts, n: Counts, pooled: Counts, total: Counts) -> Floats:
    """Two-sided p-values of hypergeometric counts: rigorous, and sharp where they are small.

    Notes
    -----
    Beyond the mean the chances fall at least as fast as their first ratio r, so the tail is at most
    P(X = x) / (1 - r); twice the smaller tail is the p-value. 1 where nothing can be said.

    Examples
    --------
    >>> one = np.array([1])
    >>> round(float(tail_bounds(20 * one, 50 * one, 100 * one, 1000 * one)[0]), 9)
    1.3e-08
    """
    x, size, marked, rows = (each.astype(np.float64) for each in (hits, n, pooled, total))
    logs = log_chances(x, size, marked, rows)
    rest = rows - size - marked
    up = (size - x) * (marked - x) / np.maximum((x + 1) * (rest + x + 1), 1e-300)
    down = x * (rest + x) / np.maximum((size - x + 1) * (marked - x + 1), 1e-300)
    ratio = np.where(x * rows >= size * marked, up, down)
    log_p = np.log(2.0) + logs - np.log(np.maximum(1 - ratio, 1e-12))
    # Clipped before the exponential: near the mean the bound exceeds 1 by far.
    bound = np.exp(np.clip(log_p, -690.0, 0.0))
    return np.where((n > 0) & (n < total), bound, 1.0)


def _log_choose(total: Floats, part: Floats) -> Floats:
    logs: Floats = np.asarray(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1))
    return logs
