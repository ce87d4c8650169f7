"""P-values of charts that are exactly uniform: by drawing batches from the pool.

In:    counts of a batch and of the pool; uniform numbers; a generator.
Out:   one p-value a chart, two-sided.
Never: uses a limit law.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory.plan import ChartPlan
from shiftwatch.summary import Summary

Floats = NDArray[np.float64]

DRAWS = 199
"""Batches drawn. The e-values of p = 1/200 are large enough to add up to an alarm in a few."""


def permuted_p_values(
    plan: ChartPlan, batch: Summary, pool: Summary, draws: Floats, rng: np.random.Generator
) -> Floats:
    """Smoothed rank of each chart's score among those of batches drawn from both together.

    Notes
    -----
    Given the pooled counts the batch and the drawn ones are exchangeable, so the rank of its score,
    ties parted by ``draws``, is exactly uniform, and independent over batches, as the pool's order
    does not matter (Vovk, Nouretdinov & Gammerman, arXiv:2006.02329). NaN where nothing can be
    said, which is a property of the pooled counts alone.
    """
    both = batch + pool
    drawn = _drawn(both, batch, rng)
    halves = np.full(plan.charts, 0.5)
    own = np.abs(plan.scores(batch, pool, halves))
    others = np.stack([np.abs(plan.scores(each, both - each, halves)) for each in drawn])
    above = np.count_nonzero(others > own + 1e-9, axis=0)
    ties = np.count_nonzero(np.abs(others - own) <= 1e-9, axis=0)
    p = (above + draws * (ties + 1)) / (DRAWS + 1)
    silent = (own == 0) & (others == 0).all(axis=0)
    return np.where(silent, np.nan, np.maximum(p, 1e-12))


def _drawn(both: Summary, batch: Summary, rng: np.random.Generator) -> list[Summary]:
    numeric = _draws_of(both.numeric, batch.numeric, rng)
    cells = _draws_of(both.cells, batch.cells, rng)
    nulls = _draws_of(both.nulls, batch.nulls, rng)
    return [Summary(*parts) for parts in zip(numeric, cells, nulls, strict=True)]


def _draws_of(
    pooled: NDArray[np.int64], batch: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Shape (draws, columns, cells)."""
    drawn = np.zeros((DRAWS, *pooled.shape), dtype=np.int64)
    for column, (totals, rows) in enumerate(zip(pooled, batch.sum(axis=1).tolist(), strict=True)):
        if rows:
            drawn[:, column] = rng.multivariate_hypergeometric(
                totals, rows, size=DRAWS, method="marginals"
            )
    return drawn
