"""Tables in memory as files, for the worker of a comparison.

In:    a table, or anything that offers itself as an Arrow stream, columns by name, or records.
Out:   a Parquet file with the same rows and types.
Never: changes a value; keeps an index as a column that nobody sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.errors import DataError
from shiftwatch.source.facts import one_line
from shiftwatch.source.matching import hidden

_HINT = (
    "give a path, a data frame, a pyarrow.Table, a dict of columns, or anything with "
    "__arrow_c_stream__"
)


def write_table(data: object, path: Path) -> int:
    """Write a table; the number of its rows.

    Parameters
    ----------
    data
        A ``pyarrow.Table``, anything with ``__arrow_c_stream__`` (pandas, polars, ...), a mapping
        of names to columns, or an array of records of numpy. The hidden index that pandas hands
        along (``__index_level_0__``) is left out.
    path
        Of the file to write; the folder exists.

    Raises
    ------
    DataError
        If it is no table, has no column or two of one name, or holds what Parquet cannot.
    """
    table = _plain(_seen(as_table(data)))
    try:
        pq.write_table(table, path, compression="none", store_schema=True)
    except (pa.ArrowException, OSError) as fault:
        raise _unwritable(table, fault) from fault
    return int(table.num_rows)


def as_table(data: object) -> pa.Table:
    """An Arrow table of what is one, or nearly; see :func:`write_table`.

    Raises
    ------
    DataError
        If it is none.

    Examples
    --------
    >>> as_table({"a": [1, 2], "b": ["x", None]}).num_rows
    2
    """
    if isinstance(data, pa.Table):
        return data
    columns = _has_columns(data)
    if not columns and not hasattr(data, "__arrow_c_stream__"):
        raise DataError(f"{type(data).__name__} is no table", hint=_hint(data))
    try:
        return pa.table(_columns(data) if columns else data)
    except (pa.ArrowException, ValueError, TypeError) as fault:
        what = f"{type(data).__name__} is no table: {one_line(fault)}"
        raise DataError(what, hint=_hint(data)) from fault


def _seen(table: pa.Table) -> pa.Table:
    """Without a hidden index."""
    places = [place for place, name in enumerate(table.column_names) if not hidden(name)]
    if not places:
        raise DataError("the table has no column")
    return table if len(places) == table.num_columns else table.select(places)


def _has_columns(data: Any) -> bool:
    if isinstance(data, Mapping):
        return True
    return bool(getattr(getattr(data, "dtype", None), "names", None))


def _columns(data: Any) -> dict[str, Any]:
    """Columns by name, of a mapping or of an array of records."""
    names = list(data) if isinstance(data, Mapping) else data.dtype.names
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise DataError(f"a column is named {wrong[0]!r}, which is no text", hint="rename it")
    return {name: data[name] for name in names}


def _hint(data: object) -> str:
    """What to do with what is nearly a table."""
    if hasattr(data, "collect"):
        return "collect() it first"
    if hasattr(data, "to_frame"):
        return "it is one column: give a table, such as to_frame()"
    if hasattr(data, "dtype"):
        return "name its columns: {'a': array[:, 0], 'b': array[:, 1]}"
    return _HINT


def _plain(table: pa.Table) -> pa.Table:
    """The table with texts that are not views, which Parquet does not take inside of categories."""
    columns = [_without_views(column) for column in table.columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
        chunks = [
            pa.DictionaryArray.from_arrays(
                chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.large_string())
            )
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.large_string()))
    return column


def _unwritable(table: pa.Table, fault: Exception) -> DataError:
    """Which columns it is for, if it is for their types."""
    names = [name for name in dict.fromkeys(table.column_names) if not _writable(table, name)]
    if not names:
        return DataError(f"the table cannot be used: {one_line(fault)}")
    named = ", ".join(f"{name!r} ({table.column(name).type})" for name in names[:5])
    return DataError(f"there is no Parquet type for {named}", hint="leave it out, or cast it")


def _writable(table: pa.Table, name: str) -> bool:
    try:
        empty = table.select([name]).slice(0, 0)
        pq.write_table(empty, pa.BufferOutputStream(), store_schema=True)
    except (pa.ArrowException, KeyError):
        return False
    return True
