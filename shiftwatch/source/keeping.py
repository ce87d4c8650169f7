"""The rows of judged batches, written to one Parquet file that can serve as a reference.

In:    settings of a model, batches whose files are still there, a folder.
Out:   a file named by its own hash.
Never: writes rows of other bytes than were judged; leaves half a file under its final name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.errors import DataError
from shiftwatch.progress import counted
from shiftwatch.requests import Kept
from shiftwatch.settings import ModelSettings
from shiftwatch.source import matching, parquet
from shiftwatch.source.columns import kind_of, to_column
from shiftwatch.source.facts import file_sha256, one_line, opened
from shiftwatch.source.widths import whole_rows
from shiftwatch.values import Batch, Piece, SchemaColumn

Types = Mapping[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Draw:
    """Of more rows than ``max_rows``, each is kept with the same chance."""

    max_rows: int
    rng: np.random.Generator


def keep(
    settings: ModelSettings, batches: Sequence[Batch], folder: str, draw: Draw | None = None
) -> Kept:
    """Write the rows of batches, in their order, with the columns of the reference.

    A column keeps the type it has in the reference where every file has it so. Numbers of
    different types become doubles; dictionaries become what they stand for. A column that a file
    lacks, such as a label that comes later, is null there. Columns the reference lacks are left
    out.

    Parameters
    ----------
    settings
        Their ``reference`` gives the columns; it must be readable.
    batches
        At least one, as they were judged.
    folder
        Made if absent. The file is readable by its owner only, as it holds rows.
    draw
        None writes all rows.

    Raises
    ------
    DataError
        If a file is gone or has other bytes than were judged, if a value does not fit the type of
        the reference, or if the folder cannot be written.
    """
    pieces = [piece for batch in batches for piece in batch.pieces]
    for uri, digest in {piece.uri: piece.sha256 for piece in pieces}.items():
        _refuse_other_bytes(uri, digest)
    types = _types(settings, sorted({piece.uri for piece in pieces}))
    target = Path(folder)
    temporary = target / f".{uuid4().hex}.tmp"
    try:
        target.mkdir(parents=True, exist_ok=True)
        rows, total = _write(temporary, types, pieces, settings, draw)
        sha256 = file_sha256(str(temporary))
        final = target / f"{sha256[:16]}.parquet"
        temporary.replace(final)
    except OSError as fault:
        raise DataError(
            f"rows for a reference cannot be written: {one_line(fault)}",
            where=folder,
            hint="the folder must be writable and the disk not full",
        ) from fault
    finally:
        temporary.unlink(missing_ok=True)
    configured = parquet.reference_sha256(settings.reference)
    return Kept(str(final), sha256, rows, configured, total)


def _refuse_other_bytes(uri: str, digest: str) -> None:
    try:
        now = file_sha256(uri)
    except OSError as fault:
        raise DataError(
            f"cannot be read: {one_line(fault)}",
            where=uri,
            hint="keep files to accept them or to compare with them",
        ) from fault
    if now != digest:
        raise DataError("has other bytes than when it was judged", where=uri)


def _types(settings: ModelSettings, uris: Sequence[str]) -> dict[str, pa.DataType]:
    """The type of every column to be written, in the order of the reference."""
    first = parquet.reference_files(settings.reference)[0]
    wanted = _own_types(first, settings.reference)
    files = [_own_types(uri, settings.batches) for uri in uris]
    return {name: _common(name, type_, files) for name, type_ in wanted.items()}


def _own_types(uri: str, root: str) -> dict[str, pa.DataType]:
    """Types of the columns of a file and of its ``key=value`` folders, dictionaries resolved."""
    with opened(uri) as file:
        matching.refuse_duplicates(file.schema_arrow, uri)
        own = {field.name: _resolved(field.type) for field in file.schema_arrow}
    return dict.fromkeys(matching.partitions(uri, root), pa.string()) | own


def _resolved(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _common(name: str, type_: pa.DataType, files: Sequence[Types]) -> pa.DataType:
    found = [file[own] for file in files for own in _named(name, file)]
    if all(each == type_ for each in found):
        return type_
    kind = kind_of(type_, name, ())
    if kind == "numeric":
        return pa.float64()
    return pa.large_string() if kind == "categorical" and not pa.types.is_boolean(type_) else type_


def _named(name: str, types: Types) -> list[str]:
    """The name of a column in a file: none or one."""
    return list(matching.find_names(types, [name]).values())


def _write(
    path: Path,
    types: Types,
    pieces: Sequence[Piece],
    settings: ModelSettings,
    draw: Draw | None,
) -> tuple[int, int]:
    """Rows that were written, and that there were."""
    schema = pa.schema([pa.field(name, type_) for name, type_ in types.items()])
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    planned = sum(piece.rows for piece in pieces)
    share = 1.0 if draw is None else min(1.0, draw.max_rows / max(1, planned))
    rows, total = 0, 0
    with pa.OSFile(str(path), "wb") as sink, pq.ParquetWriter(sink, schema) as writer:
        for piece in counted("gathering rows", pieces, len(pieces)):
            for batch in _rows(piece, settings.columns.time):
                total += batch.num_rows
                if draw is not None and share < 1.0:
                    batch = batch.filter(pa.array(draw.rng.random(batch.num_rows) < share))  # noqa: PLW2901 - fewer of its rows
                table = _shaped(batch, schema, piece.uri, settings.batches)
                writer.write_table(table)
                rows += table.num_rows
    return rows, total


def _rows(piece: Piece, time_column: str | None) -> Iterator[pa.RecordBatch]:
    """The rows of a piece, slice by slice."""
    offset = 0
    with opened(piece.uri) as file:
        footer = file.metadata
        groups = (footer.row_group(index) for index in range(footer.num_row_groups))
        width = sum(group.total_byte_size for group in groups) / max(1, footer.num_rows)
        rows = whole_rows(footer.num_columns, width)
        for batch in file.iter_batches(rows, use_threads=False):
            window = _window(piece)
            if window is None:
                low = min(max(piece.first_row - offset, 0), batch.num_rows)
                high = min(max(piece.first_row + piece.rows - offset, 0), batch.num_rows)
                chosen = batch.slice(low, high - low)
            else:
                chosen = batch.filter(_within(batch, window, time_column, piece.uri))
            offset += batch.num_rows
            if chosen.num_rows:
                yield chosen


def _window(piece: Piece) -> tuple[float, float] | None:
    if piece.time_from is None or piece.time_to is None:
        return None
    return piece.time_from, piece.time_to


def _within(
    batch: pa.RecordBatch, window: tuple[float, float], time_column: str | None, uri: str
) -> pa.Array:
    wanted = [] if time_column is None else [time_column]
    for name in matching.find_names(batch.schema.names, wanted).values():
        column = SchemaColumn(name, "timestamp", "time", "")
        times = to_column(pa.chunked_array([batch.column(name)]), column).values
        return pa.array((times >= window[0]) & (times < window[1]))
    raise DataError(f"no column {time_column!r} to cut time windows by", where=uri)


def _shaped(batch: pa.RecordBatch, schema: pa.Schema, uri: str, root: str) -> pa.Table:
    """The columns of the schema: those of the file, those of its folders, else null."""
    folders = matching.partitions(uri, root)
    names = matching.find_names([*batch.schema.names, *folders], schema.names)
    columns = []
    for field in schema:
        name = names.get(field.name)
        if name in batch.schema.names:
            columns.append(_cast(batch.column(name), field, uri))
        else:
            text = folders.get(name) if name is not None else None
            columns.append(pa.repeat(pa.scalar(text, pa.string()), batch.num_rows).cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(array: pa.Array, field: pa.Field, uri: str) -> pa.Array:
    plain = array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array
    try:
        return plain.cast(field.type)
    except pa.ArrowException as fault:
        raise DataError(
            f"column {field.name!r} does not fit {field.type}: {one_line(fault)}", where=uri
        ) from fault
