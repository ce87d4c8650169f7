"""Tables in memory as files, for the worker of a comparison.

In:    a table, or anything that offers itself as an Arrow stream.
Out:   a Parquet file with the same rows and types.
Never: changes a value; keeps an index as a column that nobody sees.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.errors import DataError
from shiftwatch.source.parquet import as_table


def write_table(data: object, path: Path) -> int:
    """Write a table; the number of its rows.

    Parameters
    ----------
    data
        A ``pyarrow.Table``, or anything with ``__arrow_c_stream__`` (pandas, polars, ...). The
        hidden index that pandas hands along (``__index_level_0__``) is left out.
    path
        Of the file to write; the folder exists.

    Raises
    ------
    DataError
        If it is no table, has no column, or holds what Parquet cannot.
    """
    table = as_table(data)
    hidden = [name for name in table.column_names if name.startswith("__index_level_")]
    table = table.drop_columns(hidden) if hidden else table
    if not table.num_columns:
        raise DataError("the table has no column")
    table = pa.table({name: _plain(table.column(name)) for name in table.column_names})
    try:
        pq.write_table(table, path, compression="none", store_schema=True)
    except (pa.ArrowException, OSError) as fault:
        first = str(fault).splitlines()[0]
        raise DataError(f"the table cannot be used: {first}") from fault
    return int(table.num_rows)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with texts that are not views, which Parquet does not take inside of categories."""
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
