"""The data contract: every way a batch may differ from the reference has a name, seen everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from shiftwatch.glossary import meaning
from shiftwatch.metrics import render
from shiftwatch.report.phrase import said
from shiftwatch.report.text import table as report_table
from shiftwatch.requests import Context
from shiftwatch.settings import (
    AlarmSettings,
    KsSettings,
    ModelSettings,
    NullsSettings,
    TestsSettings,
)
from shiftwatch.status import ModelStatus, Snapshot
from shiftwatch.tally import Tally
from shiftwatch.values import SKIP_REASONS, Run, Verdict
from tests.judging import SMALL_TESTS, batch_of, judged

Change = Callable[[pa.Table], pa.Table]

ROWS, REFERENCE_ROWS = 300, 2000
ALWAYS = "steady"
"""A column no case touches: whatever happens to the others, it is tested."""


def _rows(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    texts = rng.choice(["basic", "plus", "family"], rows)
    return pa.table(
        {
            ALWAYS: rng.normal(size=rows),
            "n": rng.normal(size=rows),
            "f": pa.array(rng.normal(size=rows), pa.float32()),
            "i": rng.integers(0, 50, rows),
            "s": pa.array(texts),
            "d": pa.array(rng.choice(["red", "blue"], rows)).dictionary_encode(),
            "m": pa.array([Decimal(int(v)) / 100 for v in rng.integers(0, 9999, rows)]).cast(
                pa.decimal128(10, 2)
            ),
            "t": pa.array(
                [start + timedelta(minutes=int(v)) for v in np.arange(rows)],
                pa.timestamp("us", "UTC"),
            ),
            "b": rng.random(rows) < 0.4,
            "k": pa.array([7.0] * rows),
            "l": pa.array([[int(v)] for v in rng.integers(0, 9, rows)], pa.list_(pa.int8())),
        }
    )


def _put(name: str, values: pa.Array | pa.ChunkedArray, new_name: str | None = None) -> Change:
    def change(table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        return table.set_column(place, new_name or name, values)

    return change


def _cast(name: str, type_: pa.DataType) -> Change:
    return lambda table: _put(name, table.column(name).cast(type_, safe=False))(table)


def _named(name: str, new_name: str) -> Change:
    return lambda table: _put(name, table.column(name), new_name)(table)


def _some(name: str, share: float, value: float | None) -> Change:
    """The first rows of a column have this value instead."""

    def change(table: pa.Table) -> pa.Table:
        values = table.column(name).to_pylist()
        count = math.ceil(share * len(values))
        column = pa.array([value] * count + values[count:], table.schema.field(name).type)
        return _put(name, column)(table)

    return change


def _not_utf8(table: pa.Table) -> pa.Table:
    raw = pa.array([b"\xff\xfe"] * 90 + [b"plus"] * (table.num_rows - 90), pa.binary())
    text = pa.StringArray.from_buffers(len(raw), *raw.buffers()[1:], raw.buffers()[0])
    return _put("s", text)(table)


def _nan_beside_nulls(table: pa.Table) -> pa.Table:
    values = table.column("n").to_pylist()
    return _put("n", pa.array([math.nan, None, math.nan, None, *values[4:]], from_pandas=False))(
        table
    )


def _twice(name: str, new_name: str | None = None) -> Change:
    return lambda table: table.append_column(new_name or name, table.column(name))


def _dropped(name: str) -> Change:
    return lambda table: table.drop_columns([name])


def _first(rows: int) -> Change:
    return lambda table: table.slice(0, rows)


@dataclass(frozen=True)
class Case:
    """What is done to a good batch, and what must be said of it."""

    name: str
    change: Change
    verdict: Verdict
    findings: tuple[tuple[str, str], ...] = ()
    """(code, column), all of them but for ``promise_not_kept``."""
    skips: tuple[tuple[str, str], ...] = ()
    """(reason, column), at least these."""
    tested: tuple[str, ...] = ()
    """Columns that have a result although they were touched."""
    reason: str = ""
    """What the run says itself, where neither finding nor skip does."""


CASES = (
    Case("nothing", lambda table: table, "no_shift", tested=("n", "f", "i", "s", "d", "m", "b")),
    Case(
        "a missing column",
        _dropped("n"),
        "invalid_data",
        (("missing_column", "n"),),
        (("missing_column", "n"), ("missing_column", "*")),
    ),
    Case(
        "an extra column",
        _twice("n", "x"),
        "no_shift",
        (("extra_column", "x"),),
        tested=("n",),
    ),
    Case(
        "an extra nested column",
        _twice("l", "deep"),
        "no_shift",
        (("extra_column", "deep"),),
    ),
    Case("another case", _named("n", "N"), "no_shift", (("renamed_by_case", "n"),), tested=("n",)),
    Case(
        "another case of a text",
        _named("s", "S"),
        "no_shift",
        (("renamed_by_case", "s"),),
        tested=("s",),
    ),
    Case(
        "another case, twice",
        lambda table: _twice("N")(_named("n", "N")(table)),
        "invalid_data",
        (("duplicate_column", "n"),),
        (("duplicate_column", "n"),),
    ),
    Case(
        "two names that differ from it by case",
        lambda table: _twice("Ii", "iI")(_named("i", "Ii")(table)),
        "invalid_data",
        (("missing_column", "i"), ("extra_column", "Ii"), ("extra_column", "iI")),
    ),
    Case(
        "a number that became a text",
        _cast("i", pa.string()),
        "invalid_data",
        (("changed_type", "i"),),
        (("changed_type", "i"),),
    ),
    Case(
        "a text that became a number",
        _put("s", pa.array(range(ROWS))),
        "invalid_data",
        (("changed_type", "s"),),
        (("changed_type", "s"),),
    ),
    Case(
        "a boolean that became a text",
        _cast("b", pa.string()),
        "invalid_data",
        (("changed_type", "b"),),
    ),
    Case("a wider float", _cast("f", pa.float64()), "no_shift", tested=("f",)),
    Case("a narrower float", _cast("n", pa.float32()), "no_shift", tested=("n",)),
    Case("a narrower integer", _cast("i", pa.int16()), "no_shift", tested=("i",)),
    Case("a text as a dictionary", _cast("s", pa.dictionary(pa.int8(), pa.string())), "no_shift"),
    Case("a dictionary as a text", _cast("d", pa.string()), "no_shift", tested=("d",)),
    Case("a large text", _cast("s", pa.large_string()), "no_shift", tested=("s",)),
    Case("a decimal of another scale", _cast("m", pa.decimal128(20, 6)), "no_shift", tested=("m",)),
    Case("a decimal as a float", _cast("m", pa.float64()), "no_shift", tested=("m",)),
    Case(
        "a decimal as a text",
        _cast("m", pa.string()),
        "invalid_data",
        (("changed_type", "m"),),
    ),
    Case(
        "a timestamp of another unit",
        _cast("t", pa.timestamp("ms", "UTC")),
        "no_shift",
        skips=(("timestamp", "t"),),
    ),
    Case(
        "a timestamp of another zone",
        _cast("t", pa.timestamp("us", "Asia/Tokyo")),
        "no_shift",
        skips=(("timestamp", "t"),),
    ),
    Case(
        "a timestamp without a zone",
        _cast("t", pa.timestamp("ns")),
        "no_shift",
        skips=(("timestamp", "t"),),
    ),
    Case(
        "a timestamp as a number",
        _cast("t", pa.int64()),
        "invalid_data",
        (("changed_type", "t"),),
    ),
    Case(
        "a nested column",
        lambda table: table,
        "no_shift",
        skips=(("unsupported_type", "l"),),
    ),
    Case(
        "a column without a value",
        _some("n", 1.0, None),
        "shift",
        skips=(("all_null", "n"),),
        tested=("n",),
    ),
    Case(
        "a column without a type",
        _put("s", pa.nulls(ROWS)),
        "shift",
        skips=(("all_null", "s"),),
        tested=("s",),
    ),
    Case("a column that became constant", _some("n", 1.0, 0.5), "shift", tested=("n",)),
    Case(
        "a column that was constant",
        lambda table: table,
        "no_shift",
        skips=(("constant", "k"), ("no_nulls", "k")),
    ),
    Case("one infinite value", _some("n", 1 / ROWS, math.inf), "no_shift", (("infinite", "n"),)),
    Case("half infinite", _some("n", 0.5, -math.inf), "shift", (("infinite", "n"),), tested=("n",)),
    Case("texts that are no UTF-8", _not_utf8, "shift", (("new_categories", "s"),), tested=("s",)),
    Case("NaN beside nulls", _nan_beside_nulls, "no_shift", tested=("n",)),
    Case(
        "a name twice",
        _twice("n"),
        "invalid_data",
        (("duplicate_column", "n"),),
        (("duplicate_column", "n"), ("duplicate_column", "*")),
    ),
    Case(
        "a name twice that is not in the reference",
        lambda table: _twice("n", "x")(_twice("s", "x")(table)),
        "no_shift",
        (("extra_column", "x"),),
    ),
    Case("no row", _first(0), "insufficient_data", reason="0 rows of at least 30"),
    Case("one row", _first(1), "insufficient_data", reason="1 rows of at least 30"),
)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("contract")
    pq.write_table(_rows(REFERENCE_ROWS, seed=0), folder / "reference.parquet")
    settings = ModelSettings(
        name="churn",
        reference=str(folder / "reference.parquet"),
        batches=str(folder),
        tests=SMALL_TESTS,
    )
    return Context(settings, AlarmSettings(), 7, str(folder / "cache"), "c0" * 32)


def _run(context: Context, path: Path, table: pa.Table) -> Run:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return judged(context, batch_of(path)).run


def _metrics(run: Run) -> dict[tuple[str, str], float]:
    """Counters of findings and skips of a scrape after this run, by name and last label."""
    tally = Tally()
    tally.add_run(run)
    status = ModelStatus("churn", (), "ok", run, None, 0, tally.counts())
    _, body = render(Snapshot((status,), "0", "3", 10))
    names = ("shiftwatch_findings_total", "shiftwatch_tests_skipped_total")
    return {
        (sample.name, sample.labels.get("code") or sample.labels["reason"]): sample.value
        for family in read_text(body.decode())
        for sample in family.samples
        if sample.name in names
    }


def _assert_every_outcome_is_seen(run: Run) -> None:
    """In the metrics by name and number, in the report with its column, and explained."""
    metrics = _metrics(run)
    report = report_table(run, most=100)
    for finding in run.findings:
        count = sum(other.code == finding.code for other in run.findings)
        assert metrics["shiftwatch_findings_total", finding.code] == count
        assert meaning(finding.code)
        assert finding.column in report
    for skip in run.skipped:
        count = sum(other.reason == skip.reason for other in run.skipped)
        assert metrics["shiftwatch_tests_skipped_total", skip.reason] == count
        assert meaning(skip.reason)
        assert said(SKIP_REASONS[skip.reason]) in report
        assert skip.reason != "test_failed"
    assert meaning(run.verdict)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_differs_has_a_name_and_hides_no_other_column(
    case: Case, context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path / "batch.parquet", case.change(_rows(ROWS, seed=1)))
    assert run.verdict == case.verdict, (run.reasons, run.findings)
    found = [(f.code, f.column) for f in run.findings if f.code != "promise_not_kept"]
    assert sorted(found) == sorted(case.findings)
    assert set(case.skips) <= {(skip.reason, skip.target) for skip in run.skipped}
    if case.reason:
        assert run.reasons == (case.reason,)
    else:
        results = {result.target for result in run.results}
        assert {ALWAYS, *case.tested} <= results
    if case.verdict == "invalid_data":
        assert run.reasons
        (schema,) = [d for d in run.decisions if d.scope == "schema"]
        assert schema.alarm
        invalid = {f.column for f in run.findings if f.severity == "invalid"}
        assert set(schema.columns) == invalid
    _assert_every_outcome_is_seen(run)


def test_nan_and_null_are_counted_as_the_same_absence(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path / "batch.parquet", _nan_beside_nulls(_rows(ROWS, seed=1)))
    (profile,) = [column for column in run.columns if column.name == "n"]
    assert profile.nulls_current == 4


@pytest.mark.parametrize(
    ("name", "type_", "bits"),
    [("n", pa.float64(), 0x7FF0000000000001), ("f", pa.float32(), 0x7F800001)],
)
def test_a_nan_that_signals_is_null_and_warns_nobody(
    name: str, type_: pa.DataType, bits: int, context: Context, tmp_path: Path
) -> None:
    table = _rows(ROWS, seed=1)
    numbers = table.column(name).to_numpy().copy()
    numbers.view(f"u{numbers.itemsize}")[:3] = bits
    run = _run(context, tmp_path / "batch.parquet", _put(name, pa.array(numbers, type_))(table))
    assert run.verdict == "no_shift"
    (profile,) = [column for column in run.columns if column.name == name]
    assert profile.nulls_current == 3


def test_partition_folders_are_columns_with_findings_of_their_own(tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    for day in ("mon", "tue"):
        path = reference / f"day={day}" / "x.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(_rows(1000, seed=len(day)), path)
    batches = tmp_path / "batches"
    settings = ModelSettings("churn", reference=str(reference), batches=str(batches))
    context = Context(
        replace(settings, tests=SMALL_TESTS), AlarmSettings(), 7, str(tmp_path / "cache"), ""
    )
    table = _rows(ROWS, seed=1)
    known = _run(context, batches / "day=mon" / "x.parquet", table)
    assert "day" in {result.target for result in known.results}
    without = _run(context, batches / "x.parquet", table)
    assert ("missing_column", "day") in [(f.code, f.column) for f in without.findings]
    other = _run(context, batches / "day=mon" / "hour=7" / "x.parquet", table)
    assert ("extra_column", "hour") in [(f.code, f.column) for f in other.findings]
    own = _run(
        context, batches / "day=wed" / "x.parquet", table.append_column("day", pa.array([1] * ROWS))
    )
    assert ("changed_type", "day") in [(f.code, f.column) for f in own.findings]
    for run in (known, without, other, own):
        assert ALWAYS in {result.target for result in run.results}
        _assert_every_outcome_is_seen(run)


def test_a_type_without_end_does_not_make_a_message_without_end(
    context: Context, tmp_path: Path
) -> None:
    deep = pa.array([{f"field number {place}": 1 for place in range(500)}] * ROWS)
    run = _run(context, tmp_path / "batch.parquet", _put("n", deep)(_rows(ROWS, seed=1)))
    (finding,) = [f for f in run.findings if f.code == "changed_type"]
    assert len(finding.message) < 250


def test_a_reference_without_a_column_that_varies_still_has_its_batches_judged(
    tmp_path: Path,
) -> None:
    reference = pa.table({"s": ["a"] * 80, "l": [[1]] * 80})
    pq.write_table(reference, tmp_path / "reference.parquet")
    settings = ModelSettings(
        "churn",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path),
        tests=SMALL_TESTS,
    )
    context = Context(settings, AlarmSettings(), 7, str(tmp_path / "cache"), "")
    same = _run(context, tmp_path / "a.parquet", reference.slice(0, 40))
    assert same.verdict == "insufficient_data"
    assert same.reasons[0].startswith("no column can be tested: ")
    assert {skip.reason for skip in same.skipped} >= {"constant", "unsupported_type"}
    empty = pa.table({"s": pa.nulls(40, pa.string()), "l": [[1]] * 40})
    gone = _run(context, tmp_path / "b.parquet", empty)
    assert gone.verdict == "shift"


def test_columns_without_end_that_nobody_asked_for_do_not_make_a_run_without_end(
    context: Context, tmp_path: Path
) -> None:
    table = _rows(ROWS, seed=1)
    wide = pa.table(
        {name: table.column(name) for name in table.column_names}
        | {f"extra {place}": pa.nulls(ROWS) for place in range(10_000)}
    )
    run = _run(context, tmp_path / "batch.parquet", wide)
    assert run.verdict == "no_shift"
    extra = [finding for finding in run.findings if finding.code == "extra_column"]
    assert [finding.column for finding in extra[:2]] == ["extra 0", "extra 1"]
    assert len(extra) == 101
    assert extra[-1].message == "9900 more columns are not in the reference"
    assert {ALWAYS, "n", "s"} <= {result.target for result in run.results}


@pytest.mark.slow
def test_of_ten_thousand_columns_the_bad_ones_are_named_and_the_others_tested(
    tmp_path: Path,
) -> None:
    names = [f"c{place:05}" for place in range(10_000)]
    rng = np.random.default_rng(3)

    def wide(rows: int) -> pa.Table:
        return pa.table({name: rng.normal(size=rows).astype(np.float32) for name in names})

    pq.write_table(wide(200), tmp_path / "reference.parquet")
    settings = ModelSettings(
        "churn",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path),
        tests=TestsSettings(
            ks=KsSettings(),
            nulls=NullsSettings(),
            chi2=None,
            unseen=None,
            distinct=None,
            mmd=None,
            c2st=None,
        ),
    )
    context = Context(settings, AlarmSettings(), 7, str(tmp_path / "cache"), "")
    table = wide(60).drop_columns(names[:3]).append_column("more", pa.array(range(60)))
    run = _run(context, tmp_path / "batch.parquet", table)
    assert run.verdict == "invalid_data"
    codes = [(f.code, f.column) for f in run.findings if f.code != "promise_not_kept"]
    missing = [("missing_column", name) for name in names[:3]]
    assert sorted(codes) == [("extra_column", "more"), *missing]
    assert {result.target for result in run.results} == set(names[3:])
    assert len(run.columns) == len(names)
