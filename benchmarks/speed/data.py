"""What is tested in the benchmarks: made from fixed seeds, for us and for every peer alike.

In:    the name of a case.
Out:   arrays in memory, or the same as files in a folder (``python -m ... CASE FOLDER``).
Never: makes other data for one than for another.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Single = NDArray[np.float32]

KS_SHAPES = {
    "ks_reference_100k": (100, 100_000, 10_000),
    "ks_reference_1m": (50, 1_000_000, 10_000),
    "ks_1000_columns": (1000, 100_000, 1000),
}
"""Columns, rows of the reference, rows of the batch."""

MMD_SHAPES = {"mmd_1000": (1000, 100), "mmd_5000": (5000, 1000), "mmd_10000": (10_000, 1000)}
"""Rows of each side, permutations."""

MMD_COLUMNS = 50
MMD_GAMMA = 1 / (2 * MMD_COLUMNS)
"""Of exp(-gamma |x - y|^2): 1 / the mean squared distance of two standard normal rows."""

_MOVED = 0.05
_MOVED_COLUMNS = 10


def ks_columns(case: str) -> tuple[Floats, Floats]:
    """Reference and batch, shape (columns, rows) each: standard normal, nothing has shifted."""
    columns, rows_reference, rows_batch = KS_SHAPES[case]
    rng = np.random.default_rng(1)
    reference = rng.standard_normal((columns, rows_reference))
    return reference, rng.standard_normal((columns, rows_batch))


def mmd_rows(case: str) -> tuple[Single, Single]:
    """Reference and batch, shape (rows, 50), float32: 10 means have moved by .05 sd."""
    return _moved(MMD_SHAPES[case][0], 5)


def classifier_rows() -> tuple[Single, Single]:
    """10 000 and 10 000 rows of 50 columns, of which 10 means have moved by .05 sd."""
    return _moved(10_000, 3)


def _moved(rows: int, seed: int) -> tuple[Single, Single]:
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal((rows, MMD_COLUMNS), dtype=np.float32)
    batch = rng.standard_normal((rows, MMD_COLUMNS), dtype=np.float32)
    batch[:, :_MOVED_COLUMNS] += np.float32(_MOVED)
    return reference, batch


def write_arrays(case: str, folder: Path) -> None:
    """The arrays of a case as ``CASE-reference.npy`` and ``CASE-batch.npy``, once."""
    if case in KS_SHAPES:
        pair: tuple[NDArray[Any], NDArray[Any]] = ks_columns(case)
    elif case in MMD_SHAPES:
        pair = mmd_rows(case)
    elif case.startswith("classifier"):
        pair = classifier_rows()
    else:
        return
    for name, array in zip(("reference", "batch"), pair, strict=True):
        np.save(folder / f"{case}-{name}.npy", array)


def write_tables(folder: Path) -> None:
    """Reference of 100k rows and batch of 10k, each 40 numeric and 10 string columns, Parquet."""
    rng = np.random.default_rng(4)
    for name, rows in (("reference", 100_000), ("batch", 10_000)):
        columns: dict[str, Any] = {f"x{j:02}": rng.standard_normal(rows) for j in range(40)}
        for j in range(10):
            texts = [f"category {k}" for k in range(5 * (j + 1))]
            codes = pa.array(rng.integers(0, len(texts), rows, dtype=np.int32))
            columns[f"c{j}"] = pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())
        path = folder / name / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), path)


if __name__ == "__main__":
    write_arrays(sys.argv[1], Path(sys.argv[2]))
    write_tables(Path(sys.argv[2]))
