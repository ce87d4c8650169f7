"""Arrow columns to numpy columns, held against plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.errors import DataError
from shiftwatch.sample import Column
from shiftwatch.source.columns import comparable, constant, join, kind_of, to_column
from shiftwatch.values import Kind, SchemaColumn

TEXT_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
NUMBER_DICTIONARY = pa.dictionary(pa.int8(), pa.int64())


def schema(type_: pa.DataType, categorical: Sequence[str] = ()) -> SchemaColumn:
    return SchemaColumn("x", kind_of(type_, "x", categorical), "input", str(type_))


def column_of(values: Any, type_: pa.DataType, categorical: Sequence[str] = ()) -> Column:
    array = pa.chunked_array([pa.array(values, type_)])
    return to_column(array, schema(type_, categorical))


def texts(column: Column) -> list[str | None]:
    return [None if code < 0 else column.categories[int(code)] for code in column.values]


KINDS: list[tuple[pa.DataType, Kind, Kind]] = [
    # type, kind, kind where the column is named in `categorical`
    (pa.float16(), "numeric", "numeric"),
    (pa.float32(), "numeric", "numeric"),
    (pa.float64(), "numeric", "numeric"),
    (pa.int8(), "numeric", "categorical"),
    (pa.uint64(), "numeric", "categorical"),
    (pa.decimal32(5, 2), "numeric", "numeric"),
    (pa.decimal128(10, 2), "numeric", "numeric"),
    (pa.decimal256(50, 2), "numeric", "numeric"),
    (pa.duration("ms"), "numeric", "numeric"),
    (pa.bool_(), "categorical", "categorical"),
    (pa.string(), "categorical", "categorical"),
    (pa.large_string(), "categorical", "categorical"),
    (pa.string_view(), "categorical", "categorical"),
    (pa.json_(), "categorical", "categorical"),
    (TEXT_DICTIONARY, "categorical", "categorical"),
    (pa.dictionary(pa.int8(), pa.bool_()), "categorical", "categorical"),
    (NUMBER_DICTIONARY, "numeric", "categorical"),
    (pa.timestamp("ns", "Asia/Tokyo"), "timestamp", "timestamp"),
    (pa.timestamp("s"), "timestamp", "timestamp"),
    (pa.date32(), "timestamp", "timestamp"),
    (pa.date64(), "timestamp", "timestamp"),
    (pa.null(), "unsupported", "unsupported"),
    (pa.binary(), "unsupported", "unsupported"),
    (pa.binary(4), "unsupported", "unsupported"),
    (pa.uuid(), "unsupported", "unsupported"),
    (pa.time64("us"), "unsupported", "unsupported"),
    (pa.list_(pa.float64()), "unsupported", "unsupported"),
    (pa.struct([("a", pa.int8())]), "unsupported", "unsupported"),
    (pa.map_(pa.string(), pa.int8()), "unsupported", "unsupported"),
]


@pytest.mark.parametrize(("type_", "plain", "listed"), KINDS, ids=str)
def test_every_arrow_type_has_its_kind(type_: pa.DataType, plain: Kind, listed: Kind) -> None:
    assert kind_of(type_, "x", ()) == plain
    assert kind_of(type_, "x", ("x",)) == listed
    assert kind_of(type_, "x", ("y",)) == plain


@pytest.mark.parametrize(("type_", "plain", "listed"), KINDS, ids=str)
def test_a_column_of_any_type_without_a_value_is_all_null(
    type_: pa.DataType, plain: Kind, listed: Kind
) -> None:
    for categorical, kind in (((), plain), (("x",), listed)):
        for array in (pa.nulls(3, type_), pa.nulls(3)):
            column = to_column(pa.chunked_array([array]), schema(type_, categorical))
            assert (column.kind, column.rows, column.nulls) == (kind, 3, 3)
            assert column.values.size == (0 if kind == "unsupported" else 3)
            assert column.categories == ()


@pytest.mark.parametrize(("type_", "plain", "listed"), KINDS, ids=str)
def test_a_column_of_any_type_without_rows_has_its_shape(
    type_: pa.DataType, plain: Kind, listed: Kind
) -> None:
    del plain, listed
    for array in (pa.chunked_array([], type_), pa.chunked_array([pa.array([], type_)])):
        column = to_column(array, schema(type_))
        assert (column.rows, column.values.size, column.categories) == (0, 0, ())


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1.5, None, -2.0], pa.float16(), [1.5, math.nan, -2.0]),
        ([1, None, 2**53], pa.int64(), [1.0, math.nan, 2.0**53]),
        ([2**64 - 1, None], pa.uint64(), [2.0**64, math.nan]),
        ([Decimal("1.25"), None], pa.decimal128(10, 2), [1.25, math.nan]),
        ([Decimal("1.25"), None], pa.decimal256(50, 2), [1.25, math.nan]),
        ([timedelta(seconds=1.5), None], pa.duration("us"), [1.5, math.nan]),
        ([timedelta(seconds=2), None], pa.duration("s"), [2.0, math.nan]),
        ([math.nan, math.inf, -math.inf], pa.float64(), [math.nan, math.inf, -math.inf]),
        ([7, None, 7], NUMBER_DICTIONARY, [7.0, math.nan, 7.0]),
    ],
)
def test_numbers_become_float64_with_nan_for_null(
    values: list[Any], type_: pa.DataType, expected: list[float]
) -> None:
    column = column_of(values, type_)
    assert column.values.dtype == np.float64
    np.testing.assert_array_equal(column.values, expected)
    np.testing.assert_array_equal(column.valid, ~np.isnan(expected))


NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([NOON, None], pa.timestamp("s", "UTC")),
        ([NOON, None], pa.timestamp("ms", "America/New_York")),
        ([NOON, None], pa.timestamp("us", "+05:30")),
        ([NOON.astimezone(timezone(timedelta(hours=9))), None], pa.timestamp("ns", "UTC")),
        ([NOON.replace(tzinfo=None), None], pa.timestamp("ns")),
    ],
)
def test_timestamps_of_any_unit_and_zone_are_unix_seconds(
    values: list[Any], type_: pa.DataType
) -> None:
    column = column_of(values, type_)
    assert column.present.tolist() == [NOON.timestamp()]
    assert column.valid.tolist() == [True, False]


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()])
def test_dates_are_midnight_in_utc(type_: pa.DataType) -> None:
    column = column_of([date(1969, 12, 31), date(2024, 2, 29)], type_)
    assert column.values.tolist() == [-86400.0, datetime(2024, 2, 29, tzinfo=UTC).timestamp()]


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["b", None, "a", "b"], pa.string(), ("b", "a")),
        (["b", None, "a", "b"], pa.large_string(), ("b", "a")),
        (["b", None, "a", "b"], pa.string_view(), ("b", "a")),
        (["b", None, "a", "b"], TEXT_DICTIONARY, ("b", "a")),
        ([True, None, False, True], pa.bool_(), ("true", "false")),
        ([-3, None, 20, -3], pa.int16(), ("-3", "20")),
        ([2**64 - 1, None, 0, 2**64 - 1], pa.uint64(), (str(2**64 - 1), "0")),
        ([5, None, 6, 5], NUMBER_DICTIONARY, ("5", "6")),
        (["", None, " ", ""], pa.string(), ("", " ")),
    ],
)
def test_categories_are_texts_in_order_of_first_appearance(
    values: list[Any], type_: pa.DataType, expected: tuple[str, ...]
) -> None:
    column = column_of(values, type_, ["x"])
    assert column.categories == expected
    assert column.values.dtype == np.int32
    assert column.values.tolist() == [0, -1, 1, 0]
    assert column.valid.tolist() == [True, False, True, True]


def test_a_dictionary_may_hold_unused_repeated_and_null_entries() -> None:
    dictionary = pa.array(["unused", "a", None, "b", "a"])
    indices = pa.array([3, 4, 2, None, 1], pa.uint8())
    array = pa.DictionaryArray.from_arrays(indices, dictionary)
    column = to_column(pa.chunked_array([array]), schema(array.type))
    assert texts(column) == ["b", "a", None, None, "a"]
    assert column.categories == ("b", "a")


def test_texts_that_are_no_utf8_are_replaced_and_crash_nothing() -> None:
    offsets = pa.py_buffer(np.array([0, 2, 3, 5], np.int32).tobytes())
    array = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"a\xffb\xfea"))
    column = to_column(pa.chunked_array([array]), schema(pa.string()))
    assert texts(column) == ["a\N{REPLACEMENT CHARACTER}", "b", "\N{REPLACEMENT CHARACTER}a"]


def test_whole_numbers_that_come_as_floats_are_the_same_categories() -> None:
    whole = schema(pa.int64(), ["x"])
    column = to_column(pa.chunked_array([pa.array([3.0, None, math.nan, -0.0, 3.0])]), whole)
    assert texts(column) == ["3", None, None, "0", "3"]


@pytest.mark.parametrize("value", [0.5, math.inf])
def test_floats_that_are_no_whole_numbers_are_no_categories(value: float) -> None:
    whole = schema(pa.int64(), ["x"])
    with pytest.raises(DataError) as caught:
        to_column(pa.chunked_array([pa.array([1.0, value])]), whole)
    assert str(caught.value) == "x: int64 in the reference, double with fractions here"


def test_unsupported_columns_keep_only_their_nulls() -> None:
    column = column_of([[1.0], None, []], pa.list_(pa.float64()))
    assert (column.kind, column.values.size, column.valid.tolist()) == (
        "unsupported",
        0,
        [True, False, True],
    )


optional_texts = st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30)


@given(st.lists(optional_texts, max_size=4), st.booleans())
def test_any_texts_in_any_chunks_come_back(
    chunks: list[list[str | None]], as_dictionary: bool
) -> None:
    arrays = [pa.array(chunk, pa.string()) for chunk in chunks]
    if as_dictionary:
        arrays = [array.dictionary_encode() for array in arrays]
    type_ = TEXT_DICTIONARY if as_dictionary else pa.string()
    column = to_column(pa.chunked_array(arrays, type_), schema(type_))
    flat = [text for chunk in chunks for text in chunk]
    assert texts(column) == flat
    assert column.categories == tuple(dict.fromkeys(text for text in flat if text is not None))


@given(st.lists(optional_texts, min_size=1, max_size=4))
def test_joining_parts_equals_converting_the_whole(chunks: list[list[str | None]]) -> None:
    parts = [column_of(chunk, pa.string()) for chunk in chunks]
    whole = column_of([text for chunk in chunks for text in chunk], pa.string())
    joined = join(parts)
    assert joined.categories == whole.categories
    np.testing.assert_array_equal(joined.values, whole.values)
    np.testing.assert_array_equal(joined.valid, whole.valid)


def test_joined_numbers_stand_one_after_the_other() -> None:
    joined = join([column_of([1.0, None], pa.float64()), column_of([3], pa.int8())])
    np.testing.assert_array_equal(joined.values, [1.0, math.nan, 3.0])
    assert joined.valid.tolist() == [True, False, True]


def test_a_constant_column_has_one_category_or_only_nulls() -> None:
    assert texts(constant("north", 2, schema(pa.string()))) == ["north", "north"]
    assert constant(None, 2, schema(pa.string())).nulls == 2
    assert constant("north", 0, schema(pa.string())).rows == 0


@pytest.mark.parametrize(
    ("reference", "categorical", "batch", "answer"),
    [
        (pa.int64(), False, pa.float32(), True),
        (pa.float64(), False, pa.decimal128(5, 2), True),
        (pa.float64(), False, pa.null(), True),
        (pa.float64(), False, pa.string(), False),
        (pa.float64(), False, pa.bool_(), False),
        (pa.float64(), False, pa.timestamp("s"), False),
        (pa.float64(), False, pa.list_(pa.float64()), False),
        (pa.string(), False, pa.large_string(), True),
        (pa.string(), False, TEXT_DICTIONARY, True),
        (TEXT_DICTIONARY, False, pa.string(), True),
        (pa.string(), False, pa.int64(), False),
        (pa.string(), False, pa.bool_(), False),
        (pa.string(), False, pa.binary(), False),
        (pa.string(), False, pa.null(), True),
        (pa.bool_(), False, pa.bool_(), True),
        (pa.bool_(), False, pa.int8(), False),
        (pa.int64(), True, pa.uint8(), True),
        (pa.int64(), True, NUMBER_DICTIONARY, True),
        (NUMBER_DICTIONARY, True, pa.int16(), True),
        (pa.int64(), True, pa.float64(), True),
        (pa.int64(), True, pa.string(), False),
        (pa.string(), False, pa.float64(), False),
        (pa.timestamp("ns", "UTC"), False, pa.date32(), True),
        (pa.timestamp("ns", "UTC"), False, pa.int64(), False),
        (pa.list_(pa.int8()), False, pa.string(), True),
    ],
)
def test_which_types_can_be_compared(
    reference: pa.DataType, categorical: bool, batch: pa.DataType, answer: bool
) -> None:
    column = schema(reference, ["x"] if categorical else [])
    assert comparable(batch, column) is answer
    if answer:
        assert to_column(pa.chunked_array([pa.nulls(2, batch)]), column).nulls == 2


@pytest.mark.parametrize("indices", [[0, 3], [0, -1], [-7, None], [2**31 - 1, None, 1]])
def test_a_value_that_its_dictionary_does_not_hold_is_damage_and_no_null_nor_category(
    indices: list[int | None],
) -> None:
    # As a page with a flipped bit is read; pyarrow lets it pass where a dictionary is asked for.
    unchecked = pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32()), pa.array(["a", "b", "c"]), safe=False
    )
    with pytest.raises(pa.ArrowInvalid, match="its dictionary does not hold"):
        to_column(pa.chunked_array([unchecked]), schema(TEXT_DICTIONARY))
