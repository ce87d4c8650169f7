"""Derived columns from Parquet to the verdict: read, prepared, cached, tested, never fed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch import watch as house
from shiftwatch.requests import Context
from shiftwatch.settings import (
    AlarmSettings,
    ColumnSettings,
    FeatureSettings,
    FieldError,
    ModelSettings,
)
from shiftwatch.values import Run
from tests.judging import SMALL_TESTS, batch_of, judged
from tests.onnx_models import linear

MONDAY = np.datetime64("2024-01-01T00:00:00", "us")
DAYS = 28
DAY = 86_400


def _moments(seconds: np.ndarray) -> pa.Array:
    return pa.array(MONDAY + (seconds * 1e6).astype(np.int64))


def _table(
    rows: int,
    seed: int,
    *,
    days: float = DAYS,
    digits: int = 8,
    hour: float | None = None,
    late: float = 1.0,
) -> pa.Table:
    """A number, an identifier, a time of signing up, and when each row happened and came."""
    rng = np.random.default_rng(seed)
    signed = np.sort(rng.uniform(0, days * DAY, rows))
    if hour is not None:
        signed = np.floor(signed / DAY) * DAY + hour * 3600 + rng.uniform(0, 3600, rows)
    event = np.linspace(0, DAY, rows, endpoint=False)
    return pa.table(
        {
            "x": rng.normal(size=rows),
            "user": [f"u-{number:0{digits}d}" for number in rng.integers(10**8, size=rows)],
            "signed_up": _moments(rng.permutation(signed)),
            "event": _moments(event),
            "arrived": _moments(event + rng.exponential(late, rows)),
        }
    )


@pytest.fixture
def context(tmp_path: Path) -> Context:
    pq.write_table(_table(3000, 1), tmp_path / "reference.parquet")
    settings = ModelSettings(
        name="m",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path / "batches"),
        columns=ColumnSettings(time="event", arrival="arrived"),
        tests=SMALL_TESTS,
    )
    return Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "test")


def _run(context: Context, folder: Path, content: pa.Table) -> Run:
    pq.write_table(content, folder / "batch.parquet")
    return judged(context, batch_of(folder / "batch.parquet")).run


def _p_values(run: Run, target: str) -> dict[str, float]:
    return {result.test: result.p_value for result in run.results if result.target == target}


def _reasons(run: Run, target: str) -> dict[str, str]:
    return {skip.test: skip.reason for skip in run.skipped if skip.target == target}


DERIVED = {
    "user.length": "ks",
    "user.digits": "ks",
    "user.non_ascii": "ks",
    "signed_up.hour": "chi2",
    "signed_up.weekday": "chi2",
    "arrived.lag": "ks",
}


def test_each_derived_column_meets_the_one_test_of_its_kind(
    context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path, _table(600, 2))
    assert run.verdict == "no_shift"
    assert [f.code for f in run.findings if f.severity == "invalid"] == []
    profiles = {column.name for column in run.columns}
    for name, test in DERIVED.items():
        assert {*_p_values(run, name), *_reasons(run, name)} == {test}, name
        assert name in profiles
    assert _reasons(run, "user.non_ascii") == {"ks": "constant"}
    assert not {"event", "arrived"} & profiles
    assert _reasons(run, "signed_up")["ks"] == "timestamp"


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"digits": 9}, "user.length"),
        ({"hour": 3.0}, "signed_up.hour"),
        ({"late": 3.0}, "arrived.lag"),
    ],
)
def test_a_change_that_only_a_derived_column_shows_is_found(
    context: Context, tmp_path: Path, change: dict[str, float], target: str
) -> None:
    run = _run(context, tmp_path, _table(600, 3, **change))  # type: ignore[arg-type] # by name
    assert run.verdict == "shift"
    assert target in {name for decision in run.decisions for name in decision.columns}
    assert min(_p_values(run, target).values()) < 1e-9


def test_a_batch_of_three_days_shows_hours_and_no_weekdays(
    context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path, _table(600, 4, days=3.4))
    assert _reasons(run, "signed_up.weekday") == {"chi2": "span_too_short"}
    assert _p_values(run, "signed_up.hour")["chi2"] > 1e-4


def test_a_missing_source_skips_what_is_derived_from_it(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _table(600, 5).drop_columns(["user", "arrived"]))
    assert _reasons(run, "user.length") == {"ks": "missing_column"}
    assert _reasons(run, "arrived.lag") == {"ks": "missing_column"}
    missing = {f.column for f in run.findings if f.code == "missing_column"}
    assert missing == {"user", "arrived"}


def test_a_missing_event_time_skips_the_lag(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _table(600, 5).drop_columns(["event"]))
    assert _reasons(run, "arrived.lag") == {"ks": "missing_column"}


def test_what_is_derived_survives_the_cache(context: Context) -> None:
    fresh = house.load(context).reference.schema
    again = house.load(context).reference.schema
    assert again == fresh
    assert {c.name: c.derived_from for c in again if c.derived_from} == {
        name: name.partition(".")[0] for name in DERIVED
    }


def test_a_real_column_with_the_dotted_name_stays_what_it_is(
    context: Context, tmp_path: Path
) -> None:
    content = _table(3000, 1)
    own = content.append_column("user.length", content.column("x"))
    pq.write_table(own, context.model.reference)
    schema = {c.name: c for c in house.load(context).reference.schema}
    assert schema["user.length"].derived_from is None
    assert schema["user.length"].type == "double"
    assert schema["user.digits"].derived_from == "user"
    batch = _table(600, 2)
    run = _run(context, tmp_path, batch.append_column("user.length", batch.column("x")))
    assert "nulls" in {*_p_values(run, "user.length"), *_reasons(run, "user.length")}


def test_a_derived_column_is_never_fed_to_the_model(context: Context, tmp_path: Path) -> None:
    model = linear(tmp_path / "model.onnx", np.ones((1, 1), dtype=np.float32), 1)
    settings = replace(context.model, model=model, features=FeatureSettings(include=("x",)))
    run = _run(replace(context, model=settings), tmp_path, _table(600, 6))
    assert [f.code for f in run.findings if f.severity == "invalid"] == []
    assert _p_values(run, "arrived.lag")["ks"] > 1e-4
    assert {c.name for c in run.columns if c.role == "input"} == {"x", "arrived.lag"}


def test_an_arrival_without_an_event_time_is_refused() -> None:
    with pytest.raises(FieldError, match="needs the event time"):
        ColumnSettings(arrival="arrived")
