"""Which charts there are, and what part of the budget each may spend.

In:    the layout and the reference's summary; by column, whether its nulls can be watched.
Out:   ChartPlan: charts in a fixed order, their columns, shares and scores.
Never: depends on a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory import scores
from shiftwatch.summary import Layout, Summary

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GROUPS = 8
"""Charts of a categorical column at most; more cells share them, by their place."""

_SPREAD_WEIGHT = 0.2
"""A spread seldom moves alone: its charts may spend a fifth of what the others may."""


@dataclass(frozen=True, slots=True, eq=False)
class ChartPlan:
    """The charts of one model: level and spread of numbers, shares of cells, rates of nulls.

    Parameters
    ----------
    layout
        Columns and cells.
    columns
        Shape (charts,): the chart's column, an index into ``layout.columns``.
    shares
        Shape (charts,): parts of the budget, adding up to 1.
    groups
        Shape (categorical columns,): charts of each, 0 where it has one cell only.
    nulls
        Columns whose rate of nulls is watched, indices into ``layout.columns``.
    """

    layout: Layout
    columns: Integers
    shares: Floats
    groups: Integers
    nulls: Integers

    @classmethod
    def of(cls, layout: Layout, reference: Summary) -> ChartPlan:
        """Charts for every column; of nulls only where the reference has some and values too."""
        width = len(layout.numeric)
        used = np.count_nonzero(reference.cells, axis=1)
        # The share of the last of two cells is what the first one leaves.
        groups = np.where(used > 2, np.minimum(used, GROUPS), np.where(used == 2, 1, 0))
        nulls = np.flatnonzero((reference.nulls > 0).all(axis=1))
        numbers = np.arange(width)
        cells = np.repeat(np.arange(groups.size) + width, groups)
        columns = np.concatenate([numbers, numbers, cells, nulls])
        weights = np.ones(columns.size)
        weights[width : 2 * width] = _SPREAD_WEIGHT
        return cls(layout, columns, weights / max(1.0, weights.sum()), groups, nulls)

    @property
    def charts(self) -> int:
        """How many there are."""
        return int(self.columns.size)

    @property
    def width(self) -> int:
        """Numeric columns."""
        return len(self.layout.numeric)

    @property
    def of_nulls(self) -> NDArray[np.bool_]:
        """Which charts are of nulls, shape (charts,)."""
        return np.arange(self.charts) >= self.charts - self.nulls.size

    def scores(self, batch: Summary, pool: Summary, draws: Floats) -> Floats:
        """Standard normal scores of all charts if the batch is a random draw, shape (charts,).

        Parameters
        ----------
        batch, pool
            Counts over the same cells; the pool does not contain the batch.
        draws
            Uniform random numbers, shape (charts,).
        """
        ranks = scores.rank_scores(batch.numeric, pool.numeric)
        hits, n = self._marked(batch)
        pooled, total = self._marked(batch + pool)
        shares = scores.share_scores(hits, n, pooled, total, draws[2 * self.width :])
        return np.concatenate([ranks.level, ranks.spread, shares])

    def _marked(self, summary: Summary) -> tuple[Counts, Counts]:
        """Rows in each group of cells and null rows, and the rows they are of."""
        grouped = np.stack([summary.cells[:, g::GROUPS].sum(axis=1) for g in range(GROUPS)], axis=1)
        wanted = np.arange(GROUPS) < self.groups[:, None]
        hits = np.concatenate([grouped[wanted], summary.nulls[self.nulls, 0]])
        rows = np.repeat(summary.cells.sum(axis=1), self.groups)
        return hits, np.concatenate([rows, summary.nulls[self.nulls].sum(axis=1)])
