"""Kolmogorov-Smirnov against scipy, brute force and simulation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.sample import numeric
from shiftwatch.twosample import kslaw
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import NotTested, Outcome
from shiftwatch.values import SKIP_REASONS

Floats = NDArray[np.float64]
RNG = np.random.default_rng(0)  # KS draws nothing; the protocol wants one


def answer(reference: Floats, current: Floats) -> Outcome | NotTested:
    prepared = Ks().prepare(numeric("x", reference), RNG)
    return Ks().run(prepared, numeric("x", current), RNG)


def compare(reference: Floats, current: Floats) -> Outcome:
    outcome = answer(reference, current)
    assert isinstance(outcome, Outcome), outcome
    return outcome


def explained(reference: Floats, current: Floats) -> Mapping[str, Any]:
    prepared = Ks().prepare(numeric("x", reference), RNG)
    found = compare(reference, current).explanation
    return {**found, **Ks().explain(prepared, numeric("x", current))}


def reason(reference: Floats, current: Floats) -> str:
    outcome = answer(reference, current)
    assert isinstance(outcome, NotTested), outcome
    assert outcome.reason in SKIP_REASONS
    return outcome.reason


VALUES = st.lists(
    st.sampled_from([-math.inf, -2.0, -0.0, 0.0, 0.5, 1.0, 1e300, math.inf])
    | st.floats(-3, 3, allow_nan=False),
    min_size=30,
    max_size=90,
)


@given(VALUES, VALUES)
def test_the_statistic_is_scipys_with_ties_and_infinities(
    reference: list[float], current: list[float]
) -> None:
    outcome = answer(np.array(reference), np.array(current))
    if isinstance(outcome, NotTested):
        assert outcome.reason == "constant"
        return
    expected = stats.ks_2samp(reference, current, method="asymp").statistic
    assert outcome.statistic == pytest.approx(expected, abs=1e-12)
    assert outcome.effect == outcome.statistic
    assert 0 < outcome.p_value <= 1


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.4, 3.0])
@pytest.mark.parametrize("decimals", [2, 12])
def test_looking_at_few_values_of_the_reference_misses_no_gap(shift: float, decimals: int) -> None:
    rng = np.random.default_rng(5)
    for n in (31, 257, 1000, 4001):
        reference = rng.normal(size=7001).round(decimals)
        current = (rng.normal(size=n) * 1.1 + shift).round(decimals)
        expected = stats.ks_2samp(reference, current, method="asymp").statistic
        assert compare(reference, current).statistic == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("m", "n"), [(30, 30), (37, 45), (30, 200), (90, 100), (31, 2000)])
@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5, 4.0])
def test_p_values_of_small_samples_are_scipys_exact_ones(m: int, n: int, shift: float) -> None:
    rng = np.random.default_rng(m * n)
    reference, current = rng.normal(size=m), rng.normal(size=n) + shift
    expected = stats.ks_2samp(reference, current, method="exact").pvalue
    assert compare(reference, current).p_value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(30, 30), (37, 45), (30, 200), (60, 90), (31, 5000)])
def test_complete_separation_has_the_p_value_of_two_orders_among_all(m: int, n: int) -> None:
    expected = 2 / math.comb(m + n, n)
    outcome = compare(np.arange(m, dtype=float), np.arange(n, dtype=float) + m)
    assert outcome.statistic == 1.0
    assert outcome.p_value == pytest.approx(expected, rel=1e-9)


def test_a_p_value_never_reaches_zero() -> None:
    small = compare(np.arange(99.0), np.arange(100_000.0) + 99)
    large = compare(np.arange(5000.0), np.arange(5000.0) + 5000)
    tied = compare(np.repeat([1.0, 2.0], 4000), np.repeat([2.0, 3.0], 4000))
    assert small.p_value == pytest.approx(1e-300, rel=1e-9)
    assert large.p_value == 1e-300
    assert tied.p_value == 1e-300


@pytest.mark.parametrize(
    ("m", "n"), [(100, 100), (1000, 1000), (60, 600), (5000, 1000), (300, 2000), (101, 103)]
)
def test_the_limit_law_is_within_5_percent_below_and_10_above_the_exact_law(m: int, n: int) -> None:
    for target in (0.2, 0.05, 0.01, 0.001):
        moved = math.sqrt(math.log(2 / target) / 2 * (1 / m + 1 / n))
        reference, current = (np.arange(m) + 0.5) / m, (np.arange(n) + 0.4) / n + moved
        exact = stats.ks_2samp(reference, current, method="exact")
        gap = round(float(exact.statistic) * m * n)
        assert -0.05 < kslaw.limit_p(gap, m, n) / exact.pvalue - 1 < 0.10


def _brute_force(gap: int, n: int, ties: tuple[int, ...]) -> float:
    """P(D >= gap/(mn)) by going through every table of these pooled counts."""
    total, ways = sum(ties), 0
    for counts in itertools.product(*(range(count + 1) for count in ties)):
        sums = np.cumsum(counts)
        if sums[-1] == n and np.abs(sums * total - np.cumsum(ties) * n).max() >= gap:
            ways += math.prod(math.comb(t, c) for t, c in zip(ties, counts, strict=True))
    return ways / math.comb(total, n)


@pytest.mark.parametrize("ties", [(5, 7), (3, 4, 5), (1, 6, 2, 4), (2, 2, 2, 2, 3)])
def test_the_law_under_ties_is_that_of_all_tables(ties: tuple[int, ...]) -> None:
    for n in (2, 4, 5):
        m = sum(ties) - n
        for gap in range(1, m * n + 1, 3):
            expected = _brute_force(gap, n, ties)
            found = kslaw.tied_p(gap, n, np.array(ties))
            assert found == pytest.approx(expected, rel=1e-9, abs=2e-37)


@pytest.mark.parametrize("levels", [2, 20, 200])
def test_the_law_under_ties_is_that_of_drawn_tables(levels: int) -> None:
    rng = np.random.default_rng(levels)
    ties = rng.multinomial(2200, rng.dirichlet(np.ones(levels)))
    ties, n, draws = ties[ties > 0], 200, 20_000
    drawn = rng.multivariate_hypergeometric(ties, n, size=draws)
    gaps = np.abs(np.cumsum(drawn, axis=1) * 2200 - np.cumsum(ties) * n).max(axis=1)
    for level in (0.3, 0.05, 0.01):
        gap = int(np.quantile(gaps, 1 - level))
        share = float(np.mean(gaps >= gap))
        error = 4 * math.sqrt(share / draws)
        assert kslaw.tied_p(gap, n, ties) == pytest.approx(share, abs=error)


def test_without_ties_the_law_under_ties_is_the_exact_law() -> None:
    for gap in (300, 500, 900, 1400):
        tied = kslaw.tied_p(gap, 40, np.ones(90, dtype=np.int64))
        assert tied == pytest.approx(kslaw.exact_p(gap, 50, 40), rel=1e-9)


def test_two_values_have_the_tail_of_a_binomial_table() -> None:
    reference = np.repeat([0.0, 1.0], [4000, 1000])
    current = np.repeat([0.0, 1.0], [340, 160])
    found = compare(reference, current).p_value
    law = stats.hypergeom(5500, 1160, 500)
    counts = np.arange(501)
    apart = np.abs(counts * 5500 - 1160 * 500) >= 160 * 5500 - 1160 * 500
    assert found == pytest.approx(float(law.pmf(counts[apart]).sum()), rel=1e-7)


Draw = Callable[[np.random.Generator, int], Floats]


def _normal(rng: np.random.Generator, rows: int) -> Floats:
    return rng.normal(size=rows)


def _levels(count: int) -> Draw:
    return lambda rng, rows: rng.integers(0, count, rows).astype(np.float64)


def _half_zero(rng: np.random.Generator, rows: int) -> Floats:
    return np.maximum(rng.normal(size=rows), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "m", "n", "least"),
    [
        (_normal, 500, 200, 0.035),
        (_normal, 2000, 40, 0.035),
        (_normal, 31, 30, 0.025),
        (_levels(2), 500, 200, 0.025),
        (_levels(5), 500, 200, 0.035),
        (_levels(50), 300, 100, 0.035),
        (_half_zero, 90, 40, 0.035),
    ],
    ids=["continuous", "unequal", "tiny", "2-levels", "5-levels", "50-levels", "half-zero"],
)
def test_false_alarms_keep_the_level(draw: Draw, m: int, n: int, least: float) -> None:
    rng = np.random.default_rng(20)
    runs = 2000
    p_values = np.array([compare(draw(rng, m), draw(rng, n)).p_value for _ in range(runs)])
    for level in (0.05, 0.01):
        error = math.sqrt(level * (1 - level) / runs)
        assert np.mean(p_values <= level) <= level + 3 * error
    assert np.mean(p_values <= 0.05) >= least


def test_a_shift_of_a_third_of_a_deviation_is_found() -> None:
    rng = np.random.default_rng(3)
    found = [
        compare(rng.normal(size=2000), rng.normal(size=400) + 1 / 3).p_value <= 0.001
        for _ in range(200)
    ]
    assert np.mean(found) >= 0.9


def test_ties_cost_no_power_against_the_continuous_law() -> None:
    rng = np.random.default_rng(4)
    chances = np.array([0.3, 0.25, 0.25, 0.2])
    found = {"ours": 0, "scipy": 0}
    for _ in range(300):
        reference = rng.choice(4, 1000, p=chances).astype(float)
        current = rng.choice(4, 300, p=chances[::-1]).astype(float)
        found["ours"] += compare(reference, current).p_value <= 1e-3
        plain = stats.ks_2samp(reference, current, method="asymp").pvalue
        found["scipy"] += plain <= 1e-3
    assert found["ours"] >= found["scipy"] + 30


@pytest.mark.parametrize("values", [4, 100_000])
def test_the_order_of_rows_changes_nothing(values: int) -> None:
    rng = np.random.default_rng(6)
    reference, current = (rng.integers(0, values, rows).astype(float) for rows in (600, 200))
    again = compare(rng.permutation(reference), rng.permutation(current))
    assert again == compare(reference, current)


def test_the_interval_holds_the_true_distance() -> None:
    rng = np.random.default_rng(7)
    true = 2 * stats.norm.cdf(0.25) - 1  # sup |F - G| of two normals half a deviation apart
    outcomes = [compare(rng.normal(size=400), rng.normal(size=150) + 0.5) for _ in range(300)]
    low = np.array([outcome.effect_low for outcome in outcomes], dtype=float)
    high = np.array([outcome.effect_high for outcome in outcomes], dtype=float)
    assert np.mean((low <= true) & (true <= high)) >= 0.95
    assert np.all((low >= 0) & (high <= 1))


def test_the_explanation_says_where_and_which_way() -> None:
    reference, current = np.arange(100.0), np.arange(100.0) + 20
    up, down = explained(reference, current), explained(current, reference)
    assert up["direction"] == "higher"
    assert down["direction"] == "lower"
    assert up["median_reference"] == 49.5
    assert up["median_current"] == 69.5
    assert up["wasserstein_over_iqr"] == pytest.approx(20 / 49.5)
    assert explained(np.arange(50.0), np.repeat(40.0, 50))["location"] == 40.0


def test_the_distance_of_quantiles_is_near_scipys_wasserstein() -> None:
    rng = np.random.default_rng(8)
    reference, current = rng.standard_t(4, size=3000), rng.standard_t(4, size=700) * 1.5
    spread = float(np.subtract(*np.quantile(reference, [0.75, 0.25])))
    expected = stats.wasserstein_distance(reference, current) / spread
    found = explained(reference, current)["wasserstein_over_iqr"]
    assert found == pytest.approx(expected, rel=0.02)


def test_what_is_infinite_is_not_explained_by_a_number() -> None:
    reference = np.repeat([-math.inf, 0.0, math.inf], 20)
    current = np.repeat([-math.inf, math.inf], 30)
    explanation = explained(reference, current)
    assert explanation["wasserstein_over_iqr"] is None
    assert explanation["median_current"] is None
    huge = explained(np.repeat([-1e308, 1e308], 30), np.repeat([1e308, -1e308], [40, 20]))
    assert all(v is None or np.isfinite(v) for v in _numbers(huge))


def _numbers(explanation: Mapping[str, Any]) -> list[float | None]:
    keys = ("location", "median_reference", "median_current", "wasserstein_over_iqr")
    return [explanation[key] for key in keys]


def test_the_same_values_in_the_same_shares_have_p_value_one() -> None:
    outcome = compare(np.repeat([1.0, 2.0], 50), np.repeat([1.0, 2.0], 20))
    assert (outcome.statistic, outcome.p_value) == (0.0, 1.0)
    assert outcome.explanation["direction"] is None
    assert outcome.explanation["location"] is None


def test_samples_that_cannot_be_tested_are_named() -> None:
    values, nothing = np.arange(100.0), np.full(50, math.nan)
    assert reason(values, nothing) == "all_null"
    assert reason(nothing, values) == "all_null"
    assert reason(values, values[:9]) == "too_few_rows"
    assert reason(values[:9], values) == "too_few_rows"
    assert reason(np.zeros(50), -np.zeros(50)) == "constant"
    assert reason(np.full(50, math.inf), np.full(40, math.inf)) == "constant"
    assert compare(np.zeros(50), np.ones(50)).p_value < 1e-25


def test_nulls_count_as_no_row() -> None:
    values = np.arange(60.0)
    gaps = np.concatenate([values, np.full(500, math.nan)])
    outcome = compare(gaps, gaps)
    assert (outcome.rows_reference, outcome.rows_current) == (60, 60)


def test_a_continuous_reference_keeps_no_table_of_values() -> None:
    prepared = Ks().prepare(numeric("x", np.arange(501.0)), RNG)
    assert prepared.arrays["levels"].size == 0
    assert prepared.arrays["sorted"].dtype == np.float64


@pytest.mark.slow
@pytest.mark.parametrize("levels", [2, 3, 5, 10, 20, 50])
def test_few_levels_keep_the_level_from_above_and_below(levels: int) -> None:
    rng, runs, m, n = np.random.default_rng(1), 2000, 2000, 300
    shares = np.full(levels, 1 / levels)
    rejected = 0
    for _ in range(runs):
        before, now = rng.multinomial(m, shares), rng.multinomial(n, shares)
        gap = int(np.abs(np.cumsum(before) * n - np.cumsum(now) * m).max())
        rejected += kslaw.p_value(gap, m, n, before + now) <= 0.05
    low, high = stats.binom.ppf(1e-4, runs, 0.045), stats.binom.isf(1e-4, runs, 0.05)
    assert low <= rejected <= high


@pytest.mark.parametrize(("m", "n"), [(60, 300), (300, 300), (53, 1000), (2000, 300)])
def test_far_in_the_tail_the_law_errs_by_5_percent_below_and_by_half_above(m: int, n: int) -> None:
    for target in (1e-3, 1e-5, 1e-8):
        distance = math.sqrt(math.log(2 / target) / 2 * (1 / m + 1 / n))
        gap = round(distance * m * n) // math.gcd(m, n) * math.gcd(m, n)
        assert 0.95 < kslaw.p_value(gap, m, n) / kslaw.exact_p(gap, m, n) < 1.5
