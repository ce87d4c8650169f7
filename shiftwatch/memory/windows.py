"""The last 2, 4, 8 ... 256 batches together against the fixed reference.

In:    summaries of batches, in order; the reference's own summary.
Out:   which windows are full now, and a p-value by column for each.
Never: adds evidence up over checks; lets the pool grow into the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov, ndtr, ndtri

from shiftwatch.memory import scores
from shiftwatch.summary import Summary

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

LENGTHS = (2, 4, 8, 16, 32, 64, 128, 256)
"""Batches in a window. One batch is the single check, with its own tests on the rows."""

_MEAN, _SPREAD, _SHAPE = 0.7, 0.15, 0.15
"""How the level of a numeric column is divided among its three statistics."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Batches since the window was last full.

    ``firsts`` is the number of its first batch, ``spent`` the level its checks have set aside.
    """

    counts: Summary
    first: int
    held: int
    spent: float


def added(window: Window, summary: Summary, number: int, level: float) -> Window:
    """The window with one more batch."""
    first = window.first if window.held else number
    return Window(window.counts + summary, first, window.held + 1, window.spent + level)


def emptied(window: Window) -> Window:
    """The window after it was judged."""
    return replace(window, counts=window.counts - window.counts, held=0, spent=0.0)


def p_values(window: Summary, reference: Summary, kappas: tuple[Floats, Floats]) -> Floats:
    """One p-value a column, then one a column for its rate of nulls; shape (2 * columns,).

    Parameters
    ----------
    window, reference
        Counts over the same cells.
    kappas
        Inflation of the variance by dependence, for values and for nulls; shape (columns,) each.

    Notes
    -----
    Numeric: the smallest of the mean rank's, the spread's and the Kolmogorov-Smirnov distance's,
    each over its part of the level (:data:`_MEAN` ...). The distance is looked at between bins
    only, which makes it smaller and the p-value of the limit law larger. Categorical and nulls:
    the smallest over cells times their number, by the hypergeometric law (Bonferroni). All valid
    whatever the dependence between columns.
    """
    width = reference.numeric.shape[0]
    numeric = _numeric(window.numeric, reference.numeric, kappas[0][:width])
    categorical = _cells(window.cells, reference.cells, kappas[0][width:])
    nulls = _cells(window.nulls, reference.nulls, kappas[1])
    return np.concatenate([numeric, categorical, nulls])


def _numeric(window: Counts, reference: Counts, kappas: Floats) -> Floats:
    ranks = scores.rank_scores(window, reference)
    root = np.sqrt(kappas)
    level = 2 * ndtr(-np.abs(ranks.level) / root) / _MEAN
    spread = 2 * ndtr(-np.abs(ranks.spread) / root) / _SPREAD
    shape = kolmogorov(distances(window, reference)[1] / root) / _SHAPE
    smallest = np.minimum(np.minimum(level, spread), shape)
    known = (window.sum(axis=1) > 0) & (reference.sum(axis=1) > 0)
    return np.where(known, np.clip(smallest, 1e-300, 1.0), 1.0)


def distances(window: Counts, reference: Counts) -> tuple[Floats, Floats]:
    """Kolmogorov-Smirnov distance between bins, and the same times sqrt(mn/(m+n)) by Stephens.

    Examples
    --------
    >>> d, z = distances(np.array([[0, 50]]), np.array([[50, 50]]))
    >>> d.tolist(), z.round(2).tolist()
    ([0.5], [2.96])
    """
    n, m = window.sum(axis=1), reference.sum(axis=1)
    apart = (
        np.cumsum(window, axis=1) / np.maximum(n, 1)[:, None]
        - np.cumsum(reference, axis=1) / np.maximum(m, 1)[:, None]
    )
    distance = np.abs(apart).max(axis=1, initial=0.0)
    size = np.sqrt(n * m / np.maximum(n + m, 1))
    return distance, distance * (size + 0.12 + 0.11 / np.maximum(size, 0.1))


def variation(current: Counts, reference: Counts) -> Floats:
    """Total variation between the shares of cells, by row.

    Examples
    --------
    >>> variation(np.array([[10, 30]]), np.array([[50, 50]])).tolist()
    [0.25]
    """
    n, m = (np.maximum(counts.sum(axis=1), 1)[:, None] for counts in (current, reference))
    distance: Floats = np.abs(current / n - reference / m).sum(axis=1) / 2
    return distance


def _cells(window: Counts, reference: Counts, kappas: Floats) -> Floats:
    pooled = window + reference
    n, total = (np.broadcast_to(c.sum(axis=1)[:, None], c.shape) for c in (window, pooled))
    used = (pooled > 0) & (pooled < total)
    tails = scores.tail_bounds(window, n, pooled, total)
    if np.any(kappas > 1):
        tails = 2 * ndtr(ndtri(np.maximum(tails / 2, 1e-300)) / np.sqrt(kappas)[:, None])
    smallest = np.where(used, tails, 1.0).min(axis=1, initial=1.0)
    # Two cells are one question: the second is what the first is not.
    times = np.maximum(np.count_nonzero(used, axis=1) - 1, 1)
    times = np.where(np.count_nonzero(used, axis=1) > 2, times + 1, times)
    corrected: Floats = np.clip(smallest * times, 1e-300, 1.0)
    return corrected
