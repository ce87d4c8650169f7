"""Records that a client made up: each is a row or a reason, and none ends the making of a batch.

A batch is planned before it is made, so a record that ended the making would be tried for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.payload import segments
from shiftwatch.payload.plan import MOST_BYTES, MOST_OBJECTS, Counted, Made, Plan, cut
from shiftwatch.payload.records import Record
from shiftwatch.payload.rows import beside
from shiftwatch.settings import PayloadSettings
from shiftwatch.source import payloads
from shiftwatch.values import Listed
from tests.payload_logs import SCHEMA, record, v2, write

GOOD = record("good", "request", v2({"x": [1.5]}))


def listed(path: Path) -> Listed:
    facts = path.stat()
    return Listed(str(path), facts.st_size, facts.st_mtime_ns)


def made(path: Path, folder: Path) -> tuple[Made, pa.Table]:
    """The batch of one object, all halves of which are too old to wait."""
    plan = Plan("churn", 1, 4e9, (listed(path),))
    told = payloads.make(plan, PayloadSettings(), str(folder / "batches"))
    return told, pq.read_table(folder / "batches" / "00000001.parquet")


def tensor(**changes: object) -> bytes:
    told = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]} | changes
    return json.dumps({"inputs": [told]}).encode()


TWICE = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}

MADE_UP: Mapping[str, tuple[bytes, str]] = {
    "rows without a value, more than memory": (tensor(shape=[20_000_000, 0], data=[]), "bad_rows"),
    "rows without a value, more than a number": (tensor(shape=[10**30, 0], data=[]), "too_large"),
    "a row that is empty": (b'{"instances": [{}]}', "bad_rows"),
    "a row that is an empty list": (b'{"instances": [[]]}', "bad_rows"),
    "a name twice": (json.dumps({"inputs": [TWICE, TWICE]}).encode(), "bad_tensor"),
    "half a character as a name": (tensor(name="\ud800"), ""),
    "half a character as a key": (b'{"instances": [{"\\ud800": 1}]}', ""),
    "a zero byte as a name": (tensor(name="a\0b"), ""),
    "no name": (tensor(name=""), ""),
    "no rows": (tensor(shape=[0], data=[]), ""),
    "the names of our own columns": (b'{"instances": [{"request_id": 1, "logged_at": "x"}]}', ""),
    "a kind that is a list": (tensor(datatype=["FP32"]), ""),
    "more columns than a batch has": (tensor(shape=[1, 5000], data=[0] * 5000), "too_wide"),
}


@pytest.mark.parametrize("what", MADE_UP)
def test_a_made_up_request_is_a_row_or_a_reason_and_hides_no_other(
    what: str, tmp_path: Path
) -> None:
    body, reason = MADE_UP[what]
    path = write(tmp_path / "log", "a", [record("bad", "request", body), GOOD])
    told, table = made(path, tmp_path)
    assert dict(told.malformed) == ({reason: 1} if reason else {})
    assert table["x"].to_pylist()[-1] == 1.5


def test_a_client_that_renames_its_tensors_each_time_takes_no_memory_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "MOST_VALUES", 1000)
    renamed = [record(f"b{n:03}", "request", v2({f"name{n}": [1.0]})) for n in range(60)]
    told, table = made(write(tmp_path / "log", "a", [*renamed, GOOD]), tmp_path)
    assert table.num_rows + told.malformed["too_wide"] == 61
    assert (table.num_columns - 2) * table.num_rows <= 1000


@pytest.mark.parametrize("column", ["id", "bytes", "reqType", "metadata"])
def test_bytes_that_are_no_text_concern_one_record_and_not_its_object(
    column: str, tmp_path: Path
) -> None:
    table = pa.Table.from_pylist([record("bad", "request", v2({"x": [2.5]})), GOOD], SCHEMA)
    raw = pa.array([b"\xff\xfe", str(GOOD[column]).encode()], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, column, texts), tmp_path / "log.parquet")
    told, batch = made(tmp_path / "log.parquet", tmp_path)
    assert batch["x"].to_pylist()[-1] == 1.5
    assert told.rows + sum(told.malformed.values()) == 2
    assert payloads.counted(listed(tmp_path / "log.parquet")).fault == ""


@pytest.mark.parametrize("at", [-62135647200.0, -1e9, 0.0, 1.7e9])
def test_an_event_of_any_time_and_any_id_is_a_row(at: float, tmp_path: Path) -> None:
    path = tmp_path / "1.events"
    segments.write(path, [Record("\ud800", "request", b'{"instances": [1]}', at)])
    told, table = made(path, tmp_path)
    assert told.rows == 1
    assert table["request_id"].to_pylist() == ["\\ud800"]


def test_an_object_written_again_before_its_batch_is_made_counts_in_a_later_one(
    tmp_path: Path,
) -> None:
    planned = listed(write(tmp_path / "log", "a", [GOOD]))
    path = write(tmp_path / "log", "a", [GOOD, record("more", "request", v2({"x": [2.5]}))])
    plans = [Plan("churn", 1, 4e9, (planned,)), Plan("churn", 2, 4e9, (listed(path),))]
    rows = [payloads.make(p, PayloadSettings(), str(tmp_path / "batches")).rows for p in plans]
    assert rows == [0, 2]


@pytest.mark.parametrize(
    ("size", "most"), [(1, MOST_OBJECTS), (1_000_000, MOST_BYTES // 1_000_000), (10**9, 1)]
)
def test_a_batch_is_made_of_no_more_objects_and_bytes_than_a_worker_can_take(
    size: int, most: int
) -> None:
    waiting = [Counted(Listed(f"{n:05}", size, n), 1) for n in range(2 * MOST_OBJECTS)]
    taken = cut(waiting, None, now=0.0, rows=10**6, patience=(1e9, 1e9))
    assert taken == tuple(each.listed for each in waiting[:most])


def test_an_output_takes_neither_the_place_of_an_input_nor_of_another_output() -> None:
    inputs: Mapping[str, Sequence[Any]] = {"x": (1,), "prediction_x": (2,)}
    assert beside(inputs, {"x": (3,)}) == {**inputs, "prediction_prediction_x": (3,)}
    told = beside({"x": (1,)}, {"x": (2,), "prediction_x": (3,)})
    assert told == {"x": (1,), "prediction_prediction_x": (2,), "prediction_x": (3,)}


NAMES = st.text(max_size=3) | st.sampled_from(["x", "x_0", "request_id", "\ud800"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | NAMES
ROWS = st.lists(
    st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3), max_size=3) | VALUES, max_size=3
)
TENSOR = st.fixed_dictionaries(
    {
        "name": NAMES,
        "shape": st.lists(st.sampled_from([0, 1, 2, 3, 10**9, 10**30]), max_size=3),
        "datatype": st.sampled_from(["FP32", "INT64", "BYTES", "BOOL", "?"]),
        "data": st.lists(VALUES, max_size=4),
    }
)
BODIES = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda rows: json.dumps({"instances": rows}).encode(), ROWS),
    st.builds(lambda all_: json.dumps({"inputs": all_}).encode(), st.lists(TENSOR, max_size=3)),
)
RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from("abc") | NAMES,
        st.sampled_from(["request", "response"]),
        BODIES,
        st.floats(-62135647200.0, 4e9),
        st.none() | st.integers(0, 40),
    ),
    max_size=6,
)


@pytest.mark.slow
@given(records=RECORDS)
def test_no_records_end_the_making_of_a_batch_and_a_second_one_is_the_same(
    records: list[Record], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    path = folder / "1.events"
    segments.write(path, records)
    plan = Plan("churn", 1, 4e9, (listed(path),))
    first, second = (
        payloads.make(plan, PayloadSettings(), str(folder / name / "batches")) for name in "ab"
    )
    assert first == second
    files = [folder / name / "batches" / "00000001.parquet" for name in "ab"]
    assert len({file.exists() and file.read_bytes() for file in files}) == 1
