"""How much of a file is in memory at a time: slices of rows, groups of columns.

In:    names of columns by how wide their values are; rows and bytes of a row group.
Out:   which columns to decode together, in slices of how many rows.
Never: looks into a column's footer entry, which ends the process where the column is encrypted.

A column being decoded holds its slice, its dictionary, a page and what the page was compressed to.
pyarrow 26 held 127 MB for 50 columns of 100 000 rows, which fill 41 MB, and 50 MB where ten were
decoded at a time; that took less CPU time, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SLICE_ROWS = 131_072
"""Rows that are decoded at a time."""

_CELLS_AT_ONCE = 8 * SLICE_ROWS
"""Values of all columns that are decoded at a time."""

_SLICE_BYTES = 32_000_000
"""Bytes of texts, or of other values of any length, that are decoded at a time."""


def whole_rows(columns: int, row_bytes: float) -> int:
    """Rows of a slice that holds all columns of a file, for who copies them.

    Examples
    --------
    >>> whole_rows(50, 400.0), whole_rows(10_000, 80_000.0)
    (131072, 800)
    """
    width = max(8.0 * columns, row_bytes, 1.0)
    return max(1, min(SLICE_ROWS, int(2 * _SLICE_BYTES / width)))


def together(
    fixed: Sequence[str], varying: Sequence[str], rows: int, row_bytes: float
) -> Iterator[tuple[Sequence[str], int]]:
    """Columns of a row group to decode at a time, with the rows of a slice; each column once.

    Parameters
    ----------
    fixed, varying
        Columns whose values all take a few bytes, and columns of texts, lists and the like.
    rows
        Of the row group.
    row_bytes
        Of all columns of the row group before compression: what one varying column may take.

    Examples
    --------
    >>> [(len(names), rows) for names, rows in together(["x"] * 20, [], 10**6, 160.0)]
    [(8, 131072), (8, 131072), (4, 131072)]
    >>> [rows for _, rows in together([], ["long"], 10**6, 10_000.0)]
    [3200]
    >>> [len(names) for names, _ in together(["x"] * 20, [], 1000, 160.0)]
    [20]
    """
    count = max(1, _CELLS_AT_ONCE // max(1, min(rows, SLICE_ROWS)))
    short = max(1, min(SLICE_ROWS, int(_SLICE_BYTES / max(1.0, row_bytes))))
    for names, slice_rows in ((fixed, SLICE_ROWS), (varying, short)):
        for start in range(0, len(names), count):
            yield names[start : start + count], slice_rows
