"""How far the values moved: against scipy, and the intervals against simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.twosample import quantiles
from shiftwatch.twosample.quantiles import LEVELS, Outline

Floats = NDArray[np.float64]

GRID = (np.arange(100_000) + 0.5) / 100_000
LAWS: dict[str, tuple[Any, Any]] = {
    "the same normal": (stats.norm(), stats.norm()),
    "a shifted normal": (stats.norm(), stats.norm(0.2)),
    "a wider normal": (stats.norm(), stats.norm(scale=1.3)),
    "a heavy tail": (stats.t(3), stats.t(3, loc=0.3)),
    "whole numbers": (stats.poisson(3), stats.poisson(3.3)),
}
EACH_LAW = pytest.mark.parametrize("laws", LAWS.values(), ids=LAWS)


def drawn(law: Any, rows: int, rng: np.random.Generator) -> Floats:
    return np.sort(law.rvs(rows, random_state=rng).astype(np.float64))


@pytest.mark.parametrize("rows", [30, 31, 60, 100, 999, 5000])
def test_the_order_statistics_hold_each_quantile_with_the_binomial_law(rows: int) -> None:
    around = quantiles._order_statistics(rows).T.tolist()
    for level, (low, high) in zip(LEVELS, around, strict=True):
        law = stats.binom(rows, level)
        if low < 0:
            assert law.cdf(0) > 1 / 80
        else:
            assert law.cdf(low) <= 1 / 80 < law.cdf(low + 1)
        if high == rows:
            assert law.sf(rows - 1) > 1 / 80
        else:
            assert law.sf(high) <= 1 / 80 < law.sf(high - 1)


@pytest.mark.slow
@EACH_LAW
@pytest.mark.parametrize(("m", "n"), [(2000, 300), (100, 40)])
def test_both_intervals_hold_the_truth_in_95_percent(laws: tuple[Any, Any], m: int, n: int) -> None:
    before, now = laws
    rng, runs = np.random.default_rng(5), 300
    iqr = before.ppf(0.75) - before.ppf(0.25)
    distance = float(np.mean(np.abs(before.ppf(GRID) - now.ppf(GRID)))) / iqr
    truth = now.ppf(LEVELS) - before.ppf(LEVELS)
    held, within = 0, np.zeros(len(LEVELS))
    for _ in range(runs):
        reference, batch = drawn(before, m, rng), drawn(now, n, rng)
        found = quantiles.wasserstein(Outline.of(reference), Outline.of(batch))
        assert found is not None
        held += found.low <= distance <= found.high
        shifts = quantiles.shifts(Outline.of(reference), Outline.of(batch))
        low = np.array([-math.inf if end is None else end for end in shifts["low"]])
        high = np.array([math.inf if end is None else end for end in shifts["high"]])
        within += (low <= truth) & (truth <= high)
    least = stats.binom.ppf(1e-4, runs, 0.95)
    assert held >= least
    assert np.all(within >= least)


def test_a_clear_shift_has_a_distance_and_quantiles_that_are_surely_not_zero() -> None:
    rng = np.random.default_rng(6)
    reference, batch = drawn(stats.norm(), 3000, rng), drawn(stats.norm(1), 500, rng)
    found = quantiles.wasserstein(Outline.of(reference), Outline.of(batch))
    assert found is not None
    assert 0.5 < found.low < 1 / 1.349 < found.high < 0.95
    shifts = quantiles.shifts(Outline.of(reference), Outline.of(batch))
    assert min(shifts["low"][1:6]) > 0
    assert shifts["shift"][3] == pytest.approx(1, abs=0.15)


def test_the_distance_is_scipys() -> None:
    rng = np.random.default_rng(7)
    reference, batch = drawn(stats.norm(), 2048, rng), drawn(stats.norm(0.5, 2), 1024, rng)
    expected = stats.wasserstein_distance(reference, batch)
    iqr = np.subtract(*np.quantile(reference, [0.75, 0.25]))
    found = quantiles.wasserstein(Outline.of(reference), Outline.of(batch))
    assert found is not None
    assert found.value == pytest.approx(expected / iqr, rel=1e-9)


def test_what_has_no_number_is_none_and_what_has_one_keeps_it() -> None:
    wild = np.array([-math.inf] * 30 + [0.0, 1.0] * 20 + [math.inf] * 30)
    shifts = quantiles.shifts(Outline.of(wild), Outline.of(wild))
    assert shifts["shift"][0] is None
    assert shifts["shift"][3] == 0.0
    assert shifts["low"][0] is None
    assert quantiles.wasserstein(Outline.of(wild), Outline.of(wild)) is None
    few = quantiles.shifts(Outline.of(np.arange(30.0)), Outline.of(np.arange(30.0)))
    assert few["low"][0] is None
    assert few["high"][6] is None
    assert few["low"][3] is not None
