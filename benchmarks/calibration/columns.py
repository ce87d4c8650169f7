"""Evidence within one column: levels, power, and what the intervals hold.

In:    a run number, which is the seed.
Out:   CASES.
Never: judges a column by another path than the tests themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.harness import Case, Figures, Summaries
from shiftwatch.sample import Column, numeric
from shiftwatch.twosample.chisquare import ChiSquare
from shiftwatch.twosample.distinct import Distinct
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import ColumnTest, Outcome
from shiftwatch.twosample.quantiles import LEVELS

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

ALPHAS = (0.05, 0.01, 0.001)


def _zipf(size: int) -> Floats:
    weights = 1 / np.arange(1, size + 1) ** 1.2
    return np.asarray(weights / weights.sum())


def _column(counts: Counts) -> Column:
    """A categorical column with these counts by category; the order of rows plays no part."""
    codes = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
    names = tuple(f"c{code}" for code in range(counts.size))
    return Column("x", "categorical", "input", "string", codes, codes >= 0, names)


def _outcome(test: ColumnTest, reference: Column, current: Column, seed: int) -> Outcome | None:
    rng = np.random.default_rng([7, seed])
    found = test.run(test.prepare(reference, rng), current, rng)
    return found if isinstance(found, Outcome) else None


def _p_value(test: ColumnTest, reference: Column, current: Column, seed: int) -> float:
    """The p-value; 1 of a test that is not run, as it raises no alarm."""
    found = _outcome(test, reference, current, seed)
    return 1.0 if found is None else found.p_value


def sparse_categories(run: int) -> Figures:
    """Chi-square of 200 Zipf(1.2) categories, m=5000, n=100, no shift."""
    rng = np.random.default_rng([1, run])
    before, now = rng.multinomial(5000, _zipf(200)), rng.multinomial(100, _zipf(200))
    found = _p_value(ChiSquare(), _column(before), _column(now), run)
    return {f"false alarms at {alpha}": found <= alpha for alpha in ALPHAS}


def _sparse_kept(found: Summaries) -> bool:
    bounds = zip(ALPHAS, (0.055, 0.012, 0.0015), strict=True)
    return all(found[f"false alarms at {alpha}"].mean <= bound for alpha, bound in bounds)


KS_LEVELS = (2, 3, 5, 10, 20, 50)


def few_levels(run: int) -> Figures:
    """KS at .05 of 2 to 50 equally likely values, m=2000, n=300, no shift."""
    rng = np.random.default_rng([2, run])
    figures: dict[str, float] = {}
    for levels in KS_LEVELS:
        before = numeric("x", rng.integers(levels, size=2000).astype(np.float64))
        now = numeric("x", rng.integers(levels, size=300).astype(np.float64))
        figures[f"{levels} levels"] = _p_value(Ks(), before, now, run) <= 0.05
    return figures


def _levels_kept(found: Summaries) -> bool:
    return all(0.045 <= summary.mean <= 0.055 for summary in found.values())


def one_category(run: int) -> Figures:
    """Chi-square at .001 of 50 equal categories, one of which triples; n=500, m=5000."""
    rng = np.random.default_rng([3, run])
    equal = np.full(50, 1 / 50)
    tripled = np.append(equal[:49], 3 / 50)
    before = _column(rng.multinomial(5000, equal))
    now = _column(rng.multinomial(500, tripled / tripled.sum()))
    found = _outcome(ChiSquare(), before, now, run)
    assert found is not None
    alone = float(found.explanation["p_value_all_cells"])
    return {"found": found.p_value <= 0.001, "found by X2 alone": alone <= 0.001}


def _one_category_kept(found: Summaries) -> bool:
    return found["found"].mean >= 1.5 * found["found by X2 alone"].mean


def distinct_values(run: int) -> Figures:
    """Distinct values of 2000 keys, m=5000, n=500: no shift, and of ids of which 3 % come twice."""
    rng = np.random.default_rng([4, run])
    before, now = rng.integers(2000, size=5000), rng.integers(2000, size=500)
    keys = [_column(np.bincount(side, minlength=2000)) for side in (before, now)]
    own, again = np.ones(5000, np.int64), int(rng.binomial(500, 0.03))
    sent = np.repeat([0, 2, 1], [5000, again, 500 - 2 * again])
    same = _p_value(Distinct(), keys[0], keys[1], run)
    twice = _p_value(Distinct(), _column(own), _column(sent), run)
    return {
        **{f"false alarms at {alpha}": same <= alpha for alpha in ALPHAS},
        "repeated ids found at 0.001": twice <= 0.001,
    }


def _distinct_kept(found: Summaries) -> bool:
    level = all(found[f"false alarms at {alpha}"].mean <= alpha for alpha in ALPHAS)
    return level and found["repeated ids found at 0.001"].mean >= 0.95


_SHIFT, _WIDER, _IQR = 0.2, 1.2, 1.3489795003921634
_NORMAL = {0.01: -2.326348, 0.05: -1.644854, 0.25: -0.67449, 0.5: 0.0}


def _normal_quantile(level: float) -> float:
    return _NORMAL[level] if level <= 0.5 else -_NORMAL[round(1 - level, 2)]


def _ks_truth() -> tuple[float, Mapping[float, float]]:
    """Wasserstein distance over the range, and shifts of quantiles, of N(0.2, 1.2^2) and N(0, 1)."""
    grid = np.linspace(-8, 8, 400_001)
    density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    distance = float(np.sum(np.abs((_WIDER - 1) * grid + _SHIFT) * density) * (grid[1] - grid[0]))
    shifts = {level: _SHIFT + (_WIDER - 1) * _normal_quantile(level) for level in LEVELS}
    return distance / _IQR, shifts


_DISTANCE, _SHIFTS = _ks_truth()


def intervals(run: int) -> Figures:
    """Whether the 95 % intervals of the effects hold the truth, m=5000, n=300."""
    rng = np.random.default_rng([5, run])
    before, now = rng.normal(size=5000), rng.normal(_SHIFT, _WIDER, 300)
    prepared = Ks().prepare(numeric("x", before), rng)
    found = Ks().explain(prepared, numeric("x", now))
    figures: dict[str, float] = {
        "Wasserstein": found["wasserstein_low"] <= _DISTANCE <= found["wasserstein_high"]
    }
    ends = zip(
        LEVELS, found["quantile_shifts"]["low"], found["quantile_shifts"]["high"], strict=True
    )
    for level, low, high in ends:
        inside = (low is None or low <= _SHIFTS[level]) and (high is None or _SHIFTS[level] <= high)
        figures[f"quantile {level}"] = inside
    for name, law in {
        "even": np.array([0.5, 0.5]),
        "rare": np.array([0.99, 0.01]),
        "200": _zipf(200),
    }.items():
        other = 0.8 * law + 0.2 * law[::-1]
        true = float(np.abs(law - other).sum()) / 2
        sides = _column(rng.multinomial(5000, law)), _column(rng.multinomial(300, other))
        held = _outcome(ChiSquare(max_draws=999), *sides, run)
        assert held is not None
        assert held.effect_low is not None
        assert held.effect_high is not None
        slack = 1e-12
        figures[f"total variation, {name}"] = (
            held.effect_low - slack <= true <= held.effect_high + slack
        )
    return figures


def _intervals_kept(found: Summaries) -> bool:
    return all(summary.mean >= 0.95 for summary in found.values())


CASES: tuple[Case, ...] = (
    Case(
        "200 Zipf categories, n=100 (chi2)",
        ".216/.152/.088",
        "<= .055/.012/.0015 at .05/.01/.001",
        sparse_categories,
        _sparse_kept,
        20_000,
        1000,
    ),
    Case(
        "KS with 2 to 50 levels at .05",
        ".008 to .029",
        ".045 to .055",
        few_levels,
        _levels_kept,
        40_000,
        0,
    ),
    Case(
        "One of 50 categories triples, n=500, at .001 (chi2)",
        "X2 alone, beside it",
        "1.5 times as often",
        one_category,
        _one_category_kept,
        2000,
        400,
    ),
    Case(
        "Number of distinct values",
        "none has it",
        "<= .05/.01/.001; 3 % repeated ids found in 95 %",
        distinct_values,
        _distinct_kept,
        2000,
        300,
    ),
    Case(
        "Intervals of the effects hold the truth",
        "none has one",
        ">= .95 each",
        intervals,
        _intervals_kept,
        4000,
        400,
    ),
)
