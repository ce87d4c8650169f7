"""Shares of the columns: the truth where it is known, nothing where nothing moved, no count of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shiftwatch.contribution import contribution
from shiftwatch.sample import numeric
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import Outcome
from shiftwatch.values import TwoSampleResult
from tests import sample_runs

KS, RNG = Ks(), np.random.default_rng(0)
SHIFTS = {0: 0.5, 1: 0.35, 2: 0.25}
TRUE = {f"x{k}": shift**2 / sum(d**2 for d in SHIFTS.values()) for k, shift in SHIFTS.items()}


def shares_of(
    rng: np.random.Generator, rows: tuple[int, int], columns: int = 20
) -> dict[str, float]:
    """Of independent normal columns, some of them moved by known standard deviations."""
    results = []
    for column in range(columns):
        reference = numeric("x", rng.normal(size=rows[0]))
        current = numeric("x", rng.normal(size=rows[1]) + SHIFTS.get(column, 0.0))
        found = KS.run(KS.prepare(reference, RNG), current, RNG)
        assert isinstance(found, Outcome)
        results.append(placed(found, f"x{column}"))
    return {each.column: each.share for each in contribution(results).get("input", ())}


def placed(found: Outcome, column: str) -> TwoSampleResult:
    return TwoSampleResult(
        "ks",
        column,
        "input",
        found.statistic,
        found.p_value,
        found.effect,
        found.effect_low,
        found.effect_high,
        found.rows_reference,
        found.rows_current,
    )


def mean_shares(rows: tuple[int, int], repetitions: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    found = [shares_of(rng, rows) for _ in range(repetitions)]
    names = {name for shares in found for name in shares}
    return {name: float(np.mean([s.get(name, 0.0) for s in found])) for name in names}


@pytest.mark.parametrize("rows", [(10_000, 2000), (10_000, 500), (40_000, 40_000)])
def test_shares_are_those_of_the_squared_distance_whatever_the_number_of_rows(
    rows: tuple[int, int],
) -> None:
    found = mean_shares(rows, 15, seed=7)
    for name, share in TRUE.items():
        assert found[name] == pytest.approx(share, abs=0.05), (name, found)
    assert sum(found.get(f"x{k}", 0.0) for k in range(3, 20)) < 0.05


def test_where_nothing_moved_no_column_has_a_share_as_a_rule() -> None:
    rng = np.random.default_rng(3)
    alone = 0
    for _ in range(40):
        reference, current = rng.normal(size=5000), rng.normal(size=1000)
        found = KS.run(KS.prepare(numeric("x", reference), RNG), numeric("x", current), RNG)
        assert isinstance(found, Outcome)
        alone += bool(contribution([placed(found, "x")]))
    assert alone <= 6  # 5 % of intervals miss; P(more than 6 of 40) is .003


def test_two_copies_of_a_column_share_alike_and_a_scope_has_its_own_whole() -> None:
    moved = TwoSampleResult("ks", "a", "input", 0.2, 0.1, 0.2, 0.15, 0.25, 9, 9)
    both = [moved, replace(moved, target="b"), replace(moved, target="score", scope="prediction")]
    shares = contribution(both)
    assert [each.share for each in shares["input"]] == [0.5, 0.5]
    assert [each.share for each in shares["prediction"]] == [1.0]


def test_a_column_counts_by_its_strongest_test_and_joint_tests_do_not() -> None:
    ks = TwoSampleResult("ks", "a", "input", 0.1, 0.1, 0.1, 0.05, 0.15, 9, 9)
    nulls = replace(ks, test="nulls", effect=0.4, effect_low=0.3)
    joint = replace(ks, test="c2st", target="*", effect=0.9, effect_low=0.8)
    other = replace(nulls, target="b")
    shares = contribution([ks, nulls, joint, other])["input"]
    assert [(each.column, each.share) for each in shares] == [("a", 0.5), ("b", 0.5)]


@pytest.mark.parametrize("name", sorted(sample_runs.every()))
def test_shares_are_in_order_and_sum_to_one_at_most(name: str) -> None:
    for shares in contribution(sample_runs.every()[name].results).values():
        given = [each.share for each in shares]
        assert given == sorted(given, reverse=True)
        assert 0 < sum(given) <= 1.001
