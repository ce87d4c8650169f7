"""Memory of a check is bounded whatever the file holds: decoding in parts, rows that fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.requests import Check, Checked, Context, Inspect, Prepare
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings
from shiftwatch.source import parquet, widths
from shiftwatch.source.fitting import LEAST_ROWS, RESERVED, Room, rows_that_fit
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, Piece, Run, SchemaColumn
from shiftwatch.worker import Worker

LEAST_MB = 384


def numbers(count: int) -> list[SchemaColumn]:
    return [SchemaColumn(f"x{j}", "numeric", "input", "double") for j in range(count)]


def texts(count: int) -> list[SchemaColumn]:
    return [SchemaColumn(f"c{j}", "categorical", "input", "string") for j in range(count)]


# Decoding in parts ------------------------------------------------------------------------------


@given(
    fixed=st.integers(0, 300),
    varying=st.integers(0, 300),
    rows=st.integers(0, 10_000_000),
    row_bytes=st.floats(0, 1e9),
)
def test_every_column_is_decoded_once_and_no_part_is_larger_than_said(
    fixed: int, varying: int, rows: int, row_bytes: float
) -> None:
    names = [f"x{j}" for j in range(fixed)], [f"c{j}" for j in range(varying)]
    parts = list(widths.together(*names, rows, row_bytes))
    assert [name for part, _ in parts for name in part] == [*names[0], *names[1]]
    for part, slice_rows in parts:
        assert 1 <= slice_rows <= widths.SLICE_ROWS
        assert len(part) == 1 or len(part) * min(rows, slice_rows) <= 8 * widths.SLICE_ROWS
        assert part[0].startswith("x") or slice_rows == 1 or slice_rows * row_bytes <= 32e6


def test_a_wide_file_in_parts_gives_the_rows_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {f"x{j}": rng.standard_normal(500) for j in range(30)}
        | {f"c{j}": [f"{j} {k}" for k in rng.integers(0, 20, 500)] for j in range(7)}
    )
    pq.write_table(table, tmp_path / "wide.parquet", row_group_size=200)
    schema = parquet.read_schema([str(tmp_path / "wide.parquet")], ())
    monkeypatch.setattr(widths, "_CELLS_AT_ONCE", 600)  # three columns at a time
    monkeypatch.setattr(widths, "_SLICE_BYTES", 20_000)
    reading = parquet.read_reference(
        str(tmp_path), schema, max_rows=100, rng=np.random.default_rng(1)
    )
    whole = parquet.table_sample(table, schema, max_rows=100, rng=np.random.default_rng(1))
    assert [c.name for c in reading.sample.columns] == table.column_names
    for mine, same in zip(reading.sample.columns, whole.sample.columns, strict=True):
        decoded = [
            [c.categories[code] for code in c.values] if c.categories else c.values.tolist()
            for c in (mine, same)
        ]
        assert decoded[0] == decoded[1]


# Rows that fit ----------------------------------------------------------------------------------


@given(
    columns=st.integers(1, 2000),
    more=st.integers(0, 2000),
    memory_mb=st.integers(LEAST_MB, 100_000),
    joint_rows=st.sampled_from([0, 100, 5000, 20_000]),
)
def test_more_memory_fits_more_rows_and_more_columns_fewer(
    columns: int, more: int, memory_mb: int, joint_rows: int
) -> None:
    room = Room(memory_mb, joint_rows)
    fitting = room.rows(numbers(columns), {})
    assert fitting >= LEAST_ROWS
    assert room.rows(numbers(columns + more), {}) <= fitting
    assert Room(memory_mb + more, joint_rows).rows(numbers(columns), {}) >= fitting
    assert Room(memory_mb, 0).rows(numbers(columns), {}) >= fitting
    if fitting > LEAST_ROWS:
        assert fitting * columns * 36 <= memory_mb * 1e6 - RESERVED


def test_texts_that_all_differ_leave_fewer_rows_than_few_categories(tmp_path: Path) -> None:
    rows = 5000
    few = [f"category {k % 20}" for k in range(rows)]
    many = [f"customer number {k}" for k in range(rows)]
    pq.write_table(pa.table({"c0": few}), tmp_path / "few.parquet")
    pq.write_table(pa.table({"c0": many}), tmp_path / "many.parquet")
    room = Room(1024)
    fitting = {
        name: rows_that_fit([str(tmp_path / f"{name}.parquet")], texts(1), room)
        for name in ("few", "many")
    }
    assert fitting["few"] > 4 * fitting["many"]
    both = rows_that_fit([str(tmp_path / f"{n}.parquet") for n in fitting], texts(1), room)
    assert fitting["many"] < both < fitting["few"], "files count by their rows"


def test_a_model_and_the_categories_of_the_reference_take_their_room() -> None:
    plain = Room(1024).rows(numbers(10), {})
    assert Room(1024, model_bytes=100_000_000).rows(numbers(10), {}) < plain
    assert Room(1024, categories=1_000_000).rows(numbers(10), {}) < plain


# The whole worker -------------------------------------------------------------------------------


def _judged(folder: Path, memory_mb: int) -> Run:
    """Prepare and check in a worker with so much memory."""
    limits = LimitSettings(memory_mb=memory_mb)
    settings = ModelSettings("m", reference=str(folder / "r"), batches=str(folder / "b"))
    context = Context(settings, AlarmSettings(), 0, str(folder / "cache"), "", limits)
    with Worker(limits) as worker:
        worker.call(Prepare(context))
        (facts,) = worker.call(Inspect(list_folder(settings.batches), None))
        piece = Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows)
        batch = Batch(batch_id((piece,)), (piece,), facts.rows)
        checked: Checked = worker.call(Check(context, batch, None, 0.0))
    return checked.run


def _long(rng: np.random.Generator, rows: int) -> Iterator[tuple[str, object]]:
    yield from ((f"x{j}", rng.standard_normal(rows)) for j in range(6))


def _wide(rng: np.random.Generator, rows: int) -> Iterator[tuple[str, object]]:
    yield from ((f"x{j}", rng.standard_normal(rows)) for j in range(600))


def _texts(rng: np.random.Generator, rows: int) -> Iterator[tuple[str, object]]:
    for j in range(3):
        codes = rng.integers(0, 150_000, rows)
        yield f"c{j}", [f"a category with a rather long name, {code:020}" for code in codes]


def _differing(rng: np.random.Generator, rows: int) -> Iterator[tuple[str, object]]:
    yield from ((f"x{j}", rng.standard_normal(rows)) for j in range(60))
    yield "id", [f"customer {number}" for number in rng.integers(10**8, 10**9, rows)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (_long, (3_000_000, 200_000)),
        (_wide, (20_000, 5000)),
        (_texts, (250_000, 60_000)),
        (_differing, (1_000_000, 100_000)),
    ],
    ids=["one row group of three million rows", "600 columns", "150 000 categories", "a million"],
)
def test_any_file_is_prepared_and_checked_within_the_least_memory(
    tmp_path: Path,
    content: Callable[[np.random.Generator, int], Iterator[tuple[str, object]]],
    rows: tuple[int, int],
) -> None:
    rng = np.random.default_rng(0)
    for name, count in zip("rb", rows, strict=True):
        (tmp_path / name).mkdir()
        table = pa.table(dict(content(rng, count)))
        pq.write_table(table, tmp_path / name / "x.parquet", row_group_size=count)
    run = _judged(tmp_path, LEAST_MB)
    assert run.verdict == "no_shift", run.reasons
    told = [f.message for f in run.findings if f.code == "subsampled"]
    (of_reference,) = [text for text in told if text.startswith("of the reference")]
    assert of_reference.endswith(f"more would not fit limits.memory_mb = {LEAST_MB}")


@pytest.mark.slow
def test_the_same_limit_takes_the_same_rows_and_enough_memory_takes_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, count in (("r", 100_000), ("b", 2000)):
        (tmp_path / name).mkdir()
        pq.write_table(
            pa.table({f"x{j}": rng.standard_normal(count) for j in range(20)}),
            tmp_path / name / "x.parquet",
        )
    little, again, enough = (_judged(tmp_path, memory) for memory in (LEAST_MB, LEAST_MB, 1024))
    assert little.results == again.results
    assert max(r.rows_reference for r in little.results) < 100_000
    assert max(r.rows_reference for r in enough.results) == 100_000
    assert not any(f.code == "subsampled" for f in enough.findings)
