"""Arrow columns to numpy columns: what each can be tested as, and its values.

In:    Arrow types and arrays.
Out:   Kind, Column.
Never: opens a file; loops over rows in Python.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shiftwatch import whole
from shiftwatch.errors import DataError
from shiftwatch.sample import Codes, Column, Floats
from shiftwatch.values import Kind, SchemaColumn

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_SECONDS_A_DAY = 86400.0
_DICTIONARY = re.compile(r"dictionary<values=(?P<values>[^,]+),")
_NARROW = {"float": np.float32, "halffloat": np.float16}
_TEXTS = ("string", "large_string", "string_view")


def kind_of(type_: pa.DataType, name: str, categorical: Collection[str]) -> Kind:
    """What a column of this type can be tested as.

    Parameters
    ----------
    type_
        Arrow type. Dictionaries count as their values, extension types as their storage.
    name
        Name of the column.
    categorical
        Names of integer columns to be tested as categories; texts and booleans always are.

    Examples
    --------
    >>> kind_of(pa.int8(), "plan", ()), kind_of(pa.int8(), "plan", ("plan",))
    ('numeric', 'categorical')
    >>> kind_of(pa.list_(pa.int8()), "path", ())
    'unsupported'
    """
    values = _values_type(type_)
    if _is_text(values) or pa.types.is_boolean(values):
        return "categorical"
    if pa.types.is_integer(values) and name in categorical:
        return "categorical"
    if _is_number(values):
        return "numeric"
    if pa.types.is_timestamp(values) or pa.types.is_date(values):
        return "timestamp"
    return "unsupported"


def comparable(type_: pa.DataType, column: SchemaColumn) -> bool:
    """Whether values of this type can be held against a column of the reference.

    Widths do not matter, nor does a dictionary. Categories must stay texts, booleans or whole
    numbers; whole numbers may come as floats, which is what a null makes of them in some writers.
    A column without any value (type ``null``) can be compared with every kind.
    """
    values = _values_type(type_)
    if pa.types.is_null(values) or column.kind == "unsupported":
        return True
    if column.kind == "numeric":
        return _is_number(values)
    if column.kind == "timestamp":
        return kind_of(values, "", ()) == "timestamp"
    family = _family(str(values))
    whole_as_float = family == "float" and _family(column.type) == "integer"
    return whole_as_float or (family != "other" and family == _family(column.type))


def to_column(array: pa.ChunkedArray, column: SchemaColumn) -> Column:
    """Values of a column, as what the reference says it is.

    Parameters
    ----------
    array
        Any number of rows, of a type that is :func:`comparable`.
    column
        The column of the reference.

    Returns
    -------
    Column
        ``numeric``: float64, rounded to float32 if the reference is; durations in seconds; NaN is
        null; infinities are kept. Whole numbers beyond 2**53 and decimals of as many digits have
        their exact values beside.
        ``categorical``: int32 codes; booleans are the texts ``false`` and ``true``, whole numbers
        their digits; bytes that are not UTF-8 become U+FFFD. ``timestamp``: float64 unix seconds,
        a time without a zone taken as UTC; beyond 2**53 units the last digits are rounded
        (nanoseconds: to 0.3 microseconds today). ``unsupported``: nulls only.

    Raises
    ------
    DataError
        If a float in a column of whole-number categories has a fraction.
    pyarrow.ArrowInvalid
        If a page is damaged so that a value is not in its dictionary.

    Examples
    --------
    >>> days = pa.chunked_array([pa.array([1, None], pa.date32())])
    >>> to_column(days, SchemaColumn("day", "timestamp", "input", "date32[day]")).present.tolist()
    [86400.0]
    """
    if pa.types.is_null(array.type):
        return _all_null(len(array), column)
    if column.kind == "unsupported":
        valid = array.is_valid().to_numpy()
        return _column(column, np.zeros(0), valid.astype(np.bool_))
    plain = _without_wrapping(array)
    if column.kind == "categorical":
        return _categories(plain, column)
    if column.kind == "numeric":
        return _numeric(plain, column)
    values = _unix_seconds(plain)
    return _column(column, values, ~np.isnan(values))


def join(parts: Sequence[Column]) -> Column:
    """The rows of several columns of one name and kind, one after the other; at least one part."""
    first = parts[0]
    if len(parts) == 1:
        return first
    valid = np.concatenate([part.valid for part in parts])
    if first.kind != "categorical":
        values = np.concatenate([part.values for part in parts])
        single = all(part.single for part in parts)
        return replace(first, values=values, valid=valid, exact=_joined(parts), single=single)
    index: dict[str, int] = {}
    codes = [_recoded(part, index) for part in parts]
    return replace(first, values=np.concatenate(codes), valid=valid, categories=tuple(index))


def constant(text: str | None, rows: int, column: SchemaColumn) -> Column:
    """The same text, or null, in every row: a partition folder as a column."""
    if text is None:
        return _all_null(rows, column)
    same = pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), [text])
    return to_column(pa.chunked_array([same]), column)


def light(array: pa.Array, column: SchemaColumn) -> pa.Array:
    """An array that rows can be taken from: views as texts, unsupported values as mere presence."""
    if column.kind == "unsupported":
        return _compute().if_else(array.is_valid(), True, pa.scalar(None, pa.bool_()))
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    return array.cast(pa.large_string()) if str(array.type) == "string_view" else array


def _compute() -> Any:
    """Arrow's functions on arrays: plain numbers and texts need none, and not the 20 ms to import."""
    import pyarrow.compute  # noqa: PLC0415 - see above

    return pyarrow.compute


def _values_type(type_: pa.DataType) -> pa.DataType:
    if isinstance(type_, pa.BaseExtensionType):
        return _values_type(type_.storage_type)
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _is_text(type_: pa.DataType) -> bool:
    return str(type_) in _TEXTS


def _is_number(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(type_)
        or pa.types.is_integer(type_)
        or pa.types.is_decimal(type_)
        or pa.types.is_duration(type_)
    )


def _family(type_text: str) -> str:
    """What values are as categories, from the text of an Arrow type (the reference's is text)."""
    dictionary = _DICTIONARY.match(type_text)
    text = dictionary["values"] if dictionary is not None else type_text
    if text in _TEXTS or text == "extension<arrow.json>":
        return "text"
    if re.fullmatch(r"u?int(8|16|32|64)", text):
        return "integer"
    return {"bool": "bool", "halffloat": "float", "float": "float", "double": "float"}.get(
        text, "other"
    )


def _without_wrapping(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Storage instead of extension types, texts instead of views, numbers out of dictionaries."""
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        storage = [chunk.storage for chunk in array.chunks]
        return _without_wrapping(pa.chunked_array(storage, type_.storage_type))
    if str(type_) == "string_view":
        return array.cast(pa.large_string())
    if pa.types.is_dictionary(type_) and not _is_text(type_.value_type):
        return array.cast(type_.value_type)
    return array


def _column(column: SchemaColumn, values: Floats | Codes, valid: NDArray[np.bool_]) -> Column:
    return Column(column.name, column.kind, column.role, column.type, values, valid)


def _all_null(rows: int, column: SchemaColumn) -> Column:
    valid = np.zeros(rows, dtype=np.bool_)
    if column.kind == "unsupported":
        return _column(column, np.zeros(0), valid)
    if column.kind == "categorical":
        return _column(column, np.full(rows, -1, dtype=np.int32), valid)
    return _column(column, np.full(rows, np.nan), valid)


def _numeric(array: pa.ChunkedArray, column: SchemaColumn) -> Column:
    values = _numbers(array)
    narrow = str(array.type) in _NARROW
    if column.type in _NARROW and not narrow:
        with np.errstate(over="ignore"):  # beyond float32 is infinite there as well
            values = values.astype(_NARROW[column.type]).astype(np.float64)
    found = _column(column, values, ~np.isnan(values))
    form = whole.form_of(column.type)
    exact = None if form is None or not whole.needed(form, values) else _exact(array, form)
    return replace(found, exact=exact, single=narrow and column.type == "double")


def _exact(array: pa.ChunkedArray, form: whole.Form) -> NDArray[np.int64] | None:
    """Exact values, 0 for null; None of floats, and of decimals beyond 64 bits."""
    if pa.types.is_integer(array.type) and not form.digits:
        numbers = _compute().fill_null(array, 0).to_numpy()
        if pa.types.is_unsigned_integer(array.type):
            return form.of_unsigned(numbers.astype(np.uint64))
        return form.of_signed(numbers.astype(np.int64))
    if pa.types.is_floating(array.type) or pa.types.is_duration(array.type):
        return None
    try:
        unscaled = [_unscaled(chunk, form.digits) for chunk in array.chunks]
    except pa.ArrowInvalid:
        return None
    numbers, beyond = np.concatenate([np.zeros((0, 2), np.int64), *unscaled]).T
    fits = np.array_equal(beyond, numbers >> 63)  # the upper half repeats the sign
    return form.of_signed(np.ascontiguousarray(numbers)) if fits else None


def _unscaled(chunk: pa.Array, digits: int) -> NDArray[np.int64]:
    """Decimals as multiples of their last digit: both halves of 128 bits, shape (rows, 2)."""
    same = chunk.cast(pa.decimal128(38, digits), safe=False)
    halves = np.frombuffer(same.buffers()[1], dtype="<i8").reshape(-1, 2)
    halves = halves[same.offset : same.offset + len(same)]
    return np.where(same.is_valid().to_numpy(zero_copy_only=False)[:, None], halves, 0)


def _joined(parts: Sequence[Column]) -> NDArray[np.int64] | None:
    """Exact values of all parts; parts of small numbers have none and are written now."""
    form = whole.form_of(parts[0].type)
    if form is None or all(part.exact is None for part in parts):
        return None
    written = [
        form.written(part.values.astype(np.float64), part.valid)
        if part.exact is None
        else part.exact
        for part in parts
    ]
    exact = [part for part in written if part is not None]
    return np.concatenate(exact) if len(exact) == len(parts) else None


def _numbers(array: pa.ChunkedArray) -> Floats:
    if not pa.types.is_duration(array.type):
        return _floats(array)
    return _floats(array.cast(pa.int64())) / _PER_SECOND[array.type.unit]


def _unix_seconds(array: pa.ChunkedArray) -> Floats:
    """Timestamps or dates as unix seconds in float64, NaN where null; shape (rows,)."""
    type_ = array.type
    if pa.types.is_date32(type_):
        return _floats(array.cast(pa.int32())) * _SECONDS_A_DAY
    per_second = _PER_SECOND["ms" if pa.types.is_date64(type_) else type_.unit]
    return _floats(array.cast(pa.int64())) / per_second


def _floats(array: pa.ChunkedArray) -> Floats:
    """Float64 with NaN for null; whole numbers beyond 2**53 are rounded."""
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        array = array.cast(pa.float64(), safe=False)
    with np.errstate(invalid="ignore"):  # a NaN that signals is one like any other
        return np.asarray(array.to_numpy(), dtype=np.float64)


def _categories(array: pa.ChunkedArray, column: SchemaColumn) -> Column:
    if pa.types.is_floating(array.type):
        array = _whole(array, column)
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    parts = [_coded(chunk, column) for chunk in encoded.chunks]
    return join(parts or [_all_null(0, column)])


def _whole(array: pa.ChunkedArray, column: SchemaColumn) -> pa.ChunkedArray:
    """Floats without fractions as whole numbers; NaN, which some writers mean as null, as null."""
    pc = _compute()
    present = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    try:
        return present.cast(pa.int64())
    except pa.ArrowInvalid as fault:
        raise DataError(
            f"{column.type} in the reference, {array.type} with fractions here", where=column.name
        ) from fault


def _coded(chunk: pa.DictionaryArray, column: SchemaColumn) -> Column:
    indices = chunk.indices.to_numpy(zero_copy_only=False)
    # A damaged page is not looked at by pyarrow 26: the index stands as it is, and may be anything.
    if ((indices < 0) | (indices >= len(chunk.dictionary))).any():
        raise pa.ArrowInvalid(
            f"column {column.name!r} has values that its dictionary does not hold"
        )
    if chunk.indices.null_count:  # then they are floats, NaN where null
        indices = np.where(np.isnan(indices), -1, indices)
    codes = indices.astype(np.int64)
    mapping, categories = _compact(codes, _texts(chunk.dictionary))
    values = mapping[codes]
    return replace(_column(column, values, values >= 0), categories=categories)


def _texts(dictionary: pa.Array) -> list[str | None]:
    if not _is_text(dictionary.type):
        dictionary = dictionary.cast(pa.string())
    try:
        texts: list[str | None] = dictionary.to_pylist()
    except UnicodeDecodeError:
        binary = dictionary.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
        return [None if each is None else each.decode(errors="replace") for each in binary]
    return texts


def _compact(
    codes: NDArray[np.int64], texts: Sequence[str | None]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """New codes by old ones, in order of first appearance; code -1 finds the last entry, null.

    A dictionary may hold unused, repeated or null entries; the answer holds none of them.
    """
    rows = np.flatnonzero(codes >= 0)[::-1]
    first = np.full(len(texts), codes.size, dtype=np.int64)
    first[codes[rows]] = rows  # of repeated indices the last is kept: the earliest row
    mapping = np.full(len(texts) + 1, -1, dtype=np.int32)
    index: dict[str, int] = {}
    for old in np.argsort(first, kind="stable")[: np.count_nonzero(first < codes.size)]:
        text = texts[old]
        if text is not None:
            mapping[old] = index.setdefault(text, len(index))
    return mapping, tuple(index)


def _recoded(part: Column, index: dict[str, int]) -> Codes:
    """Codes of a part in the categories of all parts, which grow by the new ones."""
    new = [index.setdefault(text, len(index)) for text in part.categories]
    mapping = np.array([*new, -1], dtype=np.int32)
    codes: Codes = mapping[part.values]
    return codes
