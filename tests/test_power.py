"""The smallest shift a check could have shown, against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from shiftwatch import power
from shiftwatch.sample import categorical, numeric
from shiftwatch.twosample.chisquare import ChiSquare
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import NotTested
from shiftwatch.values import TwoSampleResult


@pytest.mark.parametrize(("m", "n", "level"), [(5000, 500, 0.05), (2000, 200, 0.001)])
def test_the_detectable_ks_distance_is_found_with_about_its_probability(
    m: int, n: int, level: float
) -> None:
    rng = np.random.default_rng(8)
    distance = power.detectable_ks(power.effective_rows(m, n), level)
    shift = power.mean_shift_sd(distance)
    runs, found = 400, 0
    for _ in range(runs):
        prepared = Ks().prepare(numeric("x", rng.standard_normal(m)), rng)
        outcome = Ks().run(prepared, numeric("x", rng.standard_normal(n) + shift), rng)
        assert not isinstance(outcome, NotTested)
        found += outcome.p_value <= level
    assert stats.binom.ppf(1e-3, runs, 0.78) <= found <= stats.binom.isf(1e-3, runs, 0.85)


@pytest.mark.parametrize("rare", [False, True])
def test_the_detectable_total_variation_is_enough_whatever_the_shift_looks_like(
    rare: bool,
) -> None:
    rng = np.random.default_rng(9)
    m, n, level = 4000, 400, 0.01
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    distance = power.detectable_tv(power.effective_rows(m, n), level, 4)
    moved = np.array([-1, 0, 0, 1]) if rare else np.array([-1, -1, 1, 1]) / 2
    runs, found = 300, 0
    for _ in range(runs):
        before = rng.choice(4, m, p=shares)
        now = rng.choice(4, n, p=shares + distance * moved)
        prepared = ChiSquare().prepare(categorical("c", [f"k{v}" for v in before]), rng)
        outcome = ChiSquare().run(prepared, categorical("c", [f"k{v}" for v in now]), rng)
        assert not isinstance(outcome, NotTested)
        found += outcome.p_value <= level
    assert found >= stats.binom.ppf(1e-3, runs, 0.78)


def test_the_mean_shift_is_the_one_with_that_distance_between_normal_laws() -> None:
    shift = power.mean_shift_sd(0.3)
    assert stats.norm.cdf(shift / 2) - stats.norm.cdf(-shift / 2) == pytest.approx(0.3)
    assert power.mean_shift_sd(1.0) == math.inf


def test_noncentrality_agrees_with_scipy() -> None:
    distance = power.detectable_tv(100.0, 0.001, 5)
    edge = stats.chi2.isf(0.001, 4)
    assert stats.ncx2.sf(edge, 4, 100 * (2 * distance) ** 2) == pytest.approx(0.8, abs=1e-6)


def _result(test: str, target: str, **changes: object) -> TwoSampleResult:
    fields = {"inflation": 1.0, "explanation": {}} | changes
    return TwoSampleResult(
        test,
        target,
        "input",
        0.1,
        0.5,
        0.1,
        0.0,
        0.2,
        5000,
        500,
        **fields,  # type: ignore[arg-type]
    )


def test_the_level_is_divided_over_families_and_targets_and_dependence_counts() -> None:
    results = [_result("ks", f"x{index}", inflation=4.0) for index in range(10)]
    results += [_result("chi2", "c", explanation={"categories": 7}), _result("mmd", "*")]
    told = power.outlook(results, 0.003)
    used = told["detectable"]["used"]
    assert used["ks"] == {"n": 500, "m": 5000, "kappa": 4.0, "level": 0.0001, "categories": 2}
    assert used["chi2"]["level"] == 0.001
    assert used["chi2"]["categories"] == 7
    size = power.effective_rows(5000, 500, 4.0)
    assert told["detectable"]["ks"] == power.detectable_ks(size, 0.0001)
    assert told["luck_factor"] > 1
    assert power.outlook([], 0.001) == {}
    assert power.outlook([_result("mmd", "*")], 0.001) == {}
