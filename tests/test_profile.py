"""What a report shows of a column adds up."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shiftwatch.profile import prepare, profile
from shiftwatch.sample import Column, categorical, numeric
from shiftwatch.values import PROFILE_QUANTILES, ColumnProfile, SchemaColumn

FLOATS = st.lists(st.floats(width=64) | st.integers(-3, 3).map(float), max_size=60)
TEXTS = st.lists(st.none() | st.sampled_from("abcdefghij"), max_size=60)


def _profiled(reference: Column, current: Column | None) -> ColumnProfile:
    schema = SchemaColumn(reference.name, reference.kind, "input", reference.type)
    return profile(schema, prepare(reference), current)


@given(FLOATS, FLOATS)
@example([1e308, -1e308] * 20, [math.inf, -math.inf, math.nan])
@example([5e-324, 0.0] * 20, [5e-324])
def test_counts_of_numbers_add_up_to_the_rows_that_are_not_null(
    before: list[float], now: list[float]
) -> None:
    shown = _profiled(numeric("x", before), numeric("x", now))
    assert sum(shown.counts_reference) == len(before) - shown.nulls_reference
    assert sum(shown.counts_current) == len(now) - shown.nulls_current
    assert len(shown.counts_reference) == len(shown.counts_current) == len(shown.edges) + 1
    assert (shown.rows_reference, shown.rows_current) == (len(before), len(now))
    assert shown.nulls_reference == sum(map(math.isnan, before))
    assert all(map(math.isfinite, shown.edges))
    assert list(shown.edges) == sorted(shown.edges)


@given(FLOATS)
def test_quantiles_are_values_of_the_column_as_numpy_chooses_the_lower(now: list[float]) -> None:
    shown = _profiled(numeric("x", [0.0, 1.0]), numeric("x", now))
    present = sorted(value for value in now if not math.isnan(value))
    if not present:
        assert shown.quantiles_current == ()
        return
    positions = [math.floor(q * (len(present) - 1)) for q in PROFILE_QUANTILES]
    assert shown.quantiles_current == tuple(present[at] for at in positions)


def test_quantiles_equal_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    shown = _profiled(numeric("x", values), None)
    expected = np.quantile(values, PROFILE_QUANTILES, method="lower")
    np.testing.assert_array_equal(shown.quantiles_reference, expected)


def test_bins_are_of_one_width_between_the_tails_and_open_at_the_ends() -> None:
    values = np.arange(1000.0)
    shown = _profiled(numeric("x", values), numeric("x", [-1e9, 500.0, 1e9]))
    assert len(shown.edges) == 25
    assert np.allclose(np.diff(shown.edges), (shown.edges[-1] - shown.edges[0]) / 24)
    assert (shown.edges[0], shown.edges[-1]) == pytest.approx((4.995, 994.005))
    assert (shown.counts_current[0], shown.counts_current[-1]) == (1, 1)
    expected, _ = np.histogram(values, [-np.inf, *shown.edges, np.inf])
    assert list(shown.counts_reference) == expected.tolist()


def test_a_wild_value_does_not_stretch_the_bins() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    values[0] = 1e300
    assert max(_profiled(numeric("x", values), None).edges) < 5


def test_infinite_values_are_counted_in_the_open_bins() -> None:
    values = [1.0] * 50 + [2.0] * 49 + [math.inf, -math.inf, -math.inf]
    shown = _profiled(numeric("x", values), None)
    assert (shown.edges[0], shown.edges[-1]) == (1.0, 2.0)
    assert (shown.counts_reference[0], shown.counts_reference[1]) == (2, 50)
    assert shown.counts_reference[-1] == 49 + 1, "the last edge is of the open bin"
    assert shown.quantiles_reference[0] == -math.inf


def test_a_constant_column_has_one_edge() -> None:
    shown = _profiled(numeric("x", [3.0] * 50), numeric("x", [2.0, 3.0, 4.0]))
    assert shown.edges == (3.0,)
    assert (shown.counts_reference, shown.counts_current) == ((0, 50), (1, 2))


def test_a_column_of_nulls_has_no_quantiles_and_no_counts() -> None:
    shown = _profiled(numeric("x", [math.nan] * 5), numeric("x", [math.nan]))
    assert (shown.quantiles_reference, shown.quantiles_current) == ((), ())
    assert (sum(shown.counts_reference), sum(shown.counts_current)) == (0, 0)
    assert (shown.nulls_reference, shown.nulls_current) == (5, 1)


@given(TEXTS, TEXTS)
def test_counts_of_categories_add_up_while_all_are_shown(
    before: list[str | None], now: list[str | None]
) -> None:
    shown = _profiled(categorical("c", before), categorical("c", now))
    assert sum(shown.counts_reference) == sum(text is not None for text in before)
    assert sum(shown.counts_current) == sum(text is not None for text in now)
    assert set(shown.new_categories) == set(now) - set(before) - {None}
    counts = dict(zip(shown.categories, shown.counts_reference, strict=True))
    assert {text: n for text, n in counts.items() if n} == {
        text: before.count(text) for text in set(before) - {None}
    }


def test_the_most_frequent_categories_come_first_then_the_new_ones() -> None:
    before = ["b"] * 3 + ["a"] * 5 + ["c"]
    now = ["new"] * 2 + ["newer"] * 4 + ["a"]
    shown = _profiled(categorical("c", before), categorical("c", now))
    assert shown.categories == ("a", "b", "c", "newer", "new")
    assert shown.new_categories == ("newer", "new")
    assert shown.counts_reference == (5, 3, 1, 0, 0)
    assert shown.counts_current == (1, 0, 0, 4, 2)


def test_of_many_categories_twelve_of_each_side_are_shown() -> None:
    before = [f"r{index:03}" for index in range(100) for _ in range(100 - index)]
    now = [f"n{index:03}" for index in range(100)] + before
    shown = _profiled(categorical("c", before), categorical("c", now))
    assert shown.categories == (
        *(f"r{index:03}" for index in range(12)),
        *(f"n{index:03}" for index in range(12)),
    )
    assert len(shown.new_categories) == 12


def test_categories_that_no_row_has_are_not_new() -> None:
    current = categorical("c", ["z", "a"])
    only_a = current.take(np.array([1]))
    assert only_a.categories == ("z", "a")
    assert _profiled(categorical("c", ["a"]), only_a).new_categories == ()


@pytest.mark.parametrize("reference", [numeric("x", [1.0, 2.0]), categorical("x", ["a"])])
def test_a_side_that_is_missing_is_empty(reference: Column) -> None:
    shown = _profiled(reference, None)
    assert (shown.rows_current, shown.nulls_current) == (0, 0)
    assert (shown.counts_current, shown.quantiles_current, shown.new_categories) == ((), (), ())
    assert shown.rows_reference == reference.rows


def test_other_kinds_show_rows_and_nulls_only() -> None:
    valid = np.array([True, False, True])
    when = Column("at", "timestamp", "input", "date32", np.zeros(3), valid)
    shown = _profiled(when, replace(when, valid=~valid))
    assert (shown.rows_reference, shown.nulls_reference, shown.nulls_current) == (3, 1, 2)
    assert (shown.edges, shown.categories, shown.counts_reference) == ((), (), ())


def test_values_counted_by_sorting_are_those_counted_one_by_one() -> None:
    rng = np.random.default_rng(4)
    wild = [-np.inf, np.inf, 0.0, -0.0, 1e300, np.nan]
    for ties in (1, 12):
        values = np.concatenate([rng.normal(size=400).round(ties), wild, [0.3, 0.3]])
        column = numeric("x", rng.permutation(values))
        for edges in ([0.0], [-1.0, 0.0, 0.3], [-np.inf, 0.5, np.inf], [0.3, 0.3, 2.0, np.inf]):
            bins = np.searchsorted(edges, column.present, side="right")
            expected = np.bincount(bins, minlength=len(edges) + 1)
            np.testing.assert_array_equal(column.binned(np.array(edges)), expected)
