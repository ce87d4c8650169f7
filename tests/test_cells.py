"""The single category that changed most: its tail against scipy, its level against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.sample import categorical
from shiftwatch.twosample import cells
from shiftwatch.twosample.chisquare import SINGLE_FROM, ChiSquare
from shiftwatch.twosample.protocol import Outcome

Counts = NDArray[np.int64]


def _tables(seed: int, chances: NDArray[np.float64], m: int, n: int) -> tuple[Counts, Counts]:
    rng = np.random.default_rng(seed)
    reference, current = rng.multinomial(m, chances), rng.multinomial(n, chances)
    held = reference + current > 0
    return (reference + current)[held], current[held]


def _zipf(size: int) -> NDArray[np.float64]:
    weights = 1 / np.arange(1, size + 1) ** 1.2
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("seed", range(20))
def test_the_p_value_is_the_smallest_tail_times_the_tails_that_can_be_as_small(seed: int) -> None:
    pooled, _ = _tables(seed, _zipf(40), 2000, 150)
    n = 150
    current = np.random.default_rng(seed).multivariate_hypergeometric(pooled, n)
    moved = min(6, int(pooled[8] - current[8]), int(current[0]))
    current[[0, 8]] += [-moved, moved]  # one category gains what another loses
    total = int(pooled.sum())
    upper = stats.hypergeom.sf(current - 1, total, pooled, n)
    lower = stats.hypergeom.cdf(current, total, pooled, n)
    tails = np.minimum(upper, lower)
    most, least = np.minimum(pooled, n), np.maximum(0, n - (total - pooled))
    attainable = np.concatenate([stats.hypergeom.pmf(x, total, pooled, n) for x in (most, least)])
    able = np.count_nonzero(attainable <= tails.min() * (1 + 1e-9))
    found = cells.smallest(pooled, current)
    if found.p_value < 1:
        assert found.place == int(np.argmin(tails))
    assert found.p_value == pytest.approx(min(1.0, able * tails.min()), rel=1e-7)


def test_the_tail_is_accurate_down_to_the_floor_and_never_zero() -> None:
    pooled, n = np.array([600, 5400]), 500
    for hits in (80, 150, 250, 400):
        current = np.array([hits, n - hits])
        tail = float(stats.hypergeom.logsf(hits - 1, 6000, 600, n))
        # The tails of two categories are the same: few of the one are many of the other.
        ends = stats.hypergeom.logpmf([0, n], 6000, 600, n)
        able = 2 * np.count_nonzero(ends <= tail)
        expected = max(math.log(cells.P_FLOOR), tail + math.log(able))
        found = math.log(cells.smallest(pooled, current).p_value)
        assert found == pytest.approx(expected, rel=1e-7)
    apart = cells.smallest(np.array([50_000, 50_000]), np.array([50_000, 0]))
    assert apart.p_value == pytest.approx(cells.P_FLOOR)


@pytest.mark.parametrize(("size", "m", "n"), [(12, 400, 60), (200, 5000, 100), (50, 60, 400)])
def test_false_alarms_keep_the_level(size: int, m: int, n: int) -> None:
    found = np.array(
        [cells.smallest(*_tables(seed, _zipf(size), m, n)).p_value for seed in range(2000)]
    )
    for level in (0.2, 0.05, 0.01, 0.001):
        assert np.count_nonzero(found <= level) <= stats.binom.isf(1e-4, found.size, level), level


def test_no_change_at_all_is_no_evidence() -> None:
    assert cells.smallest(np.array([200, 400, 100]), np.array([20, 40, 10])).p_value == 1.0


def test_one_category_of_50_that_triples_alone_is_found_more_often_than_by_x2() -> None:
    chances = np.full(50, 1 / 50)
    shifted = np.append(chances[:49], 3 / 50) / (52 / 50)
    names = np.array([f"c{code}" for code in range(50)])
    rng, test = np.random.default_rng(1), ChiSquare()
    both = alone = 0
    for _ in range(60):
        before = categorical("x", rng.choice(names, 5000, p=chances).tolist())
        now = categorical("x", rng.choice(names, 500, p=shifted).tolist())
        outcome = test.run(test.prepare(before, rng), now, rng)
        assert isinstance(outcome, Outcome)
        both += outcome.p_value <= 0.001
        alone += outcome.explanation["p_value_all_cells"] <= 0.001
        if outcome.p_value <= 0.001:
            assert outcome.explanation["single_cell"]["category"] == "c49"
    assert both >= 1.5 * alone
    assert both >= 20


def test_few_categories_are_left_to_x2_alone() -> None:
    few = [f"c{code}" for code in range(SINGLE_FROM - 1)]
    test, rng = ChiSquare(), np.random.default_rng(0)
    outcome = test.run(
        test.prepare(categorical("x", few * 50), rng), categorical("x", few * 9), rng
    )
    assert isinstance(outcome, Outcome)
    assert "single_cell" not in outcome.explanation
