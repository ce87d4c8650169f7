"""The test of null rates against scipy's Fisher test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shiftwatch.sample import Column, categorical, numeric
from shiftwatch.twosample.nulls import Nulls
from shiftwatch.twosample.protocol import NotTested, Outcome
from shiftwatch.values import SKIP_REASONS

RNG = np.random.default_rng(0)  # the test draws nothing; the protocol wants one


def with_nulls(nulls: int, rows: int) -> Column:
    return numeric("x", [math.nan] * nulls + [1.0] * (rows - nulls))


def answer(reference: Column, current: Column) -> Outcome | NotTested:
    return Nulls().run(Nulls().prepare(reference, RNG), current, RNG)


def compare(nulls_reference: int, m: int, nulls_current: int, n: int) -> Outcome:
    outcome = answer(with_nulls(nulls_reference, m), with_nulls(nulls_current, n))
    assert isinstance(outcome, Outcome), outcome
    return outcome


@given(st.integers(30, 300), st.integers(30, 300), st.data())
def test_the_p_value_is_fishers(m: int, n: int, data: st.DataObject) -> None:
    before, now = data.draw(st.integers(0, m)), data.draw(st.integers(0, n))
    outcome = answer(with_nulls(before, m), with_nulls(now, n))
    if isinstance(outcome, NotTested):
        assert outcome.reason in {"no_nulls", "constant"}
        return
    expected = float(stats.fisher_exact(np.array([[before, m - before], [now, n - now]])).pvalue)
    assert outcome.p_value == pytest.approx(expected, rel=1e-6, abs=1e-290)
    assert 0 < outcome.p_value <= 1


@pytest.mark.parametrize(
    ("before", "m", "now", "n"),
    [(1000, 100_000, 130, 10_000), (40_000, 100_000, 4200, 10_000), (3, 1_000_000, 2, 50_000)],
)
def test_the_p_value_of_large_tables_is_fishers(before: int, m: int, now: int, n: int) -> None:
    expected = stats.fisher_exact(np.array([[before, m - before], [now, n - now]])).pvalue
    assert compare(before, m, now, n).p_value == pytest.approx(float(expected), rel=1e-6)


def test_a_p_value_never_reaches_zero() -> None:
    assert compare(0, 50_000, 50_000, 50_000).p_value == pytest.approx(1e-300, rel=1e-9)
    assert compare(0, 100, 100, 100).p_value == pytest.approx(2 / math.comb(200, 100), rel=1e-9)


def test_the_interval_is_newcombes() -> None:
    outcome = compare(56, 70, 48, 80)  # his example: rates 56/70 and 48/80, .0524 to .3339
    assert outcome.statistic == pytest.approx(-0.2)
    assert outcome.effect == pytest.approx(0.2)
    assert outcome.effect_low == pytest.approx(0.0524, abs=1e-4)
    assert outcome.effect_high == pytest.approx(0.3339, abs=1e-4)


def test_the_interval_starts_at_zero_where_the_signed_one_holds_zero() -> None:
    outcome = compare(10, 100, 11, 100)
    assert outcome.effect_low == 0
    assert outcome.effect_high is not None
    assert outcome.effect_high > outcome.effect


def test_the_sign_is_in_the_statistic_and_the_rates_in_the_explanation() -> None:
    up, down = compare(1, 100, 30, 100), compare(30, 100, 1, 100)
    assert up.statistic == -down.statistic == pytest.approx(0.29)
    assert up.effect == down.effect
    assert up.p_value == pytest.approx(down.p_value)
    assert up.explanation == {"rate_reference": 0.01, "rate_current": 0.3}


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5])
@pytest.mark.parametrize(("m", "n"), [(2000, 200), (30, 30), (50, 1000)])
def test_false_alarms_keep_the_level(rate: float, m: int, n: int) -> None:
    rng, runs = np.random.default_rng(1), 2000
    tables = zip(rng.binomial(m, rate, runs), rng.binomial(n, rate, runs), strict=True)
    found = np.ones(runs)
    for run, (before, now) in enumerate(tables):
        if before + now:
            found[run] = compare(int(before), m, int(now), n).p_value
    for level in (0.05, 0.01):
        assert np.mean(found <= level) <= level + 3 * math.sqrt(level * (1 - level) / runs)


def test_nulls_that_rise_from_1_to_6_percent_are_found() -> None:
    rng = np.random.default_rng(2)
    found = [
        compare(int(rng.binomial(5000, 0.01)), 5000, int(rng.binomial(500, 0.06)), 500).p_value
        for _ in range(200)
    ]
    assert np.mean(np.array(found) <= 0.001) >= 0.95


def test_categorical_columns_have_nulls_too_and_their_order_is_nothing() -> None:
    before = categorical("x", ["a", None] * 50)
    now = categorical("x", [None, "a", "a", "a"] * 25)
    shuffled = now.take(np.random.default_rng(3).permutation(100))
    first, again = answer(before, now), answer(before, shuffled)
    assert isinstance(first, Outcome)
    assert first == again
    assert (first.rows_reference, first.rows_current) == (100, 100)


def test_samples_that_cannot_be_tested_are_named() -> None:
    cases = {
        "no_nulls": (0, 50, 0, 50),
        "constant": (50, 50, 40, 40),
        "too_few_rows": (5, 50, 5, 9),
    }
    for expected, (before, m, now, n) in cases.items():
        outcome = answer(with_nulls(before, m), with_nulls(now, n))
        assert isinstance(outcome, NotTested)
        assert outcome.reason == expected
        assert outcome.reason in SKIP_REASONS
    assert compare(0, 50, 50, 50).p_value < 1e-20
