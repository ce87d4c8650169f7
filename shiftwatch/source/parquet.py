"""Parquet files: their schema, and the rows of a batch or a reference.

In:    paths, pieces, a schema, a generator for subsampling.
Out:   SchemaColumn, Reading; FileFacts by ``inspect``.
Never: holds more of a file than the chosen rows and one slice; trusts a page whose checksum is
       wrong; reads a column that is not tested.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shiftwatch.errors import DataError
from shiftwatch.places import is_remote
from shiftwatch.progress import tell
from shiftwatch.sample import Column, Sample
from shiftwatch.source import listing, matching, objects, widths
from shiftwatch.source.columns import constant, join, light, to_column
from shiftwatch.source.facts import (
    count_rows,
    event_times,
    file_sha256,
    file_size,
    inspect,
    one_line,
    opened,
)
from shiftwatch.source.widths import SLICE_ROWS
from shiftwatch.values import Finding, Listed, Piece, SchemaColumn

__all__ = [
    "Reading",
    "file_sha256",
    "inspect",
    "list_files",
    "read_pieces",
    "read_reference",
    "read_schema",
    "reference_files",
    "reference_sha256",
    "table_sample",
    "table_schema",
]

Rows = range | NDArray[np.int64]
"""Positions of rows, ascending."""

REFERENCE_ROWS = 1_000_000
"""Rows of a reference that are kept; of more, a seeded subset."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Rows that were read.

    ``sample`` has the usable tested columns in the order of the schema; ``rows_total`` counts the
    rows before subsampling; ``findings`` say what is missing, changed or worth knowing.
    """

    sample: Sample
    rows_total: int
    findings: tuple[Finding, ...]


def read_schema(
    uris: Sequence[str], categorical: Collection[str], *, root: str | None = None
) -> tuple[SchemaColumn, ...]:
    """Columns of the first file, then those of its ``key=value`` folders; all with role input.

    Parameters
    ----------
    uris
        Files of a reference; at least one.
    categorical
        Names of integer columns to be tested as categories.
    root
        Folder below which ``key=value`` folders count; None lets all of the path count.

    Raises
    ------
    DataError
        If the file cannot be read, or two of its columns have one name.
    """
    with opened(uris[0]) as file:
        folders = matching.partitions(uris[0], root)
        return matching.schema_of(file.schema_arrow, categorical, folders, uris[0])


def table_schema(table: pa.Table, categorical: Collection[str]) -> tuple[SchemaColumn, ...]:
    """Columns of a table in memory, all with role input; DataError if two have one name."""
    return matching.schema_of(table.schema, categorical, (), "table")


def read_pieces(
    pieces: Sequence[Piece],
    schema: Sequence[SchemaColumn],
    *,
    root: str | None,
    max_rows: int,
    rng: np.random.Generator,
    time_column: str | None = None,
) -> Reading:
    """Rows of a batch: the inputs and logged predictions, nothing else.

    Parameters
    ----------
    pieces
        Where the rows lie. Pieces cut by time leave out rows without an event time.
    schema
        All columns of the reference, whatever their role. A column that is missing or has another
        type in one piece is left out of the sample, with a finding.
    root
        Folder below which ``key=value`` folders are columns.
    max_rows
        Of more rows, a uniform subset of exactly this many positions is drawn before anything but
        event times is read; their order is kept.
    rng
        Draws the subset; untouched where none is needed.
    time_column
        Needed by pieces cut by time.

    Raises
    ------
    DataError
        If a file is gone, damaged, or not the one that was planned (its size or rows differ).
    """
    cut = [_rows_of(piece, time_column) for piece in pieces]
    chosen, total = _subset([rows for rows, _ in cut], max_rows, rng)
    parts = [
        _read_piece(piece, rows, schema, root) for piece, rows in zip(pieces, chosen, strict=True)
    ]
    if len(parts) > 1:
        parts = [_located(part, piece) for part, piece in zip(parts, pieces, strict=True)]
    reading = _concluded(parts, schema, total)
    timeless = sum(nulls for _, nulls in cut)
    if not timeless:
        return reading
    text = f"rows without event time in its files: {timeless}; they belong to no window"
    finding = Finding("rows_without_time", time_column or "", text, "note")
    return replace(reading, findings=(finding, *reading.findings))


def list_files(
    path: str, *, complete: bool = False, after: str | None = None
) -> tuple[Listed, ...]:
    """Every Parquet file below a folder or a prefix, or the one that the path names.

    See ``listing.list_folder`` for folders and ``objects.list_objects`` for stores.
    """
    if is_remote(path):
        return objects.list_objects(path, after=after, complete=complete)
    return listing.list_folder(path, complete=complete)


def reference_files(path: str) -> tuple[str, ...]:
    """Paths of the files that make a reference, sorted; DataError if there is none."""
    found = tuple(listed.uri for listed in list_files(path, complete=True))
    if not found:
        raise DataError(
            "no Parquet file", where=path, hint="a reference is a Parquet file or a folder of them"
        )
    return found


def read_reference(
    path: str,
    schema: Sequence[SchemaColumn],
    *,
    rng: np.random.Generator,
    max_rows: int = REFERENCE_ROWS,
) -> Reading:
    """Rows of a reference, a file or all files of a folder; parameters as of :func:`read_pieces`.

    Raises
    ------
    DataError
        If a file cannot be read, or one lacks a tested column or has it with another type: a
        reference must agree with itself.
    """
    pieces = [_whole_file(uri) for uri in reference_files(path)]
    reading = read_pieces(pieces, schema, root=path, max_rows=max_rows, rng=rng)
    for finding in reading.findings:
        if finding.severity == "invalid":
            hint = "every file of a reference must have the same columns and types"
            raise DataError(finding.message, where=path, hint=hint)
    return reading


def reference_sha256(path: str) -> str:
    """SHA-256 of a reference: of the file, or of the names and SHA-256s of a folder's files.

    Names are relative, so a folder may move without becoming another reference.
    """
    files = reference_files(path)
    try:
        if files == (path,):
            return file_sha256(path)
        lines = [f"{os.path.relpath(uri, path)}\n{file_sha256(uri)}\n" for uri in files]
    except OSError as fault:
        raise DataError(f"cannot be read: {one_line(fault)}", where=path) from fault
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def table_sample(
    table: pa.Table,
    schema: Sequence[SchemaColumn],
    *,
    max_rows: int | None = None,
    rng: np.random.Generator | None = None,
) -> Reading:
    """Rows of a table in memory, held against a schema as those of a file are.

    With ``max_rows`` and ``rng``, a uniform subset of the rows where there are more.
    """
    rows: Rows = range(table.num_rows)
    if max_rows is not None and rng is not None:
        (rows,), _ = _subset([rows], max_rows, rng)
    matched = matching.match(matching.types_of(table.schema), schema)
    wanted = table.select([name for _, name in matched.columns])
    part = _gathered(matched, {}, _table_slices(wanted), rows)
    return _concluded([part], schema, table.num_rows)


# Which rows -------------------------------------------------------------------------------------


def _rows_of(piece: Piece, time_column: str | None) -> tuple[Rows, int]:
    """Rows of the piece, and how many rows of its file no time window can hold."""
    if piece.time_from is None or piece.time_to is None:
        return range(piece.first_row, piece.first_row + piece.rows), 0
    with opened(piece.uri) as file:
        wanted = [] if time_column is None else [time_column]
        for name in matching.find_names(file.schema_arrow.names, wanted).values():
            times = np.concatenate([np.zeros(0), *event_times(file, name)])
            rows = np.flatnonzero((times >= piece.time_from) & (times < piece.time_to))
            return rows, int(np.count_nonzero(np.isnan(times)))
    raise DataError(f"no column {time_column!r} to cut time windows by", where=piece.uri)


def _subset(
    rows: Sequence[Rows], max_rows: int, rng: np.random.Generator
) -> tuple[list[Rows], int]:
    """The rows to read of each part, and how many there were: all, or a uniform subset."""
    ends = np.cumsum([len(each) for each in rows], dtype=np.int64)
    total = int(ends[-1]) if rows else 0
    if total <= max_rows:
        return list(rows), total
    drawn = _draw(total, max_rows, rng)
    parts = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
    starts = [0, *ends[:-1]]
    return [
        _nth(r, part - start) for r, part, start in zip(rows, parts, starts, strict=True)
    ], total


def _nth(rows: Rows, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    return positions + rows.start if isinstance(rows, range) else rows[positions]


def _draw(total: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A uniform subset of ``size`` of the positions below ``total``, sorted.

    Where the subset is small its first ``size`` distinct draws are it, which needs memory for the
    subset only; ``Generator.choice`` lists all positions.
    """
    if total <= 4 * size:
        return np.sort(rng.choice(total, size, replace=False, shuffle=False))
    drawn = rng.integers(total, size=size)
    while True:
        distinct, first = np.unique(drawn, return_index=True)
        if distinct.size >= size:
            return np.sort(drawn[np.sort(first)[:size]])
        drawn = np.concatenate([drawn, rng.integers(total, size=size)])


def _within(rows: Rows, start: int, stop: int) -> Rows:
    """Those of the rows from ``start`` up to ``stop``, counted from ``start``."""
    if isinstance(rows, range):
        low = max(rows.start, start) - start
        return range(low, max(low, min(rows.stop, stop) - start))
    low, high = np.searchsorted(rows, [start, stop])
    return rows[low:high] - start


# Reading them -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of one file: slices of each usable column."""

    rows: int
    columns: dict[str, list[Column]]
    findings: tuple[Finding, ...]


def _whole_file(uri: str) -> Piece:
    with opened(uri) as file:
        return Piece(uri, file_size(uri), "", 0, count_rows(file))


def _read_piece(
    piece: Piece, rows: Rows, schema: Sequence[SchemaColumn], root: str | None
) -> _Part:
    categories = [column.name for column in schema if column.kind == "categorical"]
    with opened(piece.uri, categories) as file:
        _refuse_other(piece, file)
        own = matching.types_of(file.schema_arrow)
        folders = {
            name: text
            for name, text in matching.partitions(piece.uri, root).items()
            if name not in own
        }
        matched = matching.match(own | dict.fromkeys(folders, pa.string()), schema)
        names = [name for _, name in matched.columns if name in own]
        part = _gathered(matched, folders, _file_slices(file, names, rows), rows)
    for pieces in part.columns.values():
        if sum(column.rows for column in pieces) != len(rows):
            raise DataError("holds fewer rows than its footer says", where=piece.uri)
    return part


def _located(part: _Part, piece: Piece) -> _Part:
    """The part with the name of its file in the messages."""
    name = Path(piece.uri).name
    located = (replace(f, message=f"{f.message} (in {name})") for f in part.findings)
    return replace(part, findings=tuple(located))


def _refuse_other(piece: Piece, file: pq.ParquetFile) -> None:
    """Raise DataError if the file is not the one the piece was cut from."""
    size, rows = file_size(piece.uri), count_rows(file)
    if size != piece.size or rows < piece.first_row + piece.rows:
        raise DataError(
            f"was {piece.size} bytes when it was listed, is {size} bytes and {rows} rows now",
            where=piece.uri,
            hint="write new rows to a new file",
        )


def _file_slices(
    file: pq.ParquetFile, names: Sequence[str], rows: Rows
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Slices of the row groups that hold one of the rows, with the position of their first row.

    A slice has the columns that are decoded together, see :mod:`shiftwatch.source.widths`.
    """
    types = {field.name: field.type for field in file.schema_arrow}
    fixed = [name for name in names if pa.types.is_primitive(types[name])]
    varying = [name for name in names if not pa.types.is_primitive(types[name])]
    offset = 0
    for group in range(file.metadata.num_row_groups if names else 0):
        footer = file.metadata.row_group(group)
        count, size = footer.num_rows, footer.total_byte_size
        if len(_within(rows, offset, offset + count)):
            for part, slice_rows in widths.together(fixed, varying, count, size / count):
                at = offset
                for batch in file.iter_batches(
                    slice_rows, row_groups=[group], columns=part, use_threads=False
                ):
                    yield at, batch
                    at += batch.num_rows
        offset += count


def _table_slices(table: pa.Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    offset = 0
    for batch in table.to_batches(max_chunksize=SLICE_ROWS):
        yield offset, batch
        offset += batch.num_rows


def _gathered(
    matched: matching.Match,
    folders: Mapping[str, str | None],
    slices: Iterable[tuple[int, pa.RecordBatch]],
    rows: Rows,
) -> _Part:
    """The chosen rows of every matched column, slice by slice."""
    own = [(column, name) for column, name in matched.columns if name not in folders]
    columns: dict[str, list[Column]] = {column.name: [] for column, _ in own}
    changed: dict[str, Finding] = {}
    last = int(rows[-1]) + 1 if len(rows) else 0
    for offset, batch in slices:
        tell("reading", min(offset + batch.num_rows, last), last)
        local = _within(rows, offset, offset + batch.num_rows)
        held = frozenset(batch.schema.names) if len(local) else frozenset()
        for column, name in own:
            if name not in held:
                continue
            try:
                columns[column.name].append(_taken(batch.column(name), local, column))
            except DataError as fault:
                changed[column.name] = matching.changed_type(column, fault.what)
    for column, name in matched.columns:
        if name in folders:
            columns[column.name] = [constant(folders[name], len(rows), column)]
    usable = {name: parts for name, parts in columns.items() if name not in changed}
    return _Part(len(rows), usable, (*matched.findings, *changed.values()))


def _taken(array: pa.Array, rows: Rows, column: SchemaColumn) -> Column:
    array = light(array, column)
    if isinstance(rows, range):
        array = array.slice(rows.start, len(rows))
    else:
        array = array.take(pa.array(rows))
    return to_column(pa.chunked_array([array]), column)


def _concluded(parts: Sequence[_Part], schema: Sequence[SchemaColumn], total: int) -> Reading:
    """One sample of all parts: only columns that every part has."""
    # Each column's slices are let go as soon as they are joined, or all rows would be held twice.
    columns = tuple(
        _joined([part.columns.pop(column.name) for part in parts], column)
        for column in schema
        if column.role in matching.TESTED and all(column.name in part.columns for part in parts)
    )
    sample = Sample(sum(part.rows for part in parts), columns)
    found: dict[tuple[str, str], Finding] = {}
    for finding in (finding for part in parts for finding in part.findings):
        found.setdefault((finding.code, finding.column), finding)
    return Reading(sample, total, (*found.values(), *_notes(sample, total)))


def _joined(parts: list[list[Column]], column: SchemaColumn) -> Column:
    slices = [each for part in parts for each in part]
    return join(slices) if slices else to_column(pa.chunked_array([pa.nulls(0)]), column)


def _notes(sample: Sample, total: int) -> Iterator[Finding]:
    for column in sample.of_kind("numeric").columns:
        count = int(np.count_nonzero(np.isinf(column.values)))
        if count:
            text = f"column {column.name!r} has {count} infinite of {sample.rows} values"
            yield Finding("infinite", column.name, text, "note")
    if sample.rows < total:
        yield Finding("subsampled", "", f"tested {sample.rows} of {total} rows", "note")
