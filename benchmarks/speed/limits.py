"""How far we are above what this machine needs for the parts of the work that cannot be left out.

The floor of a kernel entry is its arithmetic at the speed of a large single precision product, one
exponential and one addition in the cache; that of a sorted value is `numpy.sort`; that of a Parquet
cell is pyarrow's reading into Arrow memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.speed.clock import cpu_seconds
from benchmarks.speed.data import MMD_COLUMNS, mmd_rows
from benchmarks.speed.harness import FLOOR, Case, Goal, Measured, Task, tested
from benchmarks.speed.joint import without_a_kept_reference
from shiftwatch.sample import numeric
from shiftwatch.source import parquet
from shiftwatch.twosample.ks import Ks

_NANO = 1e9
_PRODUCT = 1024
_CACHED = 1 << 14
_LOOPS = 200

GOAL = (Goal(f"{FLOOR} ratio", 2),)


def kernel_entry(task: Task) -> Measured:
    """An entry of the kernel matrix of 10 000 and 10 000 rows, each pair once, B=1000."""
    reference, batch = mmd_rows("mmd_10000")
    count = len(reference) + len(batch)
    entries = count * (count - 1) // 2

    def ours() -> object:
        return without_a_kept_reference(reference, batch, 1000)

    ours()
    measured = Measured()
    for _ in range(task.repetitions):
        measured.seconds.append(cpu_seconds(ours) / entries)
        measured.peers.setdefault(FLOOR, []).append(_kernel_floor())
    return _in_nanoseconds(measured)


def _kernel_floor() -> float:
    """Seconds of 2 * 50 operations, one exponential and one addition, in single precision."""
    rng = np.random.default_rng(7)
    square = rng.standard_normal((_PRODUCT, _PRODUCT), dtype=np.float32)
    room = np.empty_like(square)
    product = min(cpu_seconds(lambda: np.matmul(square, square, out=room), 3) for _ in range(3))
    operations = 2 * _PRODUCT**3
    entries = -rng.random(_CACHED, dtype=np.float32)
    target = np.empty_like(entries)
    exponential = cpu_seconds(lambda: np.exp(entries, out=target), _LOOPS) / _CACHED
    addition = cpu_seconds(target.sum, _LOOPS) / _CACHED
    return 2 * MMD_COLUMNS * product / operations + exponential + addition


def sorted_value(task: Task) -> Measured:
    """A value of a reference column of 1M rows, prepared for KS; the floor sorts it."""
    rng = np.random.default_rng(8)
    values = rng.standard_normal(1_000_000)
    test = Ks()

    def ours() -> object:
        return test.prepare(numeric("x", values), rng)

    return _per(len(values), task, ours, lambda: np.sort(values))


def batch_value(task: Task) -> Measured:
    """A value of a batch of 10k rows tested by KS against 1M; the floor only sorts the batch."""
    rng = np.random.default_rng(9)
    test = Ks()
    prepared = test.prepare(numeric("x", rng.standard_normal(1_000_000)), rng)
    batches = rng.standard_normal((20, 10_000))

    def ours() -> object:
        return [tested(test.run(prepared, numeric("x", batch), rng)) for batch in batches]

    def floor() -> NDArray[np.float64]:
        return np.sort(batches, axis=1)

    return _per(batches.size, task, ours, floor)


def parquet_cell(task: Task) -> Measured:
    """A cell of the reference of 100k x 50, read into a sample; the floor reads into Arrow.

    Both read texts as codes, which is quicker than to write each out.
    """
    path = str(task.folder / "reference")
    files = parquet.reference_files(path)
    schema = parquet.read_schema(files, (), root=path)
    texts = [column.name for column in schema if column.kind == "categorical"]
    rng = np.random.default_rng(0)

    def ours() -> object:
        return parquet.read_reference(path, schema, rng=rng)

    def floor() -> object:
        return pq.read_table(files[0], read_dictionary=texts, use_threads=False)

    return _per(100_000 * 50, task, ours, floor)


def _per(count: int, task: Task, ours: Any, floor: Any) -> Measured:
    measured = Measured()
    ours()
    floor()
    measured.by_turns(task, ours, {FLOOR: floor})
    measured.seconds = [seconds / count for seconds in measured.seconds]
    measured.peers[FLOOR] = [seconds / count for seconds in measured.peers[FLOOR]]
    return _in_nanoseconds(measured)


def _in_nanoseconds(measured: Measured) -> Measured:
    measured.facts["nanoseconds"] = float(np.median(measured.seconds)) * _NANO
    measured.facts[f"{FLOOR} nanoseconds"] = float(np.median(measured.peers[FLOOR])) * _NANO
    return measured


CASES = (
    Case("limit_kernel_entry", "one kernel entry, 50 columns, 20,000 rows", kernel_entry, GOAL),
    Case("limit_sorted_value", "one value of a reference, prepared for KS", sorted_value, GOAL),
    Case("limit_batch_value", "one value of a batch, tested by KS", batch_value),
    Case("limit_parquet_cell", "one cell of a Parquet file, read", parquet_cell, GOAL, quick=True),
)
