"""Difference of null rates, per column: Fisher's exact test, in logarithms.

In:    rows and nulls of a reference column; a current column.
Out:   both rates, the exact two-sided p-value, the difference with its interval.
Never: looks at a value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared
from shiftwatch.values import Kind

Floats = NDArray[np.float64]

_P_FLOOR = 1e-300
_TIE_GUARD = 1e-7
_NORMAL_975 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Nulls:
    """Exact test of the 2x2 table of nulls and values of one column.

    Statistic: rate of the batch minus rate of the reference. P-value: given the number of nulls in
    both, the batch's is hypergeometric; added up are the probabilities at most as large as that of
    the data (Fisher's exact test, two-sided), in logarithms, so that it is never 0.

    Effect: the difference without its sign. Its 95 % interval is Newcombe's hybrid score interval
    of the signed difference (1998, method 10), folded: if that contains 0, so does this.

    Examples
    --------
    >>> from shiftwatch.sample import numeric
    >>> rng = np.random.default_rng(0)
    >>> prepared = Nulls().prepare(numeric("x", [math.nan] * 2 + [1.0] * 98), rng)
    >>> outcome = Nulls().run(prepared, numeric("x", [math.nan] * 9 + [1.0] * 41), rng)
    >>> round(outcome.p_value, 6), round(outcome.effect, 2)
    (0.000905, 0.16)
    """

    name: ClassVar[str] = "nulls"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"numeric", "categorical"})

    def prepare(self, reference: Column, rng: np.random.Generator) -> Prepared:
        """Keep two numbers, ``rows`` and ``nulls``, as facts."""
        del rng  # counting is not random
        return Prepared(facts={"rows": reference.rows, "nulls": reference.nulls})

    def run(
        self, prepared: Prepared, current: Column, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare all rows; or name ``too_few_rows``, ``no_nulls`` or ``constant``."""
        del rng  # nothing here is random
        m, nulls_reference = int(prepared.facts["rows"]), int(prepared.facts["nulls"])
        n, nulls_current = current.rows, current.nulls
        if min(m, n) < MIN_ROWS:
            return NotTested("too_few_rows", f"{m} reference, {n} current")
        if nulls_reference + nulls_current == 0:
            return NotTested("no_nulls")
        if nulls_reference + nulls_current == m + n:
            return NotTested("constant", "every value is null on both sides")
        before, now = nulls_reference / m, nulls_current / n
        low, high = _folded(_newcombe(nulls_reference, m, nulls_current, n))
        return Outcome(
            statistic=now - before,
            p_value=_fisher(nulls_reference, m, nulls_current, n),
            effect=abs(now - before),
            effect_low=low,
            effect_high=high,
            rows_reference=m,
            rows_current=n,
            explanation={"rate_reference": before, "rate_current": now},
        )


def _fisher(nulls_reference: int, m: int, nulls_current: int, n: int) -> float:
    """Two-sided p-value, to 1e-10 relative; probabilities within 1e-7 count as equal."""
    nulls = nulls_reference + nulls_current
    first, last = max(0, nulls - m), min(nulls, n)
    counts = np.arange(first, last, dtype=np.float64)
    # From one count to the next the probability changes by a ratio of small whole numbers: far
    # more accurate than differences of log-factorials, and the sum of all is the normalisation.
    steps = np.log((nulls - counts) * (n - counts)) - np.log(
        (counts + 1) * (m - nulls + counts + 1)
    )
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    logs -= logs[nulls_current - first]
    log_p = _log_sum(logs[logs <= _TIE_GUARD]) - _log_sum(logs)
    return min(1.0, math.exp(max(log_p, math.log(_P_FLOOR))))


def _log_sum(logs: Floats) -> float:
    peak = float(logs.max())
    return peak + math.log(float(np.exp(logs - peak).sum()))


def _newcombe(nulls_reference: int, m: int, nulls_current: int, n: int) -> tuple[float, float]:
    before, now = nulls_reference / m, nulls_current / n
    before_low, before_high = _wilson(before, m)
    now_low, now_high = _wilson(now, n)
    difference = now - before
    return (
        difference - math.hypot(now - now_low, before_high - before),
        difference + math.hypot(now_high - now, before - before_low),
    )


def _wilson(rate: float, rows: int) -> tuple[float, float]:
    square = _NORMAL_975**2
    centre = rate + square / (2 * rows)
    reach = _NORMAL_975 * math.sqrt(rate * (1 - rate) / rows + square / (4 * rows * rows))
    shrink = 1 + square / rows
    return max(0.0, (centre - reach) / shrink), min(1.0, (centre + reach) / shrink)


def _folded(interval: tuple[float, float]) -> tuple[float, float]:
    """The interval of the absolute value: from 0 if the signed one holds 0."""
    ends = sorted(abs(end) for end in interval)
    low = 0.0 if interval[0] <= 0 <= interval[1] else ends[0]
    return low, min(1.0, ends[1])
