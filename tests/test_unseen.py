"""The test of unseen categories: its bound is a bound, and not a useless one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.sample import Column, categorical
from shiftwatch.twosample import contingency
from shiftwatch.twosample.protocol import NotTested, Outcome
from shiftwatch.twosample.unseen import Unseen, _chernoff
from shiftwatch.values import SKIP_REASONS

RNG = np.random.default_rng(0)  # the test draws nothing; the protocol wants one


def column(codes: NDArray[np.int64]) -> Column:
    held, places = np.unique(codes, return_inverse=True)
    names = tuple(f"c{code}" for code in held.tolist())
    return Column("x", "categorical", "input", "string", places.astype(np.int32), codes >= 0, names)


def answer(reference: Column, current: Column) -> Outcome | NotTested:
    return Unseen().run(Unseen().prepare(reference, RNG), current, RNG)


def compare(reference: Column, current: Column) -> Outcome:
    outcome = answer(reference, current)
    assert isinstance(outcome, Outcome), outcome
    return outcome


@pytest.mark.parametrize(
    ("pooled", "n"),
    [
        (np.array([500, 300, *[1] * 100]), 150),
        (np.array([400, 20, 10, *[3] * 20, *[2] * 30]), 60),
        (np.array([900, 5, 4, 3, 2, 1, 1]), 200),
        (np.repeat(np.arange(1, 30), 3), 100),
    ],
    ids=["singletons", "mixed", "few", "ladder"],
)
def test_the_p_value_bounds_the_chance_and_is_not_far_from_it(
    pooled: NDArray[np.int64], n: int
) -> None:
    rng, draws = np.random.default_rng(1), 200_000
    drawn = contingency.draw_counts(pooled, n, draws, rng)
    unseen = (drawn * (drawn == pooled)).sum(axis=1)
    for level in (0.3, 0.05, 0.01, 0.001):
        rows = max(1, int(np.quantile(unseen, 1 - level)))
        true = float(np.mean(unseen >= rows))
        bound = _chernoff(pooled, n, rows)
        assert true - 4 * math.sqrt(true / draws) <= bound <= max(1, 30 * true)
        assert bound <= 1


def test_the_bound_is_the_least_over_theta() -> None:
    pooled, n, rows = np.array([400, 20, 10, *[3] * 20, *[2] * 30, *[1] * 9]), 60, 14
    total = int(pooled.sum())
    chance = np.array([math.comb(total - t, n - t) / math.comb(total, n) for t in pooled if t <= n])
    sizes = pooled[pooled <= n]
    grid = [
        float(np.exp(-theta * rows) * np.prod(1 + chance * np.expm1(theta * sizes)))
        for theta in np.linspace(0, 4, 4001)
    ]
    assert _chernoff(pooled, n, rows) == pytest.approx(min(grid), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "n", "categories"), [(2000, 200, 5000), (500, 100, 300), (60, 30, 40), (50, 300, 100)]
)
def test_false_alarms_keep_the_level(m: int, n: int, categories: int) -> None:
    rng, runs = np.random.default_rng(2), 2000
    chances = 1 / np.arange(1, categories + 1) ** 1.1
    chances /= chances.sum()
    found = np.ones(runs)
    for run in range(runs):
        outcome = answer(
            column(rng.choice(categories, m, p=chances)),
            column(rng.choice(categories, n, p=chances)),
        )
        if isinstance(outcome, Outcome):
            found[run] = outcome.p_value
    for level in (0.05, 0.01):
        assert np.mean(found <= level) <= level + 3 * math.sqrt(level * (1 - level) / runs)


def test_five_percent_new_rows_in_a_closed_vocabulary_are_found() -> None:
    rng = np.random.default_rng(3)
    reference, hits = column(rng.integers(0, 20, 5000)), 0
    for _ in range(100):
        codes = rng.integers(0, 20, 300)
        codes[rng.random(300) < 0.05] = 99
        hits += compare(reference, column(codes)).p_value <= 1e-6
    assert hits >= 95


def test_twice_the_new_rows_of_an_open_vocabulary_are_found() -> None:
    rng = np.random.default_rng(4)
    chances = 1 / np.arange(1, 20_001)
    chances /= chances.sum()
    reference = column(rng.choice(20_000, 5000, p=chances))
    codes = rng.choice(20_000, 1000, p=chances)
    before = answer(reference, column(codes))
    moved = np.where(rng.random(1000) < 0.25, codes + 20_000, codes)
    assert isinstance(before, Outcome)
    assert before.p_value > 0.05
    assert compare(reference, column(moved)).p_value < 1e-6


def test_one_new_row_is_weak_evidence() -> None:
    reference = categorical("x", ["a", "b"] * 500)
    outcome = compare(reference, categorical("x", ["a"] * 49 + ["new"]))
    assert outcome.p_value == pytest.approx(50 / 1050)


def test_a_p_value_never_reaches_zero() -> None:
    outcome = compare(categorical("x", ["a"] * 5000), categorical("x", ["b"] * 5000))
    assert outcome.p_value == pytest.approx(1e-300, rel=1e-9)
    assert outcome.effect == 1
    assert outcome.effect_high == 1


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    reference = categorical("x", ["a", "b"] * 50)
    outcome = compare(reference, categorical("x", ["a"] * 93 + ["c"] * 7))
    expected = stats.binomtest(7, 100).proportion_ci(method="exact")
    assert outcome.effect == pytest.approx(0.07)
    assert outcome.effect_low == pytest.approx(expected.low)
    assert outcome.effect_high == pytest.approx(expected.high)


def test_the_explanation_names_the_new_and_what_was_to_be_expected() -> None:
    reference = categorical("x", ["a"] * 90 + [f"once{i}" for i in range(10)])
    new = [f"new{i:02}" for i in range(12)]
    outcome = compare(reference, categorical("x", ["a"] * 37 + ["new05"] + new))
    listed = outcome.explanation["categories"]
    assert listed[0] == {"category": "new05", "count": 2}
    assert [entry["category"] for entry in listed[1:]] == [n for n in new if n != "new05"][:9]
    assert outcome.explanation["count_new"] == 12
    assert outcome.explanation["good_turing_expected"] == pytest.approx(50 * 10 / 100)
    assert outcome.statistic == 13


def test_the_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    before, now = rng.integers(0, 30, 100), rng.integers(0, 60, 80)
    first = compare(column(before), column(now))
    texts = [f"c{code}" for code in rng.permutation(now).tolist()]
    assert compare(column(rng.permutation(before)), categorical("x", texts)) == first


def test_samples_that_cannot_be_tested_are_named() -> None:
    values, nothing = categorical("x", ["a", "b"] * 20), categorical("x", [None] * 50)
    cases = [
        (values, values, "all_categories_known"),
        (values, nothing, "all_null"),
        (nothing, values, "all_null"),
        (values, categorical("x", ["c"] * 9 + [None] * 29), "too_few_rows"),
    ]
    for reference, current, expected in cases:
        outcome = answer(reference, current)
        assert isinstance(outcome, NotTested)
        assert outcome.reason == expected
        assert outcome.reason in SKIP_REASONS


def test_hashes_are_stable_and_keep_texts_apart() -> None:
    texts = [f"category {i}" for i in range(10_000)]
    keys = contingency.hashes(texts)
    assert len(set(keys.tolist())) == 10_000
    assert keys.dtype == np.uint64
    assert int(contingency.hashes(["a"])[0]) == 0x333FCB4EE1AA7C11
