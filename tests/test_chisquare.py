"""Chi-square against scipy, and its Monte-Carlo null law against simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.sample import Column, categorical
from shiftwatch.settings import ChiSquareSettings
from shiftwatch.twosample import contingency
from shiftwatch.twosample.chisquare import ChiSquare, _Table, _tail
from shiftwatch.twosample.protocol import NotTested, Outcome
from shiftwatch.values import SKIP_REASONS

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def column(codes: NDArray[np.int64], prefix: str = "c") -> Column:
    """A categorical column whose categories are named after the codes."""
    held, places = np.unique(codes, return_inverse=True)
    names = tuple(f"{prefix}{code}" for code in held.tolist())
    return Column("x", "categorical", "input", "string", places.astype(np.int32), codes >= 0, names)


def counted(counts: list[int]) -> Column:
    return column(np.repeat(np.arange(len(counts)), counts))


def compare(reference: Column, current: Column, seed: int = 0, **settings: int) -> Outcome:
    test, rng = ChiSquare(**settings), np.random.default_rng(seed)
    outcome = test.run(test.prepare(reference, rng), current, rng)
    assert isinstance(outcome, Outcome), outcome
    return outcome


def reason(reference: Column, current: Column) -> str:
    test, rng = ChiSquare(), np.random.default_rng(0)
    outcome = test.run(test.prepare(reference, rng), current, rng)
    assert isinstance(outcome, NotTested), outcome
    assert outcome.reason in SKIP_REASONS
    return outcome.reason


def zipf(categories: int, exponent: float = 1.2) -> Floats:
    weights = 1 / np.arange(1, categories + 1) ** exponent
    return np.asarray(weights / weights.sum())


def test_the_defaults_are_those_of_the_settings() -> None:
    ours, theirs = ChiSquare(), ChiSquareSettings()
    assert (ours.max_draws, ours.buckets, ours.max_categories) == (
        theirs.max_draws,
        theirs.buckets,
        theirs.max_categories,
    )


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([60, 40], [20, 30]),
        ([500, 300, 200], [40, 40, 20]),
        ([5000, 5000, 4000, 100], [100, 90, 80, 20]),
        ([9000, 1000], [1000, 9000]),
    ],
)
def test_where_no_cell_is_sparse_the_answer_is_scipys(
    reference: list[int], current: list[int]
) -> None:
    outcome = compare(counted(reference), counted(current))
    expected = stats.chi2_contingency([reference, current], correction=False)
    assert outcome.statistic == pytest.approx(float(expected.statistic), rel=1e-9)
    assert outcome.p_value == pytest.approx(max(1e-300, float(expected.pvalue)), rel=1e-9)


def test_one_expected_count_below_5_on_either_side_leaves_the_chi_square_law() -> None:
    for reference, current in (([900, 44], [100, 5]), ([100, 5], [900, 44])):
        found = compare(counted(reference), counted(current))
        plain = stats.chi2_contingency([reference, current], correction=False).pvalue
        assert found.p_value != pytest.approx(float(plain), rel=1e-9)


def _brute_force(reference: list[int], current: list[int]) -> float:
    """P(X2 at least as large) by going through every table of these margins."""
    totals, n = np.array(reference) + np.array(current), sum(current)
    expected = totals * n / totals.sum()
    observed = ((np.array(current) - expected) ** 2 / totals).sum()
    ways = 0
    for rest in itertools.product(*(range(min(total, n) + 1) for total in totals[1:].tolist())):
        table = (n - sum(rest), *rest)
        if 0 <= table[0] <= totals[0]:
            reached = ((np.array(table) - expected) ** 2 / totals).sum() >= observed * (1 - 1e-9)
            chosen = zip(totals.tolist(), table, strict=True)
            ways += int(reached) * math.prod(math.comb(total, count) for total, count in chosen)
    return ways / math.comb(int(totals.sum()), n)


@pytest.mark.parametrize(
    ("reference", "current"),
    [([990, 10], [27, 3]), ([400, 30, 2, 1], [28, 2, 1, 3]), ([300, 40, 9], [25, 3, 3])],
)
def test_the_monte_carlo_p_value_is_that_of_all_tables(
    reference: list[int], current: list[int]
) -> None:
    true = _brute_force(reference, current)
    found = [compare(counted(reference), counted(current), seed).p_value for seed in range(40)]
    plus_one = 1 / 20_001  # the estimate is (S + 1)/(B + 1), or stops at 20 exceedances
    error = 4 * true / math.sqrt(40 * min(20, 20_000 * true))
    assert abs(np.mean(found) - true - plus_one) <= error + true / 19


def _p_values(reference: Floats, current: Floats, m: int, n: int, runs: int) -> Floats:
    rng = np.random.default_rng(7)
    codes = np.arange(reference.size)
    found = np.empty(runs)
    for run in range(runs):
        before = column(np.repeat(codes, rng.multinomial(m, reference)))
        now = column(np.repeat(codes, rng.multinomial(n, current)))
        found[run] = compare(before, now, run).p_value
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chances", "m", "n"),
    [
        (zipf(200), 5000, 100),
        (zipf(10), 5000, 100),
        (zipf(2), 60, 30),
        (zipf(5, 3.0), 3000, 30),
        (np.full(50, 1 / 50), 40, 400),
    ],
    ids=["zipf-200", "zipf-10", "tiny", "rare", "small-reference"],
)
def test_false_alarms_keep_the_level(chances: Floats, m: int, n: int) -> None:
    runs = 2000
    found = _p_values(chances, chances, m, n, runs)
    assert np.all((found > 0) & (found <= 1))
    for level in (0.05, 0.01):
        error = math.sqrt(level * (1 - level) / runs)
        assert np.mean(found <= level) <= level + 3 * error


@pytest.mark.slow
def test_false_alarms_keep_the_level_in_buckets() -> None:
    runs, chances = 2000, zipf(40)
    rng = np.random.default_rng(8)
    alarms = 0
    for run in range(runs):
        before = column(rng.choice(40, 1000, p=chances))
        now = column(rng.choice(40, 100, p=chances))
        alarms += compare(before, now, run, max_categories=20, buckets=8).p_value <= 0.05
    assert alarms / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_tripled_category_among_20_is_found() -> None:
    before = zipf(20)
    now = before.copy()
    now[5] *= 3
    found = _p_values(before, now / now.sum(), 5000, 1000, 60)
    assert np.mean(found <= 0.001) >= 0.9


def test_five_percent_of_rows_in_new_categories_are_found() -> None:
    before = np.append(zipf(50), [0.0, 0.0])
    now = before * 0.95
    now[50:] = 0.025
    found = _p_values(before, now, 5000, 300, 60)
    assert np.mean(found <= 0.001) >= 0.9


def _true_tail(pooled: Counts, n: int, batch: Counts) -> float:
    """Share of 600 000 draws whose X2 reaches that of the batch."""
    rng, reached, draws, parts = np.random.default_rng(9), 0, 600_000, 24
    expected = pooled * (n / int(pooled.sum()))
    observed = float((batch - expected) ** 2 @ (1 / pooled)) * (1 - 1e-9)
    for _ in range(parts):
        drawn = contingency.draw_counts(pooled, n, draws // parts, rng)
        reached += int(np.count_nonzero((drawn - expected) ** 2 @ (1 / pooled) >= observed))
    return reached / draws


@pytest.mark.slow
@pytest.mark.parametrize(
    ("totals", "batch"),
    [
        ([20_028, 22], [47, 3]),
        ([20_010, *[4] * 10], [47, 2, 1, *[0] * 8]),
        ([7000, 2500, 1300, 700, 300, 100, 60, 20, 10, 10], [24, 10, 5, 3, 2, 1, 1, 1, 1, 2]),
    ],
    ids=["one-rare", "ten-rare", "mixed"],
)
def test_the_tail_beyond_the_draws_is_within_a_factor_4(
    totals: list[int], batch: list[int]
) -> None:
    pooled, now = np.array(totals), np.array(batch)
    true = _true_tail(pooled, int(now.sum()), now)
    table = _Table(tuple(map(str, totals)), pooled - now, now, bucketed=False)
    observed = table.statistic(now)
    drawn = table.draw(20_000, np.random.default_rng(3))
    assert true / 4 <= _tail(table, drawn, observed) <= 4 * true


def test_a_p_value_never_reaches_zero() -> None:
    far = compare(counted([5000, 0, 3]), counted([0, 5000, 0]))
    assert far.p_value == 1e-300
    dense = compare(counted([5000, 10]), counted([10, 5000]))
    assert dense.p_value == 1e-300


def test_without_an_exceedance_the_p_value_is_below_that_of_the_draws() -> None:
    shifted = compare(counted([4000, 900, 50, 50]), counted([20, 20, 5, 5]))
    assert 0 < shifted.p_value < 1e-6


def test_the_same_seed_gives_the_same_p_value_in_any_order_of_rows() -> None:
    rng = np.random.default_rng(2)
    before, now = rng.choice(30, 400, p=zipf(30)), rng.choice(35, 60, p=zipf(35))
    first = compare(column(before), column(now), 5)
    again = compare(column(rng.permutation(before)), column(rng.permutation(now)), 5)
    assert first == again
    texts = [f"c{code}" for code in rng.permutation(now).tolist()]
    assert compare(column(before), categorical("x", texts), 5) == first


def test_new_and_vanished_categories_are_cells() -> None:
    before = categorical("plan", ["a"] * 50 + ["b"] * 50)
    now = categorical("plan", ["a"] * 50 + ["new"] * 50)
    outcome = compare(before, now)
    cells = {cell["category"]: cell for cell in outcome.explanation["cells"]}
    assert set(cells) == {"a", "b", "new"}
    assert cells["new"]["share_reference"] == 0
    assert cells["new"]["share_current"] == 0.5
    assert outcome.effect == pytest.approx(0.5)
    assert outcome.explanation["bucketed"] is False


def test_residuals_are_standardised_and_the_largest_come_first() -> None:
    before, now = [500, 300, 150, 50], [30, 40, 20, 10]
    outcome = compare(counted(before), counted(now))
    residuals = {cell["category"]: cell["residual"] for cell in outcome.explanation["cells"]}
    sizes = [abs(residual) for residual in residuals.values()]
    assert sizes == sorted(sizes, reverse=True)
    for code, (r, b) in enumerate(zip(before, now, strict=True)):
        law = stats.hypergeom(1100, r + b, 100)
        assert residuals[f"c{code}"] == pytest.approx((b - law.mean()) / law.std())
    v = stats.contingency.association([before, now], method="cramer")
    assert outcome.explanation["cramers_v"] == pytest.approx(v)


def test_at_most_ten_cells_are_shown() -> None:
    rng = np.random.default_rng(3)
    outcome = compare(column(rng.integers(0, 40, 500)), column(rng.integers(0, 40, 500)))
    assert len(outcome.explanation["cells"]) == 10


@pytest.mark.slow
@pytest.mark.slow
def test_the_interval_holds_the_true_total_variation() -> None:
    rng = np.random.default_rng(4)
    for size in (2, 10, 100):
        before = zipf(size)
        now = np.roll(before, 1)
        true = float(np.abs(before - now).sum()) / 2
        inside = []
        for _ in range(100):
            reference = column(rng.choice(size, 2000, p=before))
            current = column(rng.choice(size, 300, p=now))
            outcome = compare(reference, current, max_draws=999)
            assert outcome.effect_low is not None
            assert outcome.effect_high is not None
            inside.append(outcome.effect_low <= true <= outcome.effect_high)
        assert np.count_nonzero(inside) >= stats.binom.ppf(1e-4, len(inside), 0.95)


def test_without_a_shift_the_interval_starts_at_zero_whatever_the_number_of_cells() -> None:
    rng = np.random.default_rng(5)
    for size in (2, 50, 800):
        reference, current = rng.integers(0, size, 3000), rng.integers(0, size, 200)
        assert compare(column(reference), column(current)).effect_low == 0


def test_too_many_categories_are_hashed_whichever_side_they_are_on() -> None:
    rng = np.random.default_rng(6)
    many, few = column(rng.integers(0, 900, 3000)), column(rng.integers(0, 300, 3000))
    for before, now in ((many, few), (few, many)):
        outcome = compare(before, now, max_categories=500, buckets=16)
        assert outcome.explanation["bucketed"] is True
        assert all(cell["category"].startswith("bucket") for cell in outcome.explanation["cells"])
    assert compare(few, few, max_categories=500).explanation["bucketed"] is False


def test_buckets_do_not_depend_on_when_the_hashing_happens() -> None:
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 900, 3000)
    counted_codes = contingency.tally(column(codes))
    prepared = ChiSquare(max_categories=500, buckets=16).prepare(column(codes), rng)
    assert prepared.facts["bucketed"] is True
    assert prepared.facts["categories"] == []
    expected = contingency.bucketed(counted_codes, 16)
    np.testing.assert_array_equal(prepared.arrays["counts"], expected)
    assert int(expected.sum()) == 3000


def test_categories_are_kept_by_frequency_then_by_text() -> None:
    reference = categorical("plan", ["b", "a", "c", "c", None])
    prepared = ChiSquare().prepare(reference, np.random.default_rng(0))
    assert prepared.facts["categories"] == ["c", "a", "b"]
    assert prepared.arrays["counts"].tolist() == [2, 1, 1]
    assert prepared.arrays["counts"].dtype == np.int64
    assert prepared.facts["rows"] == 4


def test_samples_that_cannot_be_tested_are_named() -> None:
    values, nothing = categorical("x", ["a", "b"] * 20), categorical("x", [None] * 50)
    one = categorical("x", ["a"] * 40)
    assert reason(values, nothing) == "all_null"
    assert reason(nothing, values) == "all_null"
    assert reason(values, categorical("x", ["a"] * 9 + [None] * 29)) == "too_few_rows"
    assert reason(one, one) == "constant"
    assert compare(one, categorical("x", ["b"] * 40)).p_value < 1e-15


def test_a_column_may_list_categories_it_does_not_hold() -> None:
    before = categorical("x", ["a"] * 40 + ["b"] * 40 + ["gone"])
    held = before.take(np.arange(80))
    assert compare(held, held).statistic == 0
    assert compare(held, held).p_value == 1
