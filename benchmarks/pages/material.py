"""What the pages of `make bench-report` are about: made tables, and hotel bookings of the shared data.

In:    a folder; for the bookings, the folder of the shared data.
Out:   Parquet files, the same for us and for the peer.
Never: makes other data for one than for another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_MOVED = 8
"""Columns of numbers, and a quarter as many of texts, that move in the last batches."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns of numbers and of texts; rows of the reference and of a batch."""

    numbers: int
    texts: int
    reference: int
    batch: int
    batches: int


SHAPES: Mapping[str, Shape] = {
    "50 columns": Shape(40, 10, 100_000, 10_000, 12),
    "1000 columns": Shape(800, 200, 20_000, 2_000, 2),
}
"""What the issue of the page asks for: 100k rows v 10k; and so wide that the tail must be folded."""


def write_made(shape: Shape, folder: Path) -> None:
    """A reference and batches, of which the second half has moved; the last is the one reported."""
    (folder / "batches").mkdir(parents=True)
    rng = np.random.default_rng(7)
    pq.write_table(_table(shape, shape.reference, 0.0, rng), folder / "reference.parquet")
    for number in range(shape.batches):
        shift = 0.3 if number >= shape.batches // 2 else 0.0
        batch = _table(shape, shape.batch, shift, rng)
        pq.write_table(batch, folder / "batches" / f"batch-{number:02}.parquet")


def _table(shape: Shape, rows: int, shift: float, rng: np.random.Generator) -> pa.Table:
    columns: dict[str, Any] = {}
    for j in range(shape.numbers):
        moved = shift * (j + 1) / _MOVED if j < _MOVED else 0.0
        columns[f"number_{j:03}"] = rng.gamma(4, 1, rows) + moved * 2
    for j in range(shape.texts):
        texts = [f"category {k}" for k in range(3 + 5 * (j % 10))]
        weights = np.linspace(1, 2, len(texts)) ** (1 + (shift * 8 if j < _MOVED // 4 else 0))
        codes = pa.array(rng.choice(len(texts), rows, p=weights / weights.sum()).astype(np.int32))
        columns[f"text_{j:03}"] = pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())
    return pa.table(columns)


# --- hotel bookings ----------------------------------------------------------------------------

MONTHS = ("2016-10", "2016-11", "2016-12", "2017-01")
"""Of the batch: its season is another one than the reference's, May to September 2016."""

ROLES = """\
    columns: {time: timestamp, prediction: [y_pred, y_pred_proba], label: is_canceled}
    categorical: [y_pred]
"""


def write_hotels(shared: Path, folder: Path) -> None:
    """The pair as two files, ``reference.parquet`` and ``batch.parquet``, without days and labels.

    And the same bookings with them as a batch a month, for a history: ``dated.parquet`` and
    ``batches/``.
    """
    (folder / "batches").mkdir(parents=True, exist_ok=True)
    source = shared / "hotel_booking"
    dated = _dated(pq.read_table(source / "reference.parquet"))
    stream = _dated(pq.read_table(source / "monitoring.parquet")).select(dated.column_names)
    months = np.array(stream.column("timestamp").to_numpy(), dtype="datetime64[M]").astype(str)
    pq.write_table(dated, folder / "dated.parquet")
    for month in MONTHS:
        batch = stream.filter(pa.array(months == month))
        pq.write_table(batch, folder / "batches" / f"{month}.parquet")
    pq.write_table(_undated(dated), folder / "reference.parquet")
    pair = _undated(stream.filter(pa.array(np.isin(months, MONTHS))))
    pq.write_table(pair, folder / "batch.parquet")
    for name, (_, change) in DIRTY.items():
        pq.write_table(change(pair), folder / dirty_file(name))


def _dated(table: pa.Table) -> pa.Table:
    table = table.drop_columns(["Index"]).replace_schema_metadata(None)
    place = table.column_names.index("timestamp")
    days = table.column("timestamp").cast(pa.timestamp("us"))
    return table.set_column(place, "timestamp", days)


def _undated(table: pa.Table) -> pa.Table:
    return table.drop_columns(["timestamp", "is_canceled"])


def _null(name: str, share: float) -> Callable[[pa.Table], pa.Table]:
    def change(batch: pa.Table) -> pa.Table:
        column = batch.column(name)
        gone = np.random.default_rng(3).random(len(column)) < share
        return _replaced(batch, name, pa.array(column.to_numpy(), mask=gone, type=column.type))

    return change


def _unseen(batch: pa.Table) -> pa.Table:
    texts = batch.column("deposit_type").to_pylist()
    return _replaced(batch, "deposit_type", pa.array(["Voucher"] * 600 + texts[600:]))


def _replaced(batch: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return batch.set_column(batch.column_names.index(name), name, values)


DIRTY: Mapping[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "90 % nulls": ("parking_spaces", _null("parking_spaces", 0.9)),
    "all null": ("parking_spaces", _null("parking_spaces", 1.0)),
    "new category": ("deposit_type", _unseen),
    "missing column": ("parking_spaces", lambda batch: batch.drop_columns(["parking_spaces"])),
}
"""By name: the column that is to be spoken of, and what is done to the batch."""


def watched(path: Path) -> list[str]:
    """Columns of the bookings that a report may speak of: all but the time and the label."""
    known = pq.read_schema(path).names
    return [name for name in known if name not in ("timestamp", "is_canceled")]


def dirty_file(name: str) -> str:
    """The file name of a dirty batch."""
    return name.replace("%", "of").replace(" ", "-") + ".parquet"


if __name__ == "__main__":
    kind, target = sys.argv[1], Path(sys.argv[2])
    if kind in SHAPES:
        write_made(SHAPES[kind], target)
    else:
        write_hotels(Path(kind), target)
