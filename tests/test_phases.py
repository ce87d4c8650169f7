"""A season, from files to verdict: the batch meets the reference rows of its own hours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch import phases, watch
from shiftwatch.check import answer
from shiftwatch.errors import DataError
from shiftwatch.phases import Fitted, fitted, span_of
from shiftwatch.requests import Context, Survey, Surveyed
from shiftwatch.season import Arc
from shiftwatch.settings import (
    AlarmSettings,
    ColumnSettings,
    KsSettings,
    ModelSettings,
    TestsSettings,
)
from shiftwatch.source.listing import list_folder
from shiftwatch.values import Batch, Run
from tests.judging import batch_of, judged, without_cost

DAY, HOUR = 86_400.0, 3600.0
START = 1_767_225_600.0  # 2026-01-01
ROWS_A_DAY = 240


def _table(first: float, days: float, seed: int, *, amplitude: float = 1.5) -> pa.Table:
    rng = np.random.default_rng(seed)
    times = first + np.arange(round(days * ROWS_A_DAY)) * (DAY / ROWS_A_DAY)
    load = rng.standard_normal(times.size) + amplitude * np.sin(2 * np.pi * times / DAY)
    stamps = pa.array((times * 1e6).astype(np.int64), pa.timestamp("us", tz="UTC"))
    return pa.table({"at": stamps, "load": load})


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "batches").mkdir()
    pq.write_table(_table(START, 30, 0), tmp_path / "reference.parquet")
    settings = ModelSettings(
        name="m",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path / "batches"),
        columns=ColumnSettings(time="at"),
        tests=TestsSettings(ks=KsSettings()),
        season="day",
    )
    return Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "c")


def _batch(context: Context, content: pa.Table, name: str = "b.parquet") -> Batch:
    path = Path(context.model.batches) / name
    pq.write_table(content, path)
    times = content.column("at").cast(pa.int64()).to_numpy() / 1e6
    start, end = float(times.min()), float(times.max())
    return replace(batch_of(path), event_time_start=start, event_time_end=end)


def _night(context: Context, seed: int = 1) -> Batch:
    return _batch(context, _table(START + 30 * DAY, 0.25, seed), f"night{seed}.parquet")


def _fitted(watched: watch.Watch, batch: Batch) -> Fitted:
    return fitted(watched, span_of(watched, batch))


def _doubts(run: Run) -> list[str]:
    return [f.message for f in run.findings if f.code == "promise_not_kept"]


def test_a_batch_is_compared_with_the_rows_of_its_own_hours(context: Context) -> None:
    batch = _night(context)
    run = judged(context, batch).run
    (ks,) = [result for result in run.results if result.test == "ks"]
    assert ks.rows_reference == 30 * ROWS_A_DAY // 4
    assert ks.p_value > 0.001
    assert _doubts(run) == []
    unaware = replace(context, model=replace(context.model, season=None))
    run = judged(unaware, batch).run
    (ks,) = [result for result in run.results if result.test == "ks"]
    assert ks.rows_reference == 30 * ROWS_A_DAY
    assert ks.inflation > 3
    assert "write `season: day`" in _doubts(run)[-1]


def test_a_real_shift_is_found_within_the_season_and_not_without(context: Context) -> None:
    content = _table(START + 30 * DAY, 0.25, 1)
    shifted = content.set_column(1, "load", pa.array(content.column("load").to_numpy() + 0.8))
    batch = _batch(context, shifted)
    assert judged(context, batch).run.verdict == "shift"
    unaware = replace(context, model=replace(context.model, season=None))
    assert judged(unaware, batch).run.verdict == "no_shift"


def test_hours_seen_too_seldom_and_whole_days_meet_the_whole_reference(context: Context) -> None:
    pq.write_table(_table(START, 8, 0), context.model.reference)
    run = judged(context, _night(context)).run
    (ks,) = [result for result in run.results if result.test == "ks"]
    assert ks.rows_reference == 8 * ROWS_A_DAY
    assert "seen in 8 days of the reference, and a season needs 10" in _doubts(run)[0]
    whole = judged(context, _batch(context, _table(START + 30 * DAY, 1, 2))).run
    assert not any("season needs" in text for text in _doubts(whole))


def test_a_batch_without_event_times_meets_the_whole_reference_and_says_so(
    context: Context,
) -> None:
    content = _table(START, 0.25, 3)
    path = Path(context.model.batches) / "b.parquet"
    nothing = pa.nulls(content.num_rows, pa.timestamp("us", tz="UTC"))
    pq.write_table(content.set_column(0, "at", nothing), path)
    run = judged(context, batch_of(path)).run
    assert any("has no event times" in text for text in _doubts(run))
    assert run.results[0].rows_reference == 30 * ROWS_A_DAY


def test_the_reference_of_the_hours_is_prepared_once_and_its_number_is_bounded(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "MOST_KEPT", 2)
    prepared: list[str] = []
    original = phases._prepared

    def counted(watched: watch.Watch, arc: Arc) -> object:
        prepared.append(arc.name)
        return original(watched, arc)

    monkeypatch.setattr(phases, "_prepared", counted)
    watched = watch.load(context)
    root = Path(context.cache) / "m"
    for part in (0, 0, 1, 2, 2):
        content = _table(START + 30 * DAY + part * 6 * HOUR, 0.25, part)
        fit = _fitted(watched, _batch(context, content, f"{part}.parquet"))
        assert fit.watched.reference.rows == 30 * ROWS_A_DAY // 4
        assert fit.stratum == f"day-{6 * part:02}-{6 * part + 6:02}"
    assert prepared == ["day-00-06", "day-06-12", "day-12-18"]
    assert sorted(entry.name for entry in root.iterdir()) == [
        watched.fingerprint,
        f"{watched.fingerprint}-day-06-12",
        f"{watched.fingerprint}-day-12-18",
    ]


def test_a_reference_replaced_meanwhile_is_not_kept_under_the_old_name(context: Context) -> None:
    watched = watch.load(context)
    pq.write_table(_table(START, 30, 9), context.model.reference)
    _fitted(watched, _night(context))
    assert [e.name for e in (Path(context.cache) / "m").iterdir()] == [watched.fingerprint]


def _shuffled(content: pa.Table) -> pa.Table:
    return content.take(np.random.default_rng(4).permutation(content.num_rows))


def test_the_order_of_rows_in_the_files_changes_nothing(context: Context, tmp_path: Path) -> None:
    content, reference = _table(START + 30 * DAY, 0.25, 1), pq.read_table(context.model.reference)
    first = judged(context, _batch(context, content, "a.parquet")).run
    pq.write_table(_shuffled(reference), tmp_path / "other.parquet")
    other = replace(
        context, model=replace(context.model, reference=str(tmp_path / "other.parquet"))
    )
    batch = replace(_batch(context, _shuffled(content), "b.parquet"), id=first.batch.id)
    second = judged(other, batch).run
    assert second.results == first.results
    assert second.findings == first.findings
    again = judged(context, first.batch).run
    assert without_cost(again) == without_cost(first)


def test_check_measures_the_hours_of_the_newest_file(context: Context) -> None:
    batch = _night(context)
    surveyed = answer(Survey(context, list_folder(batch.uri)[0]))
    assert isinstance(surveyed, Surveyed)
    assert surveyed.facts["batch_rows"] == ROWS_A_DAY // 4
    assert surveyed.facts["rows"] == 30 * ROWS_A_DAY // 4
    assert set(surveyed.facts["season"]) == {"day"}
    assert surveyed.facts["doubts"] == []
    blind = answer(Survey(context, None))
    assert isinstance(blind, Surveyed)
    assert blind.facts["rows"] == 30 * ROWS_A_DAY
    assert blind.facts["batch_rows"] == 30 * ROWS_A_DAY // 20


def test_a_reference_that_is_gone_is_no_fault_of_the_batch(context: Context) -> None:
    watch.watch(context)
    Path(context.model.reference).unlink()
    with pytest.raises(DataError, match=r"reference\.parquet"):
        judged(context, _night(context))


def test_rows_of_the_reference_without_event_times_are_in_no_phase(context: Context) -> None:
    content = pq.read_table(context.model.reference)
    stamps = content.column("at").to_pylist()
    holes = [None if row % 7 == 0 else stamp for row, stamp in enumerate(stamps)]
    at = pa.array(holes, content.schema.field("at").type)
    pq.write_table(content.set_column(0, "at", at), context.model.reference)
    run = judged(context, _night(context)).run
    assert run.results[0].rows_reference == sum(
        stamp is not None and stamp.hour < 6 for stamp in holes
    )
    none = pa.nulls(content.num_rows, content.schema.field("at").type)
    pq.write_table(content.set_column(0, "at", none), context.model.reference)
    run = judged(replace(context, seed=1), _night(context)).run  # another worker
    assert "seen in 0 days of the reference" in _doubts(run)[0]


def test_the_performance_of_a_seasonal_batch_is_estimated_by_the_labels_of_all_hours(
    context: Context,
) -> None:
    def scored(table: pa.Table, seed: int) -> pa.Table:
        load = table.column("load").to_numpy()
        score = 1 / (1 + np.exp(-load))
        label = np.random.default_rng(seed).random(load.size) < score
        table = table.append_column("score", pa.array(score))
        return table.append_column("label", pa.array(label.astype(float)))

    pq.write_table(scored(_table(START, 30, 0), 1), context.model.reference)
    columns = ColumnSettings(time="at", prediction=("score",), label="label")
    labelled = replace(context, model=replace(context.model, columns=columns))
    night = scored(_table(START + 40 * DAY, 0.25, 5), 2)
    run = judged(labelled, _batch(labelled, night)).run
    told = run.explanation["performance"]
    right = (night.column("score").to_numpy() > 0.5) == night.column("label").to_numpy()
    change = float(right.mean()) - told["reference"]
    assert told["change_low"] <= change <= told["change_high"]
