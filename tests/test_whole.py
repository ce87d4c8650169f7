"""Whole numbers beyond 2**53, decimals, float32: no rounding makes or hides a shift."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch import whole
from shiftwatch.requests import Context
from shiftwatch.sample import Column
from shiftwatch.settings import AlarmSettings, KsSettings, ModelSettings, TestsSettings
from shiftwatch.source.columns import join, kind_of, to_column
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import Outcome
from shiftwatch.values import Run, SchemaColumn
from tests.judging import batch_of, judged

RNG = np.random.default_rng(0)  # KS draws nothing; the protocol wants one
BIG = 2**60
FORMS = {"int64": (0, False), "uint64": (0, True), "decimal128(38, 3)": (3, False)}


def column_of(values: list[Any], type_: pa.DataType, reference: pa.DataType) -> Column:
    schema = SchemaColumn("x", kind_of(reference, "x", ()), "input", str(reference))
    return to_column(pa.chunked_array([pa.array(values, type_)]), schema)


def explained(reference: Column, current: Column) -> Mapping[str, Any]:
    return Ks().explain(Ks().prepare(reference, RNG), current)


def compare(reference: Column, current: Column) -> Outcome:
    outcome = Ks().run(Ks().prepare(reference, RNG), current, RNG)
    assert isinstance(outcome, Outcome), outcome
    return outcome


@pytest.mark.parametrize(
    ("type_text", "form"),
    [
        *FORMS.items(),
        ("decimal256(50, -2)", (-2, False)),
        ("dictionary<values=int64, indices=int32, ordered=0>", (0, False)),
        ("int32", None),
        ("double", None),
        ("duration[us]", None),
        ("string", None),
    ],
)
def test_only_types_of_more_than_53_bits_have_an_exact_form(
    type_text: str, form: tuple[int, bool] | None
) -> None:
    found = whole.form_of(type_text)
    assert (found and (found.digits, found.unsigned)) == form


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=20))
def test_exact_values_of_uint64_keep_their_order(values: list[int]) -> None:
    column = column_of([*values, 2**63 + 1], pa.uint64(), pa.uint64())
    assert column.exact is not None
    order = np.argsort(column.exact, kind="stable")
    assert [[*values, 2**63 + 1][place] for place in order] == sorted([*values, 2**63 + 1])
    form = whole.form_of("uint64")
    assert form is not None
    np.testing.assert_array_equal(form.read(column.exact), column.values)


@pytest.mark.parametrize(
    ("values", "own", "reference", "expected"),
    [
        ([BIG + 1, None], pa.int64(), pa.int64(), [BIG + 1, 0]),
        ([2**64 - 1, 5], pa.uint64(), pa.int64(), [2**63 - 1, 5]),
        ([-BIG, 5, BIG], pa.int64(), pa.uint64(), [-(2**63), 5 - 2**63, BIG - 2**63]),
        (
            [Decimal(2**53) + 1, None],
            pa.decimal128(38, 3),
            pa.decimal128(38, 3),
            [(2**53 + 1) * 1000, 0],
        ),
        ([Decimal(-BIG), None], pa.decimal256(50, 0), pa.decimal128(38, 0), [-BIG, 0]),
        ([BIG, -7], pa.int64(), pa.decimal128(20, 0), [BIG, -7]),
    ],
)
def test_values_are_written_in_the_form_of_the_reference(
    values: list[Any], own: pa.DataType, reference: pa.DataType, expected: list[int]
) -> None:
    exact = column_of(values, own, reference).exact
    assert exact is not None
    assert exact.tolist() == expected


@pytest.mark.parametrize(
    ("values", "own", "reference"),
    [
        ([2**53, None], pa.int64(), pa.int64()),
        ([1.5, 2e300], pa.float64(), pa.int64()),
        ([Decimal("1.25")], pa.decimal128(10, 2), pa.decimal128(10, 2)),
        ([Decimal(10) ** 30], pa.decimal128(38, 0), pa.decimal128(38, 0)),
        ([BIG], pa.int64(), pa.float64()),
    ],
)
def test_where_float64_has_room_or_64_bits_have_none_there_are_no_exact_values(
    values: list[Any], own: pa.DataType, reference: pa.DataType
) -> None:
    assert column_of(values, own, reference).exact is None


def test_a_sliced_array_of_decimals_is_read_from_its_own_start() -> None:
    array = pa.array([Decimal(BIG + k) for k in range(8)], pa.decimal128(38, 0))[3:6]
    schema = SchemaColumn("x", "numeric", "input", "decimal128(38, 0)")
    exact = to_column(pa.chunked_array([array]), schema).exact
    assert exact is not None
    assert exact.tolist() == [BIG + 3, BIG + 4, BIG + 5]


def test_parts_of_small_and_large_numbers_join_exactly() -> None:
    small = column_of([3, None, -4], pa.int64(), pa.int64())
    large = column_of([BIG + 1], pa.int64(), pa.int64())
    joined = join([small, large])
    assert joined.exact is not None
    assert joined.exact.tolist() == [3, 0, -4, BIG + 1]
    taken = joined.take(np.array([3, 1]))
    assert taken.exact is not None
    assert taken.exact.tolist() == [BIG + 1, 0]
    fractions = column_of([0.5], pa.float64(), pa.int64())
    assert join([fractions, large]).exact is None


def test_ids_that_differ_by_less_than_float64_sees_are_told_apart() -> None:
    first, second = list(range(BIG, BIG + 100)), list(range(BIG + 50, BIG + 150))
    sides = [column_of(side, pa.int64(), pa.int64()) for side in (first, second)]
    outcome = compare(*sides)
    assert outcome.statistic == 0.5
    assert outcome.explanation["direction"] == "higher"
    assert outcome.explanation["location"] == float(BIG + 50)
    assert explained(*sides)["median_reference"] == float(BIG)


def test_a_batch_of_small_numbers_or_floats_is_held_against_exact_ones() -> None:
    reference = column_of(list(range(BIG, BIG + 100)), pa.int64(), pa.int64())
    for type_ in (pa.int64(), pa.float64()):
        outcome = compare(reference, column_of(list(range(50)), type_, pa.int64()))
        assert outcome.statistic == 1.0
        assert outcome.explanation["direction"] == "lower"
    rounded = column_of([float(BIG)] * 49 + [2.0 * BIG], pa.float64(), pa.int64())
    assert explained(reference, rounded)["median_current"] == float(BIG)


def test_decimals_of_another_scale_are_the_same_decimals() -> None:
    cents = [Decimal(BIG + k) / 100 for k in range(80)]
    two, four = pa.decimal128(38, 2), pa.decimal128(38, 4)
    outcome = compare(column_of(cents, two, two), column_of(cents, four, two))
    assert outcome.statistic == 0.0


@pytest.mark.parametrize("narrow", ["reference", "batch"])
def test_the_same_values_as_float32_and_as_float64_are_no_shift(narrow: str) -> None:
    tenths = (np.arange(300) % 10 / 10).tolist()
    types = {"reference": pa.float64(), "batch": pa.float64(), narrow: pa.float32()}
    reference = column_of(tenths, types["reference"], types["reference"])
    current = column_of(tenths[:90], types["batch"], types["reference"])
    outcome = compare(reference, current)
    assert outcome.statistic == 0.0
    assert outcome.p_value == 1.0


def test_both_zeros_are_one_value_and_infinities_are_the_ends() -> None:
    inf = float("inf")
    reference = column_of([0.0, -inf, inf] * 40, pa.float64(), pa.float64())
    current = column_of([-0.0, -inf, inf] * 20, pa.float64(), pa.float64())
    assert compare(reference, current).statistic == 0.0


def _run(folder: Path, reference: pa.Array, batch: pa.Array) -> Run:
    for name, values in (("reference", reference), ("batch", batch)):
        pq.write_table(pa.table({"x": values}), folder / f"{name}.parquet", row_group_size=100)
    settings = ModelSettings(
        name="m",
        reference=str(folder / "reference.parquet"),
        batches=str(folder),
        tests=TestsSettings(ks=KsSettings()),
    )
    context = Context(settings, AlarmSettings(), 0, str(folder / "cache"), "test")
    return judged(context, batch_of(folder / "batch.parquet")).run


@pytest.mark.parametrize(
    "type_", [pa.int64(), pa.uint64(), pa.decimal128(38, 0), pa.decimal256(60, 0)], ids=str
)
def test_from_parquet_to_the_verdict_a_shift_below_float64s_grain_is_found(
    type_: pa.DataType, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    base = 2**63 - 200 if type_ == pa.uint64() else BIG

    def drawn(rows: int, shift: int) -> pa.Array:
        numbers = (base + shift + int(k) for k in rng.integers(0, 120, rows))
        decimal = pa.types.is_decimal(type_)
        return pa.array([Decimal(n) if decimal else n for n in numbers], type_)

    assert _run(tmp_path, drawn(900, 0), drawn(300, 0)).verdict == "no_shift"
    run = _run(tmp_path, drawn(900, 0), drawn(300, 40))
    assert run.verdict == "shift"
    (result,) = [entry for entry in run.results if entry.test == "ks"]
    assert result.statistic == pytest.approx(1 / 3, abs=0.1)
