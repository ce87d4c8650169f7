"""How time and memory of a check grow with what it is given: ``make growth``.

Rows of the reference and of the batch, columns, categories, stored checks: each is stretched while
the rest stays small. Reference and batch are judged by a real worker, whose CPU seconds and peak
the system tells; the daemon's part is measured in a process as light as the daemon. Data are made
as the benchmark goes. ``--only NAME`` measures one axis anew and keeps the others; ``--quick`` the
small half of all of them, storing nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.scaling.machine import machine
from benchmarks.scaling.picture import drawn, table
from benchmarks.scaling.process import Meter
from shiftwatch.requests import Check, Checked, Context, Inspect, Prepare
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, Piece
from shiftwatch.worker import Worker

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "growth.json"
PICTURE = HERE / "growth.svg"
TABLE = HERE / "growth.md"

_ROWS_AT_ONCE = 1_000_000
_CHECKS = 3

Point = dict[str, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A reference and a batch: rows of both, columns of numbers and of texts, categories."""

    reference: int = 20_000
    batch: int = 1000
    numbers: int = 10
    texts: int = 0
    categories: int = 0


def by_reference(rows: int) -> Shape:
    """Rows of the reference, 10 numbers each; batch of 1000."""
    return Shape(reference=rows)


def by_batch(rows: int) -> Shape:
    """Rows of the batch, 10 numbers each; reference of 250 000."""
    return Shape(reference=250_000, batch=rows)


def by_columns(columns: int) -> Shape:
    """Columns of numbers; reference of 10 000, batch of 1000."""
    return Shape(reference=10_000, numbers=columns)


def by_categories(categories: int) -> Shape:
    """Categories in each of 2 text columns; reference of 400 000, batch of 20 000."""
    return Shape(reference=400_000, batch=20_000, numbers=0, texts=2, categories=categories)


@dataclass(frozen=True, slots=True)
class Axis:
    """What is stretched, to which sizes, and how a size is measured."""

    sizes: Sequence[int]
    measured: Callable[[int, Path], Point]


def checked(shape: Callable[[int], Shape]) -> Callable[[int, Path], Point]:
    """Prepare and check in a worker; CPU seconds and peaks of its process."""

    def measured(size: int, folder: Path) -> Point:
        write(shape(size), folder)
        model = ModelSettings("g", reference=f"{folder}/reference", batches=f"{folder}/batches")
        context = Context(model, AlarmSettings(), 0, f"{folder}/cache", "")
        with Worker(LimitSettings(seconds=600)) as worker:
            worker.call(Inspect((), None))
            prepare = Meter(_pid(worker))
            worker.call(Prepare(context))
            point = _point("prepare", prepare)
        with Worker(LimitSettings(seconds=600)) as worker:  # as in the daemon's next step
            request = Check(context, _batch(worker, folder), None, 0.0)
            _answered(worker, request)
            meter = Meter(_pid(worker))
            for _ in range(_CHECKS):
                told = _answered(worker, request)
            point |= _point("check", meter)
        point["check_seconds"] /= _CHECKS
        point["rows_reference"] = max(r.rows_reference for r in told.run.results)
        point["rows_current"] = max(r.rows_current for r in told.run.results)
        return point

    return measured


def _point(name: str, meter: Meter) -> Point:
    taken = meter.taken()
    return {f"{name}_seconds": taken.seconds, f"{name}_peak_bytes": taken.peak_bytes}


def _pid(worker: Worker) -> int:
    if worker.pid is None:
        raise RuntimeError("no worker")
    return worker.pid


def _batch(worker: Worker, folder: Path) -> Batch:
    (facts,) = worker.call(Inspect(list_folder(f"{folder}/batches"), None))
    piece = Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows)
    return Batch(batch_id((piece,)), (piece,), facts.rows)


def _answered(worker: Worker, request: Check) -> Checked:
    answer: Checked = worker.call(request)
    if answer.run.verdict not in ("shift", "no_shift"):
        raise ValueError(answer.run.reasons)
    return answer


def stored(runs: int, folder: Path) -> Point:
    """Checks stored; the daemon's own CPU time and memory, without the worker's."""
    write(Shape(reference=2000, batch=200, numbers=6), folder)
    for seed in (3, 4):
        _write_file(Shape(numbers=6), 200, folder / "later" / f"{seed}.parquet", seed)
    program = [sys.executable, str(HERE / "scaling" / "history.py"), str(folder), str(runs)]
    printed = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout
    point: Point = json.loads(printed)
    return point


AXES: Mapping[str, Axis] = {
    "reference rows": Axis((1000, 10_000, 100_000, 1_000_000, 10_000_000), checked(by_reference)),
    "batch rows": Axis((100, 1000, 10_000, 100_000, 1_000_000), checked(by_batch)),
    "columns": Axis((10, 50, 250, 1000, 2000), checked(by_columns)),
    "categories": Axis((2, 50, 1000, 10_000, 100_000), checked(by_categories)),
    "stored checks": Axis((1, 100, 1000, 10_000, 100_000), stored),
}


# ------------------------------------------------------------------------------------------- data


def write(shape: Shape, folder: Path) -> None:
    """Both sides as Parquet, a million rows in memory at most."""
    _write_file(shape, shape.reference, folder / "reference" / "r.parquet", seed=1)
    _write_file(shape, shape.batch, folder / "batches" / "b.parquet", seed=2)


def _write_file(shape: Shape, rows: int, path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer: pq.ParquetWriter | None = None
    for part in _parts(shape, rows, np.random.default_rng(seed)):
        # Random doubles have no dictionary, and compressing them would take longest.
        texts = [name for name in part.column_names if name.startswith("c")]
        writer = writer or pq.ParquetWriter(
            path, part.schema, compression="none", use_dictionary=texts
        )
        writer.write_table(part)
    if writer is not None:
        writer.close()


def _parts(shape: Shape, rows: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    most = max(1, _ROWS_AT_ONCE * 10 // max(10, shape.numbers + shape.texts))
    for start in range(0, rows, most):
        count = min(most, rows - start)
        columns: dict[str, Any] = {
            f"x{j:04}": rng.standard_normal(count) for j in range(shape.numbers)
        }
        for j in range(shape.texts):
            codes = rng.integers(0, shape.categories, count, dtype=np.int32)
            names = pa.array([f"category {k}" for k in range(shape.categories)])
            columns[f"c{j}"] = pa.DictionaryArray.from_arrays(codes, names).cast(pa.string())
        yield pa.table(columns)


# ---------------------------------------------------------------------------------------- running


def measured(name: str, sizes: Sequence[int]) -> dict[str, Any]:
    """All sizes of an axis, each in a folder of its own."""
    points = []
    for size in sizes:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="shiftwatch-growth-") as folder:
            points.append({"size": size} | AXES[name].measured(size, Path(folder)))
        told = " ".join(f"{key}={value:.4g}" for key, value in points[-1].items())
        print(f"{name}: {told} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    return {"points": points}


def main() -> None:
    """Measure, store, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=AXES, help="one axis; the others stay as they are stored")
    parser.add_argument("--quick", action="store_true", help="the small sizes; not stored")
    parser.add_argument("--draw", action="store_true", help="only picture and table, as stored")
    options = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"axes": {}}
    names = [] if options.draw else [options.only] if options.only else list(AXES)
    began = time.monotonic()
    for name in names:
        sizes = AXES[name].sizes[:3] if options.quick else AXES[name].sizes
        found["axes"][name] = measured(name, sizes)
    if options.quick:
        print(table(found))
        return
    if names:
        found["machine"] = machine()
        found["wall_seconds"] = round(time.monotonic() - began)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PICTURE.write_text(drawn(found), encoding="utf-8")
    TABLE.write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
