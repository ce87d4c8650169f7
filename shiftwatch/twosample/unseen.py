"""Rows in categories the reference has never had, per categorical column.

In:    categories of the reference with counts; a current categorical column.
Out:   how many rows are new, a p-value that no vocabulary can break, the new categories.
Never: draws a random number; says that one new category is a shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, expit

from shiftwatch.sample import Column
from shiftwatch.twosample import contingency
from shiftwatch.twosample.protocol import NotTested, Outcome, Prepared
from shiftwatch.values import Kind

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_P_FLOOR = 1e-300
_SHOWN = 10
_STEEPEST = 64.0
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Unseen:
    """Test of the number U of batch rows whose category the reference lacks.

    P-value: a bound, so it is conservative, and rigorous for every vocabulary. Let category k have
    T_k pooled rows. If nothing has shifted, given the T_k the batch is a random draw of n of the N
    rows, and k is unseen in the reference if all of its rows are in the batch, which has
    probability p_k = C(N - T_k, n - T_k) / C(N, n). U is the sum of T_k over those categories. The
    labels of a random draw are negatively associated (Joag-Dev and Proschan 1983, theorem 2.11),
    and so are the indicators, being increasing functions of disjoint sets of labels. Hence
    E exp(theta U) <= prod_k (1 + p_k (exp(theta T_k) - 1)) for theta > 0, and by Markov's
    inequality P(U >= u) <= exp(-theta u) times that product, least over theta.

    Where U = 0 the test is skipped, which can only make it more conservative: the bound is 1.

    Effect: U/n with the 95 % interval of Clopper and Pearson (1934).

    Examples
    --------
    >>> from shiftwatch.sample import categorical
    >>> rng = np.random.default_rng(0)
    >>> prepared = Unseen().prepare(categorical("plan", ["a", "b"] * 100), rng)
    >>> outcome = Unseen().run(prepared, categorical("plan", ["a"] * 47 + ["c"] * 3), rng)
    >>> outcome.statistic, round(outcome.p_value, 5), outcome.explanation["categories"]
    (3.0, 0.00762, [{'category': 'c', 'count': 3}])
    """

    name: ClassVar[str] = "unseen"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"categorical"})

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        """Keep a hash of each category, ascending, and its count: 16 bytes a category.

        The hash has 64 bits. A collision would make a new category look known, which is
        conservative, and takes billions of categories to be likely.
        """
        del rng  # counting is not random
        return contingency.hashed(contingency.tally(reference))

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; or name ``all_null``, ``too_few_rows`` or ``all_categories_known``."""
        del rng  # nothing here is random
        counted = contingency.tally(current)
        m, n = int(prepared.facts["rows"]), counted.rows
        unfit = contingency.unfit(m, n)
        if unfit is not None:
            return unfit
        pooled, known = contingency.pool(prepared, counted)
        new = np.flatnonzero(~known)
        if new.size == 0:
            return NotTested("all_categories_known")
        once = int(np.count_nonzero(np.asarray(prepared.arrays["counts"]) == 1))
        rows = int(counted.counts[new].sum())
        low, high = _clopper_pearson(rows, n)
        return Outcome(
            statistic=float(rows),
            p_value=_chernoff(pooled, n, rows),
            effect=rows / n,
            effect_low=low,
            effect_high=high,
            rows_reference=m,
            rows_current=n,
            explanation=_explain(counted, new, n * once / m),
        )


def _chernoff(pooled: Counts, n: int, rows: int) -> float:
    """Least over theta of the bound on P(U >= rows), in (0, 1].

    The logarithm is convex in theta; its slope is E_theta U - rows under the tilted law, so the
    minimum is found by halving. Any theta is a valid bound, so an inexact minimum is valid too.
    """
    sizes, times = np.unique(pooled[pooled <= n], return_counts=True)
    ladder = np.arange(int(sizes[-1]))
    log_p = np.cumsum(np.log((n - ladder) / (int(pooled.sum()) - ladder)))[sizes - 1]
    log_rest = np.log1p(-np.exp(log_p))
    low, high = 0.0, _STEEPEST
    for _ in range(_HALVINGS):
        theta = (low + high) / 2
        tilted = float((times * sizes) @ expit(log_p - log_rest + theta * sizes))
        low, high = (theta, high) if tilted < rows else (low, theta)
    log_bound = float(times @ np.logaddexp(log_rest, log_p + low * sizes)) - low * rows
    return min(1.0, math.exp(max(log_bound, math.log(_P_FLOOR))))


def _clopper_pearson(hits: int, rows: int) -> tuple[float, float]:
    low = float(betaincinv(hits, rows - hits + 1, 0.025))
    high = 1.0 if hits == rows else float(betaincinv(hits + 1, rows - hits, 0.975))
    return low, high


def _explain(counted: contingency.Tally, new: Counts, expected: float) -> dict[str, Any]:
    shown = [
        {"category": counted.categories[place], "count": int(counted.counts[place])}
        for place in new[:_SHOWN].tolist()
    ]
    return {"categories": shown, "count_new": int(new.size), "good_turing_expected": expected}
