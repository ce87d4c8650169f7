"""The number of distinct values: the bound against all draws, level, power, interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from shiftwatch.sample import Column, categorical
from shiftwatch.twosample.distinct import MIN_CATEGORIES, Distinct, _p_value, _rarefied
from shiftwatch.twosample.protocol import NotTested, Outcome


def compare(reference: Column, current: Column) -> Outcome | NotTested:
    rng = np.random.default_rng(0)
    return Distinct().run(Distinct().prepare(reference, rng), current, rng)


def outcome_of(reference: Column, current: Column) -> Outcome:
    outcome = compare(reference, current)
    assert isinstance(outcome, Outcome), outcome
    return outcome


def ids(numbers: np.ndarray) -> Column:
    return categorical("id", [f"id {number}" for number in numbers.tolist()])


def _tails(pooled: tuple[int, ...], n: int) -> dict[int, float]:
    """Chance of each number of repeats, by going through every table of these pooled counts."""
    chances: dict[int, float] = {}
    for counts in itertools.product(*(range(count + 1) for count in pooled)):
        if sum(counts) == n:
            ways = math.prod(math.comb(t, c) for t, c in zip(pooled, counts, strict=True))
            repeats = sum(max(0, count - 1) for count in counts)
            chances[repeats] = chances.get(repeats, 0.0) + ways / math.comb(sum(pooled), n)
    return chances


@pytest.mark.parametrize(
    ("pooled", "n"), [((1, 1, 1, 1, 2, 2, 3), 5), ((2,) * 7, 6), ((1, 4, 4, 3), 7), ((9, 1, 2), 4)]
)
def test_the_bound_holds_for_every_number_of_repeats(pooled: tuple[int, ...], n: int) -> None:
    chances = _tails(pooled, n)
    for repeats in chances:
        more = sum(chance for count, chance in chances.items() if count >= repeats)
        fewer = sum(chance for count, chance in chances.items() if count <= repeats)
        assert _p_value(np.array(pooled), n, repeats) >= min(1.0, 2 * min(more, fewer)) - 1e-12


def test_where_most_values_occur_once_the_bound_is_within_20_of_the_truth() -> None:
    pooled = np.repeat([1, 2], [5000, 300])
    drawn = stats.hypergeom(5600, 600, 500).mean() / 600  # chance of a row to be in the batch
    law = stats.binom(300, drawn**2)  # pairs that are both in the batch, nearly independent
    for repeats in (6, 8, 10, 14):
        ratio = _p_value(pooled, 500, repeats) / (2 * law.sf(repeats - 1))
        assert 1 <= ratio < 20, repeats


@pytest.mark.parametrize(
    ("values", "m", "n"), [(200, 300, 100), (5000, 2000, 200), (10**6, 500, 60)]
)
def test_false_alarms_keep_the_level(values: int, m: int, n: int) -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        counts = np.unique(rng.integers(values, size=m + n), return_inverse=True)[1]
        now = counts[m:]
        found.append(_p_value(np.bincount(counts), n, n - np.unique(now).size))
    for level in (0.2, 0.05, 0.01):
        assert np.count_nonzero(np.array(found) <= level) <= stats.binom.isf(1e-4, 400, level)


def test_ids_of_which_a_twentieth_is_sent_twice_are_found() -> None:
    reference, now = np.arange(5000), np.arange(5000, 5500)
    now[:25] = now[25:50]
    outcome = outcome_of(ids(reference), ids(now))
    assert outcome.statistic == 475
    assert outcome.p_value < 1e-9
    assert outcome.effect == pytest.approx(0.05)
    assert outcome.explanation["direction"] == "more repeats"


def test_a_column_of_repeats_that_becomes_unique_is_found() -> None:
    rng = np.random.default_rng(2)
    outcome = outcome_of(ids(rng.integers(1000, size=5000)), ids(np.arange(5000, 5500)))
    assert outcome.p_value < 1e-9
    assert outcome.explanation["direction"] == "fewer repeats"


def test_unique_ids_on_both_sides_are_no_evidence() -> None:
    assert outcome_of(ids(np.arange(900)), ids(np.arange(900, 1000))).p_value == 1.0


def test_the_share_of_distinct_values_is_that_of_drawn_subsets() -> None:
    rng = np.random.default_rng(4)
    counts = rng.multinomial(400, rng.dirichlet(np.ones(150)))
    counts = counts[counts > 0]
    labels = np.repeat(np.arange(counts.size), counts)
    drawn = [np.unique(rng.choice(labels, 90, replace=False)).size / 90 for _ in range(4000)]
    error = 4 * float(np.std(drawn)) / math.sqrt(4000)
    assert _rarefied(counts, 90) == pytest.approx(float(np.mean(drawn)), abs=error)
    assert _rarefied(counts, 400) == pytest.approx(counts.size / 400)


def test_the_interval_holds_the_true_difference_of_shares() -> None:
    rng = np.random.default_rng(5)
    one, two, m, n = 300, 150, 600, 200
    true = abs(sum(s * v * (1 - (1 - 1 / v) ** n) / n for s, v in ((1, one), (-1, two))))
    held = 0
    for _ in range(200):
        outcome = outcome_of(ids(rng.integers(one, size=m)), ids(rng.integers(two, size=n)))
        assert outcome.effect_low is not None
        assert outcome.effect_high is not None
        held += outcome.effect_low <= true <= outcome.effect_high
    assert held >= 190


def test_few_distinct_values_are_left_to_chi_square() -> None:
    few = np.arange(MIN_CATEGORIES - 1)
    skipped = compare(ids(few), ids(few))
    assert isinstance(skipped, NotTested)
    assert skipped.reason == "few_categories"
