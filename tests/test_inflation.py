"""What dependence does to a p-value: the law of F, measured on windows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shiftwatch.inflation import (
    FEW,
    MANY,
    SINGLE,
    Inflation,
    between,
    estimate,
    overlap_factor,
    widen,
)

RNG = np.random.default_rng


@pytest.mark.parametrize("degrees", [SINGLE, FEW, 6.0])
@pytest.mark.parametrize("kappa", [1.0, 3.0, 40.0])
def test_the_level_is_exact_where_batch_and_windows_are_inflated_alike(
    degrees: float, kappa: float
) -> None:
    rng = RNG(1)
    runs, windows = 2000, 16
    values = kappa * rng.chisquare(degrees, (runs, windows + 1))
    p_values = np.maximum(stats.chi2.sf(values, degrees), 1e-300)
    widened = []
    for row in p_values:
        measured = estimate(row[1:], 500, (degrees,), 1.0)
        # kappa is never below 1, which only makes p-values larger
        widened.append(widen(float(row[0]), measured))
    for level in (0.05, 0.01, 0.001):
        most = stats.binom.isf(1e-4, runs, level)
        assert np.count_nonzero(np.array(widened) <= level) <= most
    if kappa > 1:
        assert np.mean(np.array(widened) <= 0.05) >= 0.035


def test_the_widened_p_value_is_the_tail_of_f() -> None:
    inflation = Inflation(500, 4.0, 20, 1.5)
    x = stats.chi2.isf(1e-5, 1.5)
    assert widen(1e-5, inflation) == pytest.approx(stats.f.sf(x / (4 * 1.5), 1.5, 30), rel=1e-9)


def test_no_p_value_becomes_smaller_zero_or_out_of_order() -> None:
    ladder = [10.0**-power for power in range(301)]
    for inflation in (Inflation(100, 1.0, 1e9, 1.5), Inflation(100, 9.0, 10, 1.0)):
        widened = [widen(p, inflation) for p in ladder]
        assert all(0 < p <= w <= 1 for p, w in zip(ladder, widened, strict=True))
        assert widened == sorted(widened, reverse=True)
    assert widen(1.0, Inflation(100, 9.0, 10, 1.0)) == 1.0


def test_shapes_are_chosen_by_how_well_the_windows_agree() -> None:
    rng = RNG(2)
    many = stats.chi2.sf(5 * rng.chisquare(96, 16), 96)
    few = stats.chi2.sf(5 * rng.chisquare(1, 16), 1)
    assert estimate(many.tolist(), 500, MANY, 1.0).degrees > 10
    assert estimate(few.tolist(), 500, MANY, 1.0).degrees == MANY[0]
    assert estimate([1.0] * 16, 500, MANY, 1.0).kappa == 1.0


def test_the_overlap_is_undone_as_in_a_simulation_of_means() -> None:
    rng = RNG(3)
    m, n, kept = 200, 20, 100
    data = rng.standard_normal((20_000, m))
    used = data[:, rng.permutation(m)[:kept]]
    overlapping = data[:, :n].mean(axis=1) - used.mean(axis=1)
    # random rows: the kept half holds about half of the window
    ratio = (1 / n + 1 / kept) / overlapping.var()
    assert ratio == pytest.approx(overlap_factor(n, m, kept), rel=0.15)
    whole = data[:, :n].mean(axis=1) - data.mean(axis=1)
    assert (1 / n + 1 / m) / whole.var() == pytest.approx(overlap_factor(n, m, m), rel=0.05)


def test_between_two_lengths_the_inflation_lies_between_and_outside_at_the_end() -> None:
    short, long = Inflation(100, 2.0, 32, 1.5), Inflation(2000, 8.0, 10, 1.5)
    assert between((), 50) is None
    assert between((long, short), 50) == short
    assert between((short, long), 9000) == long
    middle = between((short, long), 447)
    assert middle is not None
    assert middle.kappa == pytest.approx(5.0, abs=0.01)
    assert middle.windows == pytest.approx(21, abs=0.1)
    other = Inflation(2000, 8.0, 10, 12.0)
    assert between((short, other), 447) == other, "shapes that differ are not mixed"
