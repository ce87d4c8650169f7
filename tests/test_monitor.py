"""One step: what is due is judged once, in order, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch.errors import DataError, WorkerError
from shiftwatch.insist import TRIES
from shiftwatch.look import confined
from shiftwatch.monitor import Monitor, Stopped
from shiftwatch.requests import Check, Inspect, List, Request
from shiftwatch.settings import (
    ByRows,
    ByTime,
    ModelSettings,
    TestsSettings,
    ToleranceSettings,
    WindowSettings,
)
from shiftwatch.status import Snapshot
from shiftwatch.store import Store
from shiftwatch.values import Run
from shiftwatch.worker import Worker
from tests.streams import LONG_AGO, judge, ks_model, scope, settings_of

pytestmark = pytest.mark.slow  # every test starts real workers

START = datetime(2026, 1, 1, tzinfo=UTC)


def _table(rows: int, seed: int, shift: float = 0.0, start: datetime = START) -> pa.Table:
    rng = np.random.default_rng(seed)
    times = [start + timedelta(seconds=60 * index) for index in range(rows)]
    return pa.table(
        {
            "amount": rng.normal(shift, 1, rows),
            "plan": rng.choice(["a", "b"], rows).tolist(),
            "at": pa.array(times, pa.timestamp("us", tz="UTC")),
        }
    )


@pytest.fixture
def model(tmp_path: Path) -> ModelSettings:
    """Only KS, so that a check takes milliseconds; the fold and the store are the subject."""
    return ks_model(tmp_path, _table(2000, 0))


def _write(tmp_path: Path, name: str, table: pa.Table) -> Path:
    path = tmp_path / "batches" / name
    pq.write_table(table, path)
    return path


@contextmanager
def _open(tmp_path: Path, model: ModelSettings) -> Iterator[Monitor]:
    settings = settings_of(tmp_path, model)
    with Store.open(settings.store.path, clock=time.time) as store:
        yield Monitor(settings, store, time.time, {model.name: "test"})


def _stream(tmp_path: Path, shifted_from: int, count: int) -> None:
    for index in range(count):
        shift = 1.0 if index >= shifted_from else 0.0
        start = START + timedelta(days=index)
        _write(tmp_path, f"{index:02}.parquet", _table(300, 10 + index, shift, start))


def _essence(run: Run) -> object:
    """What must not depend on interruptions."""
    return run.batch.id, run.verdict, run.decisions, run.results


def test_batches_are_judged_in_order_of_event_time_not_of_name(
    tmp_path: Path, model: ModelSettings
) -> None:
    _write(tmp_path, "a.parquet", _table(100, 1, start=START + timedelta(days=9)))
    _write(tmp_path, "b.parquet", _table(100, 2, start=START))
    assert [Path(run.batch.uri).name for run in judge(tmp_path, model)] == [
        "b.parquet",
        "a.parquet",
    ]


def test_files_looked_through_in_small_pages_are_each_judged_once_and_only_in_their_last_state(
    tmp_path: Path, model: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shiftwatch.backlog.FILES_PER_PAGE", 2)
    monkeypatch.setattr("shiftwatch.look.FILES_PER_CALL", 2)

    def names(runs: Iterable[Run]) -> list[str]:
        return [Path(run.batch.uri).name for run in runs]

    with _open(tmp_path, model) as monitor:
        for index in range(5):
            start = START + timedelta(days=index)
            _write(tmp_path, f"{index}.parquet", _table(100, index, start=start))
        assert names(islice(monitor.step(), 2)) == ["0.parquet", "1.parquet"]  # and is cut off
        _write(tmp_path, "1.parquet", _table(100, 50, start=START + timedelta(days=7)))
        _write(tmp_path, "3.parquet", _table(100, 51, start=START + timedelta(days=6)))
        left = ["2.parquet", "4.parquet", "3.parquet", "1.parquet"]
        assert names(monitor.step()) == left, "the first content of 3 was never read"
        shutil.copy(tmp_path / "batches" / "0.parquet", tmp_path / "batches" / "copy.parquet")
        assert names(monitor.step()) == []
        _write(tmp_path, "5.parquet", _table(100, 52, start=START + timedelta(days=8)))
        assert names(monitor.step()) == ["5.parquet"]
    with _open(tmp_path, model) as restarted:
        assert names(restarted.step()) == []


def test_no_batch_is_judged_twice_and_alarms_outlive_a_restart(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=2, count=4)
    runs = judge(tmp_path, model)
    assert [run.alarm for run in runs] == [False, False, True, True]
    with _open(tmp_path, model) as monitor:
        restored = monitor.snapshot.models[0]
        assert restored.last_run == runs[-1]
        assert restored.last_run is not None
        assert scope(restored.last_run, "input").since == runs[2].batch.id
        assert monitor.snapshot.ready
        assert list(monitor.step()) == []


def test_a_worker_that_is_killed_costs_no_verdict(tmp_path: Path, model: ModelSettings) -> None:
    _stream(tmp_path, shifted_from=1, count=4)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    expected = [_essence(run) for run in judge(undisturbed, model)]
    with _open(tmp_path, model) as monitor:
        steps = monitor.step()
        runs = [next(steps), next(steps)]
        pid = monitor.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        runs += list(steps)
        assert monitor.snapshot.models[0].counts.worker_deaths == 1
    assert [_essence(run) for run in runs] == expected


def _make_deadly(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the worker be killed whenever it is to check this file."""
    call = Worker.call

    def deadly(worker: Worker, request: Request) -> object:
        if isinstance(request, Check) and request.batch.uri.endswith(name):
            call(worker, Inspect((), None))  # so that there is a worker to kill
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        return call(worker, request)

    monkeypatch.setattr(Worker, "call", deadly)


def test_a_batch_that_kills_its_worker_every_time_is_an_error_and_the_next_is_judged(
    tmp_path: Path, model: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stream(tmp_path, shifted_from=1, count=4)
    _make_deadly(monkeypatch, "02.parquet")
    with _open(tmp_path, model) as monitor:
        runs = list(monitor.step())
        assert monitor.snapshot.models[0].monitor_state == "ok"
        assert monitor.snapshot.models[0].counts.worker_deaths == TRIES
    assert [run.verdict for run in runs] == ["no_shift", "shift", "error", "shift"]
    assert "SIGKILL" in runs[2].reasons[0]
    assert runs[2].alarm, "a failure of ours clears no alarm"


def test_a_backlog_is_worked_off_oldest_first_and_its_length_and_age_are_told(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=9, count=3)
    for index in range(3):
        changed = LONG_AGO + 100 * index
        os.utime(tmp_path / "batches" / f"{index:02}.parquet", (changed, changed))
    with _open(tmp_path, model) as monitor:
        told = []
        for run in monitor.step():
            status = monitor.snapshot.models[0]
            told.append((Path(run.batch.uri).name, status.backlog, status.oldest_at))
        last = monitor.snapshot.models[0]
    assert told == [
        ("00.parquet", 3, LONG_AGO),
        ("01.parquet", 2, LONG_AGO + 100),
        ("02.parquet", 1, LONG_AGO + 200),
    ]
    assert (last.backlog, last.oldest_at) == (0, None)


def test_a_step_that_is_stopped_stores_nothing_half_done_and_goes_on_after_a_restart(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=2, count=5)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    expected = [_essence(run) for run in judge(undisturbed, model)]
    with _open(tmp_path, model) as monitor:
        steps = monitor.step()
        first = [next(steps), next(steps)]
        monitor.stop()
        with pytest.raises(Stopped):
            next(steps)
    rest = judge(tmp_path, model)
    assert [_essence(run) for run in [*first, *rest]] == expected


def test_the_same_bytes_under_another_name_are_a_duplicate(
    tmp_path: Path, model: ModelSettings
) -> None:
    table = _table(100, 3)
    _write(tmp_path, "a.parquet", table)
    _write(tmp_path, "b.parquet", table)
    with _open(tmp_path, model) as monitor:
        assert len(list(monitor.step())) == 1
        assert monitor.snapshot.models[0].counts.batches["duplicate"] == 1


def test_a_file_replaced_under_its_name_is_a_new_batch(
    tmp_path: Path, model: ModelSettings
) -> None:
    _write(tmp_path, "a.parquet", _table(100, 3))
    (first,) = judge(tmp_path, model)
    _write(tmp_path, "a.parquet", _table(100, 4))
    (second,) = judge(tmp_path, model)
    assert first.batch.id != second.batch.id


def test_a_file_in_the_writing_is_waited_for_and_reported_after_its_grace(
    tmp_path: Path, model: ModelSettings
) -> None:
    path = _write(tmp_path, "a.parquet", _table(100, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert judge(tmp_path, model) == []
    path.write_bytes(whole)
    (run,) = judge(tmp_path, model)
    assert run.verdict == "no_shift"
    path.write_bytes(whole[: len(whole) // 3])
    os.utime(path, (LONG_AGO, LONG_AGO))
    (late,) = judge(tmp_path, model)
    assert late.verdict == "invalid_data"
    assert "footer" in late.reasons[0]
    assert late.findings[0].code == "incomplete"


def test_too_few_rows_are_insufficient_data(tmp_path: Path, model: ModelSettings) -> None:
    _write(tmp_path, "a.parquet", _table(29, 3))
    (run,) = judge(tmp_path, model)
    assert run.verdict == "insufficient_data"
    assert run.reasons == ("29 rows of at least 30",)
    assert run.results == ()


def test_a_missing_column_is_invalid_data_and_hides_no_other_column(
    tmp_path: Path, model: ModelSettings
) -> None:
    model = replace(model, tests=TestsSettings.all())
    _write(tmp_path, "a.parquet", _table(100, 3).drop_columns(["plan"]))
    (run,) = judge(tmp_path, model)
    assert run.verdict == "invalid_data"
    assert scope(run, "schema").alarm
    assert scope(run, "schema").columns == ("plan",)
    assert "amount" in {result.target for result in run.results}
    reasons = {(skip.test, skip.reason) for skip in run.skipped if skip.target == "plan"}
    assert ("chi2", "missing_column") in reasons


def test_windows_of_rows_cut_across_files_and_the_tail_waits(
    tmp_path: Path, model: ModelSettings
) -> None:
    model = replace(model, window=WindowSettings(by=ByRows(150)))
    for index in range(3):
        start = START + timedelta(days=index)
        _write(tmp_path, f"{index}.parquet", _table(100, index, start=start))
    assert [run.batch.rows for run in judge(tmp_path, model)] == [150, 150]
    _write(tmp_path, "3.parquet", _table(160, 9, start=START + timedelta(days=3)))
    assert [run.batch.rows for run in judge(tmp_path, model)] == [150]


def test_windows_of_time_are_judged_when_they_are_over(
    tmp_path: Path, model: ModelSettings
) -> None:
    model = replace(model, window=WindowSettings(by=ByTime("1h")))
    _write(tmp_path, "a.parquet", _table(150, 1))  # 00:00 to 02:29
    runs = judge(tmp_path, model)
    assert [run.batch.rows for run in runs] == [60, 60]
    later = START + timedelta(minutes=150)
    _write(tmp_path, "b.parquet", _table(60, 2, start=later))  # 02:30 to 03:29
    (third,) = judge(tmp_path, model)
    assert third.batch.rows == 60
    assert len(third.batch.pieces) == 2


def test_a_missing_reference_is_a_fault_of_the_model_and_the_batches_wait(
    tmp_path: Path, model: ModelSettings
) -> None:
    _write(tmp_path, "a.parquet", _table(100, 3))
    reference = Path(model.reference)
    hidden = reference.rename(tmp_path / "hidden.parquet")
    with _open(tmp_path, model) as monitor:
        assert list(monitor.step()) == []
        (status,) = monitor.snapshot.models
        assert status.monitor_state == "error"
        assert status.fault is not None
        assert "reference.parquet" in status.fault
        hidden.rename(reference)
        assert len(list(monitor.step())) == 1
        assert monitor.snapshot.models[0].fault is None


def test_the_prepared_reference_is_read_from_the_cache_after_a_restart(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=9, count=1)
    judge(tmp_path, model)
    (prepared,) = (tmp_path / "s.references" / "m").glob("*/arrays-*.bin")
    before = prepared.stat()
    _write(tmp_path, "new.parquet", _table(100, 77))
    judge(tmp_path, model)
    after = prepared.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_on_demand_checks_enter_no_history_and_stay_below_the_folder(
    tmp_path: Path, model: ModelSettings
) -> None:
    path = _write(tmp_path, "a.parquet", _table(100, 3, shift=2.0))
    with _open(tmp_path, model) as monitor:
        assert monitor.check_file("m", str(path)).verdict == "shift"
        assert monitor.snapshot.models[0].last_run is None
    with pytest.raises(DataError, match="outside the configured batches"):
        confined(model.batches, "../reference.parquet")
    (tmp_path / "batches" / "link.parquet").symlink_to(tmp_path / "reference.parquet")
    with pytest.raises(DataError, match="outside the configured batches"):
        confined(model.batches, "link.parquet")


def test_more_rows_than_the_limit_are_sampled_and_the_run_says_so(
    tmp_path: Path, model: ModelSettings
) -> None:
    model = replace(model, window=WindowSettings(max_rows=200))
    _write(tmp_path, "a.parquet", _table(1000, 3))
    (run,) = judge(tmp_path, model)
    assert {result.rows_current for result in run.results} == {200}
    (finding,) = [f for f in run.findings if f.code == "subsampled"]
    assert finding.message == "tested 200 of 1000 rows"


def test_the_same_bytes_in_another_partition_are_other_rows(
    tmp_path: Path, model: ModelSettings
) -> None:
    for day in ("day=1", "day=2"):
        (tmp_path / "batches" / day).mkdir()
        _write(tmp_path, f"{day}/a.parquet", _table(100, 3))
    assert len(judge(tmp_path, model)) == 2


def test_rows_without_event_time_are_counted_where_time_makes_the_batches(
    tmp_path: Path, model: ModelSettings
) -> None:
    model = replace(model, window=WindowSettings(by=ByTime("1h")))
    table = _table(150, 1)
    times = table.column("at").to_pylist()
    times[5:12] = [None] * 7
    holed = table.set_column(2, "at", pa.array(times, pa.timestamp("us", tz="UTC")))
    _write(tmp_path, "a.parquet", holed)
    first = judge(tmp_path, model)[0]
    assert first.batch.rows == 53
    (finding,) = [f for f in first.findings if f.code == "rows_without_time"]
    assert finding.message.startswith("rows without event time in its files: 7;")


def test_a_fault_of_one_model_stays_with_it(tmp_path: Path, model: ModelSettings) -> None:
    """Whatever the fault is: here a listing that fails in a way nobody foresaw."""
    _stream(tmp_path, shifted_from=9, count=1)
    settings = settings_of(tmp_path, model)
    bad = replace(model, name="a", batches=str(tmp_path / "batches" / "\0"))
    settings = replace(settings, models=(bad, model))
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {"a": "test", "m": "test"})
        runs = list(monitor.step())
        first, second = monitor.snapshot.models
    assert [run.model for run in runs] == ["m"]
    assert (first.monitor_state, second.monitor_state) == ("error", "ok")
    assert first.fault is not None
    assert second.fault is None


def test_the_state_of_a_model_without_batches_folder_does_not_flicker(
    tmp_path: Path, model: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stream(tmp_path, shifted_from=9, count=1)
    with _open(tmp_path, model) as monitor:
        list(monitor.step())
        (tmp_path / "batches").rename(tmp_path / "elsewhere")
        list(monitor.step())
        shown = []
        draw = monitor._drawn

        def drawn(*, ready: bool, checkpoint_at: float | None) -> Snapshot:
            snapshot = draw(ready=ready, checkpoint_at=checkpoint_at)
            shown.append(snapshot.models[0].monitor_state)
            return snapshot

        monkeypatch.setattr(monitor, "_drawn", drawn)
        list(monitor.step())
    assert set(shown) == {"error"}


def test_a_model_whose_batches_stay_away_for_three_times_as_long_as_expected_is_stale(
    tmp_path: Path, model: ModelSettings
) -> None:
    settings = settings_of(tmp_path, replace(model, expect_every="1h"))
    began = time.time()
    now = began
    _stream(tmp_path, shifted_from=9, count=1)
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, lambda: now, {model.name: "test"})
        states = []
        for hours in (0.0, 2.9, 3.1, 3.2):
            now = began + 3600 * hours
            if hours == 3.2:
                _write(tmp_path, "late.parquet", _table(300, 90, start=START + timedelta(days=1)))
            list(monitor.step())
            states.append(monitor.snapshot.models[0].monitor_state)
    assert states == ["ok", "ok", "stale", "ok"]


def test_a_monitor_goes_on_with_what_has_not_changed_and_keeps_the_counters_of_the_rest(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=9, count=1)
    changed = replace(model, name="changed")
    settings = settings_of(tmp_path, model, changed)
    later = settings_of(tmp_path, model, replace(changed, expect_every="1h"))
    names = {"m": "test", "changed": "test"}
    with Store.open(settings.store.path, clock=time.time) as store:
        before = Monitor(settings, store, time.time, names)
        list(before.step())
        after = Monitor(later, store, time.time, names)
        after.inherit(before)
        same, other = after.snapshot.models
        assert same.reference is not None, "it is not prepared anew"
        assert other.reference is None
        assert [each.counts.batches for each in (same, other)] == [{"tested": 1}] * 2
        assert list(after.step()) == []


def test_a_log_that_lies_elsewhere_after_a_reload_is_read_there(
    tmp_path: Path, model: ModelSettings
) -> None:
    (tmp_path / "new-log").mkdir()
    logged = replace(model, source="kserve", batches=str(tmp_path / "batches"))
    moved = replace(logged, batches=str(tmp_path / "new-log"))
    settings, later = (settings_of(tmp_path, each) for each in (logged, moved))
    with Store.open(settings.store.path, clock=time.time) as store:
        before = Monitor(settings, store, time.time, {"m": "test"})
        same, after = (Monitor(each, store, time.time, {"m": "test"}) for each in (settings, later))
        for monitor, log in ((same, logged.batches), (after, moved.batches)):
            monitor.inherit(before)
            collecting = monitor._watched["m"].collecting
            assert collecting is not None
            assert collecting.model.batches == log
        assert same._watched["m"] is before._watched["m"]


def test_a_check_that_began_before_a_reload_ends_with_the_monitor_after_it(
    tmp_path: Path, model: ModelSettings
) -> None:
    settings = settings_of(tmp_path, model)
    with Store.open(settings.store.path, clock=time.time) as store:
        before, after = (Monitor(settings, store, time.time, {"m": "test"}) for _ in range(2))
        with before._hired() as worker:
            after.inherit(before)
            after.stop()
            with pytest.raises(WorkerError, match="told to end"):
                worker.call(List(str(tmp_path)))


def test_an_error_of_ours_is_not_called_stale_while_batches_come(
    tmp_path: Path, model: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, replace(model, expect_every="1h"))
    now = time.time()
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, lambda: now, {model.name: "test"})
        states = []
        _make_deadly(monkeypatch, "parquet")
        for hour in range(5):
            day = START + timedelta(days=hour)
            _write(tmp_path, f"{hour}.parquet", _table(300, 90 + hour, start=day))
            list(monitor.step())
            states.append(monitor.snapshot.models[0].monitor_state)
            now += 3600
        now += 3 * 3600
        list(monitor.step())
        states.append(monitor.snapshot.models[0].monitor_state)
    assert states == ["error"] * 5 + ["stale"]


def test_a_restart_after_an_error_run_shows_when_the_last_good_one_was(
    tmp_path: Path, model: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stream(tmp_path, shifted_from=9, count=2)
    _make_deadly(monkeypatch, "01.parquet")
    with _open(tmp_path, model) as monitor:
        good, failed = list(monitor.step())
        assert failed.verdict == "error"
        assert monitor.snapshot.models[0].last_processed_at == good.judged_at
    with _open(tmp_path, model) as monitor:
        assert monitor.snapshot.models[0].last_processed_at == good.judged_at


def test_files_in_the_writing_are_counted_as_waiting(tmp_path: Path, model: ModelSettings) -> None:
    path = _write(tmp_path, "a.parquet", _table(100, 3))
    path.write_bytes(path.read_bytes()[:50])
    future = time.time() + 10_000
    os.utime(path, (future, future))
    with _open(tmp_path, model) as monitor:
        assert list(monitor.step()) == []
        assert monitor.snapshot.models[0].backlog == 1
        assert monitor.snapshot.models[0].oldest_at is not None


def test_a_file_from_the_future_is_waited_for_since_it_was_first_seen(
    tmp_path: Path, model: ModelSettings
) -> None:
    path = _write(tmp_path, "a.parquet", _table(100, 3))
    path.write_bytes(path.read_bytes()[:50])
    os.utime(path, (4e9, 4e9))
    settings = settings_of(tmp_path, model)
    now = [1000.0]
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, lambda: now[0], {"m": "test"})
        assert list(monitor.step()) == []
        now[0] += 301
        (run,) = list(monitor.step())
    assert run.verdict == "invalid_data"


def test_what_the_checks_of_a_removed_model_took_stays_in_the_sums_over_all(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=9, count=1)
    two = settings_of(tmp_path, model, replace(model, name="other"))
    one = settings_of(tmp_path, model)
    names = {"m": "test", "other": "test"}
    with Store.open(two.store.path, clock=time.time) as store:
        monitor = Monitor(two, store, time.time, names)
        list(monitor.step())
        left = monitor.snapshot.models[1].counts
        for settings, times in ((one, 1), (two, 1), (one, 1)):  # it comes back and goes again
            after = Monitor(settings, store, time.time, names)
            after.inherit(monitor)
            monitor = after
            departed = monitor.snapshot.departed
            assert departed.stage_seconds == {k: times * v for k, v in left.stage_seconds.items()}
            assert departed.test_seconds == left.test_seconds


def test_what_is_asked_of_a_model_that_was_removed_is_refused_by_name(
    tmp_path: Path, model: ModelSettings
) -> None:
    settings = settings_of(tmp_path, model)
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {"m": "test"})
        with pytest.raises(DataError, match="no model is called 'gone' any more"):
            list(monitor.step(("gone",)))
        with pytest.raises(DataError, match="no model is called 'gone' any more"):
            monitor.check_file("gone", "b0.parquet")


def test_stop_ends_an_on_demand_check_too(tmp_path: Path, model: ModelSettings) -> None:
    path = _write(tmp_path, "a.parquet", _table(100, 3))
    with _open(tmp_path, model) as monitor:
        monitor.stop()
        with pytest.raises(WorkerError):
            monitor.check_file("m", str(path))
        with pytest.raises(Stopped):
            list(monitor.step())


def test_another_reference_starts_the_alarms_anew_and_is_told(
    tmp_path: Path, model: ModelSettings
) -> None:
    _stream(tmp_path, shifted_from=0, count=1)
    (run,) = judge(tmp_path, model)
    assert run.alarm
    pq.write_table(_table(2000, 999), model.reference)
    start = START + timedelta(days=5)
    _write(tmp_path, "next.parquet", _table(300, 50, start=start))
    (after,) = judge(tmp_path, model)
    assert after.verdict == "no_shift"
    assert not after.alarm
    assert "new_basis" in {finding.code for finding in after.findings}


def test_a_tolerance_for_a_column_that_does_not_exist_is_refused(
    tmp_path: Path, model: ModelSettings
) -> None:
    model = replace(model, tolerance=ToleranceSettings(columns={"amount_": 0.1}))
    with _open(tmp_path, model) as monitor:
        assert list(monitor.step()) == []
        fault = monitor.snapshot.models[0].fault
    assert fault is not None
    assert "`tolerance` names 'amount_'" in fault
    assert "amount, plan" in fault


@pytest.mark.parametrize("seed", range(4))
def test_an_alarm_that_a_check_has_seen_ends_soon_after_the_shift_does(
    seed: int, tmp_path: Path, model: ModelSettings
) -> None:
    """Charts of the pool, which one bad batch throws up, held it for a hundred batches and more."""
    for index in range(25):
        shift = 2.0 if index == 5 else 0.0
        start = START + timedelta(days=index)
        _write(tmp_path, f"{index:02}.parquet", _table(500, 50_000 * seed + index, shift, start))
    runs = judge(tmp_path, model)
    on = [index for index, run in enumerate(runs) if scope(run, "input").alarm]
    assert on[0] == 5
    assert len(on) <= 6
    assert scope(runs[5], "input").crossed[0] == "check"


def test_a_shift_that_goes_on_keeps_its_alarm(tmp_path: Path, model: ModelSettings) -> None:
    for index in range(25):
        shift = 0.6 if index >= 5 else 0.0
        start = START + timedelta(days=index)
        _write(tmp_path, f"{index:02}.parquet", _table(500, 900 + index, shift, start))
    runs = judge(tmp_path, model)
    assert [scope(run, "input").alarm for run in runs] == [False] * 5 + [True] * 20
