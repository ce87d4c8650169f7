"""How many distinct values a batch has, per categorical column of many.

In:    categories of the reference with counts; a current categorical column.
Out:   the number of distinct values, a p-value that no vocabulary can break, both shares.
Never: draws a random number; says which value is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from shiftwatch.sample import Column
from shiftwatch.twosample import contingency
from shiftwatch.twosample.protocol import NotTested, Outcome, Prepared
from shiftwatch.values import Kind

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

MIN_CATEGORIES = 100
"""Pooled distinct values from which their number is tested: with few, every batch has them all."""

_P_FLOOR = 1e-300
_ERROR = 0.05
_STEEPEST = 64.0
_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class Distinct:
    """Test of the number of distinct values: repeated ids, a stuck source, an end of repeats.

    Statistic: D, the distinct values among the n present rows of the batch. What is judged is the
    number of repeats R = n - D = sum_k f(b_k), f(b) = max(b - 1, 0), with b_k rows of value k.

    P-value: a bound, so it is conservative, and rigorous for every vocabulary. Given the pooled
    counts T_k and no shift the batch is a random draw, so b_k is hypergeometric and the b_k are
    negatively associated (Joag-Dev and Proschan 1983, theorem 2.11); so are the f(b_k), all being
    increasing. Hence E exp(theta R) <= prod_k E exp(theta f(b_k)) for theta of either sign, and
    by Markov's inequality P(R >= r) <= exp(-theta r) times that product for theta > 0, P(R <= r)
    likewise for theta < 0. Reported is twice the smaller of both, each least over theta. Repeats
    are counted, not distinct values, because a value of one row then adds nothing: where most
    values occur once the bound is that of a Poisson number of repeats, while a bound of D would
    treat every single row as a coin. Where values have many rows it is very conservative;
    :mod:`shiftwatch.twosample.chisquare` looks at those. 1 where both sides have the same share of
    distinct values: a batch that is the reference itself is no random draw from both together, as
    every value falls on both sides, but nothing about its repeats has changed.

    Effect: the difference of the shares of distinct values among s rows, s the smaller of both
    sizes, each the mean over all subsets of s rows (rarefaction, Hurlbert 1971), without its sign.
    Its 95 % interval is effect -+ sqrt(ln(4/.05)/2) (1/sqrt(k s) + 1/sqrt(l s)), k and l being how
    often s fits into either side: one row changes a share of s rows by 1/s at most, so McDiarmid's
    inequality holds for k blocks of s rows, and for the mean over all subsets (Hoeffding 1963,
    section 5).

    Examples
    --------
    >>> from shiftwatch.sample import categorical
    >>> rng = np.random.default_rng(0)
    >>> prepared = Distinct().prepare(categorical("id", [f"a{i}" for i in range(400)]), rng)
    >>> outcome = Distinct().run(prepared, categorical("id", [f"b{i // 2}" for i in range(100)]), rng)
    >>> outcome.statistic, outcome.effect, outcome.explanation["direction"], outcome.p_value < 1e-30
    (50.0, 0.5, 'more repeats', True)
    """

    name: ClassVar[str] = "distinct"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"categorical"})

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        """Keep a hash of each category, ascending, and its count: 16 bytes a category."""
        del rng  # counting is not random
        return contingency.hashed(contingency.tally(reference))

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; or name ``all_null``, ``too_few_rows`` or ``few_categories``."""
        del rng  # nothing here is random
        counted = contingency.tally(current)
        m, n = int(prepared.facts["rows"]), counted.rows
        unfit = contingency.unfit(m, n)
        if unfit is not None:
            return unfit
        pooled, _ = contingency.pool(prepared, counted)
        if pooled.size < MIN_CATEGORIES:  # a property of the pooled sample, which favours nobody
            return NotTested("few_categories", f"{pooled.size}")
        repeats = n - counted.counts.size
        before, now = _shares(np.asarray(prepared.arrays["counts"]), counted.counts)
        effect, reach = abs(now - before), _reach(m, n)
        return Outcome(
            statistic=float(counted.counts.size),
            p_value=_p_value(pooled, n, repeats) if effect > 0 else 1.0,
            effect=effect,
            effect_low=max(0.0, effect - reach),
            effect_high=min(1.0, effect + reach),
            rows_reference=m,
            rows_current=n,
            explanation=_explain(before, now),
        )


def _explain(before: float, now: float) -> Mapping[str, Any]:
    direction = None if before == now else "more repeats" if now < before else "fewer repeats"
    return {"share_reference": before, "share_current": now, "direction": direction}


def _shares(reference: Counts, current: Counts) -> tuple[float, float]:
    """Expected share of distinct values among as many rows as the smaller side has."""
    rows = int(min(reference.sum(), current.sum()))
    return _rarefied(reference, rows), _rarefied(current, rows)


def _rarefied(counts: Counts, rows: int) -> float:
    """Mean share of distinct values over all subsets of ``rows`` rows."""
    total = int(counts.sum())
    sizes, times = np.unique(counts, return_counts=True)
    left = _log_choose(total - sizes, rows) - _log_choose(np.array([total]), rows)
    share = float(times @ -np.expm1(left)) / rows
    return min(1.0, share)


def _reach(m: int, n: int) -> float:
    rows = min(m, n)
    width = math.sqrt(math.log(4 / _ERROR) / 2)
    return width * (1 / math.sqrt(m // rows * rows) + 1 / math.sqrt(n // rows * rows))


def _p_value(pooled: Counts, n: int, repeats: int) -> float:
    law = _Repeats.of(pooled, n)
    log_p = min(law.log_bound(repeats, sign) for sign in (1.0, -1.0)) + math.log(2)
    return min(1.0, math.exp(max(log_p, math.log(_P_FLOOR))))


@dataclass(frozen=True, slots=True, eq=False)
class _Repeats:
    """Law of f(b) for each distinct pooled count, one after the other: repeats and log-chances."""

    times: Counts
    starts: Counts
    repeats: Floats
    log_chances: Floats

    @classmethod
    def of(cls, pooled: Counts, n: int) -> _Repeats:
        """Of the batch's ``n`` rows; values of one row have no repeats and are left out."""
        total = int(pooled.sum())
        sizes, times = np.unique(pooled[pooled > 1], return_counts=True)
        least, most = np.maximum(0, n - total + sizes), np.minimum(sizes, n)
        lengths = most - least + 1
        starts = np.cumsum(lengths) - lengths
        counts = np.arange(int(lengths.sum())) - np.repeat(starts - least, lengths)
        rows = np.repeat(sizes, lengths)
        logs = _log_choose(rows, counts) + _log_choose(total - rows, n - counts)
        logs -= _log_choose(np.array([total]), n)
        return cls(times, starts, np.maximum(0, counts - 1).astype(np.float64), logs)

    def log_bound(self, repeats: int, sign: float) -> float:
        """Least over theta of the log of the bound on P(R >= repeats), or <= with sign -1.

        Convex in theta, with slope E_theta R - repeats, so the minimum is found by halving. Every
        theta is valid, so an inexact minimum is valid too.
        """
        low, high = 0.0, _STEEPEST
        for _ in range(_HALVINGS if self.starts.size else 0):
            theta = (low + high) / 2
            slope = sign * (self._tilted(sign * theta)[1] - repeats)
            low, high = (theta, high) if slope < 0 else (low, theta)
        return self._tilted(sign * low)[0] - sign * low * repeats

    def _tilted(self, theta: float) -> tuple[float, float]:
        """Log of E exp(theta R) of independent f(b_k), and the mean of R under that tilt."""
        if not self.starts.size:
            return 0.0, 0.0
        logs = self.log_chances + theta * self.repeats
        peaks = np.maximum.reduceat(logs, self.starts)
        weights = np.exp(logs - np.repeat(peaks, np.diff(self.starts, append=logs.size)))
        sums = np.add.reduceat(weights, self.starts)
        means = np.add.reduceat(weights * self.repeats, self.starts) / sums
        return float(self.times @ (peaks + np.log(sums))), float(self.times @ means)


def _log_choose(total: Counts, part: Counts | int) -> Floats:
    """Log of the number of subsets; -inf where there is none."""
    left = total - np.asarray(part)
    logs = gammaln(total + 1.0) - gammaln(np.asarray(part) + 1.0) - gammaln(left + 1.0)
    return np.where(left < 0, -np.inf, logs)
