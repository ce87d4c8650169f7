"""How many rows fit a worker: bytes a row takes in memory, against ``limits.memory_mb``.

In:    columns, footers of the files, the limit.
Out:   Room; the rows that fit it.
Never: asks how much memory is free: the same file and limit give the same rows on any machine.

The figures are peaks of private memory, as the limit counts it, of preparing references of up to
1 000 000 rows and checking batches of up to 50 000, less what the libraries take; measured with
pyarrow 26 and numpy 2.4 on tables of one kind of column. They are rounded up, since a sample that
is a fifth smaller costs little and a worker that dies costs the check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shiftwatch.source import matching
from shiftwatch.source.facts import chunk_bytes, count_rows, opened
from shiftwatch.values import Finding, SchemaColumn

RESERVED = 340_000_000
"""Bytes for the libraries (142 MB when imported, 208 when a small check has run: two copies of BLAS
each take a buffer of 32 MB when first used, and end the process where there is none), what is
decoded at a time, the permutations of the joint tests, and what one run was seen to need more than
the next, as the allocator's pieces lie otherwise. With 272 one of seven runs at 320 MB ended for
lack of memory (a million rows of 40 numbers), with 300 two of three (100 numbers, many texts)."""

LEAST_ROWS = 100
"""Rows that are always tried. Where they do not fit either, the limit itself ends the check."""

_COLUMN = 32_000
"""Of every column: results, profile, what is kept of the reference besides rows."""

_CATEGORY = 150
"""Of a category of the reference: its text in the facts of several tests."""

_MODEL = 3
"""Of a byte of the model's file: as it is read, as it is kept, and as it is computed with."""

_NUMBER = 36
"""Of a number: value, whether it is there, the sorted copy, and what the allocator cannot reuse."""

_CODE = 24
"""Of a row's code for a text."""

_DISTINCT = 330
"""Of a text that no row before had: itself, and its places in two dictionaries and some lists."""

_TIMES_LONG = 3
"""Copies of the bytes of such a text."""

_SHORTEST = 5
"""Bytes that a distinct text takes in the file at least: four for its length, and itself."""

_JOINT = {"numeric": 72, "categorical": 33 * 36}
"""Of a value in a row that joint tests look at: two, or up to 33, columns of the matrices of both
sides, single precision, four or five of them at a time."""


@dataclass(frozen=True, slots=True)
class Room:
    """Memory for rows.

    Parameters
    ----------
    memory_mb
        The limit, in MB of 10^6 bytes.
    joint_rows
        Rows that the joint tests look at, at most; 0 where none is configured.
    categories
        Of the reference, all columns together, as far as they are known.
    model_bytes
        Of the model's file.
    """

    memory_mb: int
    joint_rows: int = 0
    categories: int = 0
    model_bytes: int = 0

    def rows(self, columns: Sequence[SchemaColumn], widths: Mapping[str, float]) -> int:
        """Rows of these columns that fit.

        Parameters
        ----------
        columns
            All that are read.
        widths
            Of texts: bytes a row takes in the file before compression, by column. With w bytes a
            row, at most one row in 5/w has a text that no other has.

        Examples
        --------
        >>> table = [SchemaColumn(f"x{j}", "numeric", "input", "double") for j in range(50)]
        >>> Room(1024).rows(table, {}), Room(4096).rows(table, {})
        (379111, 2085777)
        """
        free = self.memory_mb * 1_000_000 - RESERVED - _MODEL * self.model_bytes
        free -= _COLUMN * len(columns) + _CATEGORY * self.categories
        each = sum(_bytes(column, widths.get(column.name, 0.0)) for column in columns)
        joint = sum(_JOINT.get(column.kind, 0) for column in columns)
        most = free / max(1.0, each + joint)
        if most > self.joint_rows:
            most = (free - joint * self.joint_rows) / max(1.0, each)
        return max(LEAST_ROWS, int(most))

    @property
    def reason(self) -> str:
        """Why not all rows were taken, in words."""
        return f"more would not fit limits.memory_mb = {self.memory_mb}"


def _bytes(column: SchemaColumn, width: float) -> float:
    if column.kind == "categorical":
        return _CODE + _DISTINCT * min(1.0, width / _SHORTEST) + _TIMES_LONG * width
    return _NUMBER


def rows_that_fit(uris: Sequence[str], columns: Sequence[SchemaColumn], room: Room) -> int:
    """Rows of some files that fit, by their footers.

    Parameters
    ----------
    uris
        Files whose rows are wanted, each once.
    columns
        All that are read, also such as a file lacks.

    Raises
    ------
    DataError
        If a file is gone, damaged or encrypted.
    """
    texts = [column.name for column in columns if column.kind == "categorical"]
    sizes: Counter[str] = Counter()
    rows = 0
    for uri in uris if texts else ():
        with opened(uri, texts) as file:
            found = matching.find_names(file.schema_arrow.names, texts)
            stored = chunk_bytes(file, [*found.values()])
            sizes.update({name: sum(stored[own]) for name, own in found.items()})
            rows += count_rows(file)
    return room.rows(columns, {name: size / max(1, rows) for name, size in sizes.items()})


def explained(findings: Sequence[Finding], why: str) -> tuple[Finding, ...]:
    """Findings, with why a sample was taken, where one was and there is a reason to tell."""
    return tuple(
        replace(f, message=f"{f.message}: {why}") if f.code == "subsampled" and why else f
        for f in findings
    )
