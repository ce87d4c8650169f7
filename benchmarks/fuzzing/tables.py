"""Arrow tables of any type Parquet can hold, drawn by hypothesis.

In:    nothing.
Out:   strategies for tables.
Never: draws a value by itself where a seed will do: shrinking is for schemas, values are many.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import assume
from hypothesis import strategies as st

_EXTREMES: dict[str, tuple[Any, ...]] = {
    "float": (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 5e-324, 1.7e308, 1e39, 65504.0),
    "text": ("", "\x00", "é" * 40, "\u202e", "=1+1", "<b>", "9" * 300, "True", "1.0", "null"),
}

NAMES = st.sampled_from(
    ["x", "X", "y", "z", "", " ", "a.b", "a", "ß", "SS", "é", "\x00", "\n", "*"]
)
"""Some that meet by case, dots that look like nesting, and the mark of joint tests."""

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

SCALARS: tuple[pa.DataType, ...] = (
    pa.null(),
    pa.bool_(),
    *(getattr(pa, name)() for name in _INTEGERS),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.decimal32(9, 2),
    pa.decimal64(18, 0),
    pa.decimal128(5, 2),
    pa.decimal128(38, 0),
    pa.decimal256(76, 10),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.binary(3),
    pa.date32(),
    pa.date64(),
    pa.time32("ms"),
    pa.time64("ns"),
    *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    pa.timestamp("us", "UTC"),
    pa.timestamp("ns", "Asia/Tokyo"),
    pa.timestamp("ms", "+05:30"),
    *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
)

_KEYS = (
    pa.int8(),
    pa.int64(),
    pa.uint16(),
    pa.float32(),
    pa.float64(),
    pa.bool_(),
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.timestamp("ms"),
    pa.date32(),
    pa.decimal128(5, 2),
    pa.duration("s"),
)


def _nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    return st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda each: pa.list_(each, 2)),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda each: pa.struct([(f"f{place}", type_) for place, type_ in enumerate(each)])
        ),
        inner.map(lambda each: pa.map_(pa.string(), each)),
    )


TYPES: st.SearchStrategy[pa.DataType] = st.one_of(
    st.sampled_from(SCALARS),
    st.sampled_from(_KEYS).map(lambda values: pa.dictionary(pa.int32(), values)),
    _nested(st.recursive(st.sampled_from(SCALARS), _nested, max_leaves=3)),
    st.sampled_from([pa.uuid(), pa.json_(), pa.bool8()]),
)

FORMS = ("usual", "extreme", "constant", "nulls", "none")


def column(type_: pa.DataType, form: str, rows: int, chance: int) -> pa.Array:
    """One column: a type, a form of its values, and a seed for them."""
    rng = np.random.default_rng(chance)
    if form == "none":
        return pa.nulls(rows, type_)
    count = min(1, rows) if form == "constant" else rows
    values = [_value(type_, rng, form) for _ in range(count)]
    if form == "nulls":
        values = [None if rng.random() < 0.4 else value for value in values]
    return array(values * rows if form == "constant" else values, type_)


@st.composite
def columns(draw: st.DrawFn, rows: int, type_: pa.DataType | None = None) -> pa.Array:
    """One column, of any type if none is given."""
    chosen = draw(TYPES) if type_ is None else type_
    chance = draw(st.integers(0, 2**32 - 1))
    return column(chosen, draw(st.sampled_from(FORMS)), rows, chance)


def array(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Values as a type, also as one that Arrow makes no array of by itself."""
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, pa.array(values, type_.storage_type))
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode().cast(type_)
    return pa.array(values, type_)


ROWS = st.sampled_from([0, 1, 12, 40, 40, 80])


@st.composite
def tables(draw: st.DrawFn, *, sound: bool = False) -> pa.Table:
    """A table of up to six columns; names may occur twice, but for a sound one."""
    rows = draw(ROWS)
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=sound))
    return pa.Table.from_arrays([draw(columns(rows)) for _ in names], names=names)


def stored(table: pa.Table) -> bytes | None:
    """The table as a Parquet file; None where pyarrow cannot write it, which is no input then."""
    sink = io.BytesIO()
    try:
        pq.write_table(table, sink)
    except (pa.ArrowException, OverflowError, ValueError):
        return None
    return sink.getvalue()


CLOCK = "when"
"""A column that may be the event time; of any type in the batch."""

_CLOCKS = (
    pa.timestamp("us", "UTC"),
    pa.timestamp("s"),
    pa.timestamp("ns", "Asia/Tokyo"),
    pa.date32(),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """A reference and a batch: the same columns with other values, one of them another, or anything."""
    reference = draw(tables(sound=draw(st.integers(0, 9)) > 0))
    how = draw(st.sampled_from(["same", "same", "changed", "any"]))
    if how == "any":
        return reference, draw(tables())
    rows = draw(ROWS)
    made = [draw(columns(rows, field.type)) for field in reference.schema]
    batch = pa.Table.from_arrays(made, names=reference.column_names)
    if how == "same":
        return reference, batch
    place = draw(st.integers(0, reference.num_columns - 1))
    name = draw(st.sampled_from([reference.column_names[place], "other"]))
    return reference, batch.set_column(place, name, draw(columns(rows)))


@st.composite
def timed(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """As :func:`pairs`, with an event time on the reference and mostly on the batch."""
    reference, batch = draw(pairs())
    kind = draw(st.sampled_from(_CLOCKS))
    first = draw(columns(reference.num_rows, kind))
    second = draw(columns(batch.num_rows, draw(st.sampled_from([kind, kind, None]))))
    return reference.append_column(CLOCK, first), batch.append_column(CLOCK, second)


@st.composite
def fed(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """A reference with numbers a model may want, and a batch with those, or others, or none."""
    numbers = st.sampled_from([type_ for type_ in SCALARS if _is_number(type_)])
    types = [draw(numbers), draw(numbers), draw(TYPES)]
    rows = draw(ROWS)
    reference = pa.table(
        {name: draw(columns(40, type_)) for name, type_ in zip("xis", types, strict=True)}
    )
    kept = [draw(st.sampled_from([type_, type_, type_, None])) for type_ in types]
    batch = pa.table(
        {name: draw(columns(rows, type_)) for name, type_ in zip("xis", kept, strict=True)}
    )
    return reference, batch.drop_columns(draw(st.sampled_from([[], [], [], ["x"], ["i", "s"]])))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


KINDS: dict[str, Callable[[], st.SearchStrategy[tuple[pa.Table, pa.Table]]]] = {
    "any": pairs,
    "timed": timed,
    "fed": fed,
}


@st.composite
def files(draw: st.DrawFn, kind: str = "any") -> tuple[bytes, bytes]:
    """A reference and a batch as Parquet files."""
    written = [stored(table) for table in draw(KINDS[kind]())]
    assume(None not in written)
    first, second = written
    return first or b"", second or b""


def _value(type_: pa.DataType, rng: np.random.Generator, form: str) -> Any:
    """One value of a type; about half of the extreme ones are at the ends of what it holds."""
    if isinstance(type_, pa.BaseExtensionType):
        return _value(type_.storage_type, rng, form)
    if pa.types.is_dictionary(type_):
        return _value(type_.value_type, rng, form)
    extreme = form == "extreme" and rng.random() < 0.5
    for fits, make in _MAKERS:
        if fits(type_):
            return make(type_, rng, extreme)
    return None


_Maker = Callable[[pa.DataType, np.random.Generator, bool], Any]


def _integer(bits: int, *, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def _an_integer(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> int:
    ends = _integer(type_.bit_width, signed=pa.types.is_signed_integer(type_))
    return ends[int(rng.integers(2))] if extreme else int(rng.integers(0, 20))


def _a_float(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> Any:
    value = rng.choice(_EXTREMES["float"]) if extreme else rng.normal()
    if pa.types.is_float16(type_):
        with np.errstate(over="ignore"):
            return np.float16(value)
    return float(value)


def _a_decimal(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> Decimal:
    digits = "9" * type_.precision if extreme else str(int(rng.integers(0, 20)))
    sign = int(rng.integers(2)) if extreme else 0
    return Decimal((sign, tuple(map(int, digits)), -type_.scale))


def _a_text(_: pa.DataType, rng: np.random.Generator, extreme: bool) -> str:
    return str(rng.choice(_EXTREMES["text"])) if extreme else f"t{rng.integers(0, 9)}"


def _bytes(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> bytes:
    fixed = pa.types.is_fixed_size_binary(type_)
    return rng.bytes(type_.byte_width if fixed else int(rng.integers(0, 200 if extreme else 4)))


def _a_time(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> int:
    """As the number it is stored as; days that are no whole number of days are not tried."""
    day = pa.types.is_date64(type_)
    if extreme and not day:
        ends = _integer(type_.bit_width, signed=True)
        return ends[int(rng.integers(2))]
    if pa.types.is_date(type_):
        return int(rng.integers(0, 20)) * (86_400_000 if day else 1)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type_.unit]
    return int(rng.integers(0, 200_000)) * per_second


def _a_struct(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> dict[str, Any]:
    form = "extreme" if extreme else "usual"
    return {field.name: _value(field.type, rng, form) for field in type_}


def _a_list(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> list[Any]:
    fixed = pa.types.is_fixed_size_list(type_)
    length = type_.list_size if fixed else int(rng.integers(0, 4))
    form = "extreme" if extreme else "usual"
    return [_value(type_.value_type, rng, form) for _ in range(length)]


def _a_map(type_: pa.DataType, rng: np.random.Generator, extreme: bool) -> list[tuple[str, Any]]:
    form = "extreme" if extreme else "usual"
    return [(f"k{n}", _value(type_.item_type, rng, form)) for n in range(int(rng.integers(0, 3)))]


def _a_boolean(_: pa.DataType, rng: np.random.Generator, extreme: bool) -> bool:
    return extreme or bool(rng.random() < 0.5)


def _a_clock(_: pa.DataType, rng: np.random.Generator, extreme: bool) -> dt.time:
    return dt.time(23, 59, 59) if extreme else dt.time(int(rng.integers(0, 23)))


_MAKERS: tuple[tuple[Callable[[pa.DataType], bool], _Maker], ...] = (
    (pa.types.is_map, _a_map),
    (lambda type_: pa.types.is_list(type_) or pa.types.is_large_list(type_), _a_list),
    (pa.types.is_fixed_size_list, _a_list),
    (pa.types.is_struct, _a_struct),
    (pa.types.is_boolean, _a_boolean),
    (pa.types.is_integer, _an_integer),
    (pa.types.is_floating, _a_float),
    (pa.types.is_decimal, _a_decimal),
    (lambda type_: str(type_) in ("string", "large_string", "string_view"), _a_text),
    (lambda type_: "binary" in str(type_), _bytes),
    (pa.types.is_time, _a_clock),
    (pa.types.is_temporal, _a_time),
)
