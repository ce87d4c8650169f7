"""Comparisons on demand: the same numbers as a check, the same time last week, and never a history."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from typer.testing import CliRunner

from shiftwatch.cli import app
from shiftwatch.comparison import plan
from shiftwatch.comparisons import Comparisons
from shiftwatch.contrast import compare_files
from shiftwatch.errors import DataError
from shiftwatch.monitor import Monitor
from shiftwatch.progress import Progress
from shiftwatch.settings import AlarmSettings
from shiftwatch.sides import Side, side_of
from shiftwatch.store import Store
from shiftwatch.store.comparisons import INTERRUPTED
from shiftwatch.values import Batch, Piece, Run
from tests.schema import valid_report
from tests.streams import ks_model, settings_of, write_batches
from tests.test_daemon import _when_done, folder, judged, running, until, write
from tests.week import DAY, HOUR, ROWS, START, House, numbers, of_run, past, shared

__all__ = ["folder", "past", "shared"]  # fixtures

# --- what is found -----------------------------------------------------------------------------


def test_a_batch_against_the_reference_has_the_numbers_of_its_check(shared: House) -> None:
    found = shared.compare(Side(shared.ids[1]), Side())
    ran = [result for result in found["results"] if result["skipped"] is None]
    assert numbers(ran) == of_run(shared.runs[1])
    assert found["explanation"]["comparison"]["reference"] == "the reference"
    assert shared.ids[1] in found["explanation"]["comparison"]["current"]


def test_batches_against_batches_have_the_numbers_of_their_files(
    shared: House, tmp_path: Path
) -> None:
    found = shared.compare(Side(shared.ids[4], shared.ids[5]), Side(shared.ids[0], shared.ids[1]))
    files = sorted(Path(shared.model.batches).glob("*.parquet"))
    for name, chosen in (("before", files[:2]), ("after", files[4:])):
        (tmp_path / name).mkdir()
        for file in chosen:
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    sides = replace(
        shared.model,
        name="compare",
        reference=str(tmp_path / "before"),
        batches=str(tmp_path / "after"),
    )
    direct = compare_files(sides, alarms=AlarmSettings())
    ran = [result for result in found["results"] if result["skipped"] is None]
    assert numbers(ran) == of_run(direct)
    told = found["explanation"]["comparison"]
    assert told["reference_batches"] == shared.ids[:2]
    assert told["current"].startswith("2 batches from ")


def test_the_same_time_last_week_shows_nothing_where_the_reference_does(shared: House) -> None:
    night = Side(shared.ids[4], shared.ids[5])
    assert shared.compare(night, Side())["state"] == "shift"
    week = shared.compare(night, side_of("last-week"))
    assert week["state"] == "no_shift"
    assert week["explanation"]["comparison"]["reference_batches"] == shared.ids[1:3]


def test_a_stretch_of_time_takes_the_batches_that_have_their_middle_in_it(shared: House) -> None:
    found = shared.compare(Side(start=START + HOUR, until=START + 3 * HOUR), Side(shared.ids[0]))
    assert found["explanation"]["comparison"]["current_batches"] == shared.ids[1:3]


def stored(where: Path, spans: list[tuple[float, float] | float]) -> Store:
    """A history of batches by the times of their events, or else of their checks."""
    store = Store.open(str(where / "h.db"), clock=time.time)
    for index, span in enumerate(spans):
        piece = Piece(f"{index}.parquet", 9, f"{index:064x}", 0, 100)
        times = (None, None) if isinstance(span, float) else span
        judged_at = span if isinstance(span, float) else 1.0
        batch = Batch(f"b{index}", (piece,), 100, *times)
        run = Run("m", batch, "no_shift", judged_at)
        store.commit(run, state="{}", cursor="{}", now=1.0)
    return store


def weekly(store: Store, side: Side) -> tuple[str, ...]:
    planned = plan(store, "m", (side, side_of("last-week")), lambda _: ())
    return tuple(batch.id for batch in planned.reference)


@pytest.mark.parametrize("timed", [True, False])
def test_last_week_finds_batches_that_came_a_little_sooner_or_later_then(
    tmp_path: Path, timed: bool
) -> None:
    rng = np.random.default_rng(8)
    spans: list[tuple[float, float] | float] = []
    for hour in range(9 * 24):
        early, late = rng.uniform(0, 300, size=2)
        at = float(START + hour * HOUR + early)
        spans.append((at, float(START + (hour + 1) * HOUR - late)) if timed else at)
    week = 7 * 24
    with stored(tmp_path, spans) as store:
        for hour in range(week + 1, 9 * 24):
            assert weekly(store, Side(f"b{hour}")) == (f"b{hour - week}",)
        day = weekly(store, Side(f"b{week + 3}", f"b{week + 26}"))
        assert day == tuple(f"b{hour}" for hour in range(3, 27))


def test_nothing_said_is_the_newest_batch_against_the_reference(shared: House) -> None:
    found = shared.compare(Side(), Side())
    assert found["explanation"]["comparison"]["current_batches"] == shared.ids[-1:]


def test_a_comparison_enters_no_history_and_leaves_no_rows_behind(past: House) -> None:
    before = [row.batch_id for row in past.store.runs("m", limit=99)]
    alarm = past.monitor.snapshot.models[0].last_run
    past.compare(Side(past.ids[1]), Side(past.ids[0]))
    assert [row.batch_id for row in past.store.runs("m", limit=99)] == before
    assert past.monitor.snapshot.models[0].last_run is alarm
    folder_of_rows = Path(past.settings.store.path).with_suffix(".compared")
    assert list(folder_of_rows.rglob("*.parquet")) == []


def made(asking: Comparisons, identity: str) -> bool:
    state = asking.state("m", identity)
    return state is not None and state["status"] == "done"


@pytest.mark.slow
def test_under_the_null_a_comparison_alarms_no_more_often_than_its_level(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    shifts, count = 0, 60
    model = ks_model(tmp_path, pa.table({"x": rng.normal(size=4000)}))
    model = replace(model, columns=replace(model.columns, time=None))
    write_batches(tmp_path, [pa.table({"x": rng.normal(size=300)}) for _ in range(2 * count)])
    settings = settings_of(tmp_path, model)
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {"m": "test"})
        ids = [run.batch.id for run in monitor.step()]
        asking = Comparisons(store, time.time)
        states = [
            asking.ask(monitor, "m", Side(one), Side(other))
            for one, other in zip(ids[:50:2], ids[1:50:2], strict=True)
        ]
        for state in states:
            until(partial(made, asking, state["id"]))
            document = asking.document("m", state["id"])
            shifts += document is not None and document["state"] == "shift"
        asking.close()
    assert shifts <= stats.binom.isf(1e-4, len(states), 0.001)


# --- asked again -------------------------------------------------------------------------------


def test_asked_again_it_is_not_made_again_also_after_a_restart(past: House) -> None:
    sides = Side(past.ids[1]), Side(past.ids[0])
    first = past.compare(*sides)
    made = len(past.asking.made("m", limit=50, before=None))
    assert past.compare(*sides) == first
    restarted = Comparisons(past.store, time.time)
    state = restarted.ask(past.monitor, "m", *sides)
    assert (state["status"], state["id"]) == ("done", first["id"])
    assert len(restarted.made("m", limit=50, before=None)) == made
    restarted.close()


@pytest.mark.slow
def test_another_configuration_makes_another_comparison(past: House) -> None:
    sides = Side(past.ids[1]), Side(past.ids[0])
    first = past.compare(*sides)
    past.monitor = Monitor(past.settings, past.store, time.time, {"m": "another"})
    assert past.compare(*sides)["id"] != first["id"]


def test_who_looks_is_told_how_far_it_is(shared: House) -> None:
    heard: list[Progress] = []
    _, planned = shared.monitor.plan_comparison("m", (Side(shared.ids[0], shared.ids[5]), Side()))
    shared.monitor.compare(planned, heard.append)
    assert heard, "several times a second, so not of every step"
    assert all(0 <= told.done <= told.total for told in heard)


# --- what cannot be compared -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "reference", "told"),
    [
        (Side("unknown"), Side(), "no batch 'unknown' is stored"),
        (Side("0" * 16), Side(), "no batch '0000"),
        (Side("<script>\n"), Side(), "no batch"),
        (Side(last="x"), Side(), "which batch it begins with"),
        (Side(start=1.0, until=2.0), Side(), "no batch was judged in that time"),
        (Side(start=2.0, until=1.0), Side(), "empty or backwards"),
        (Side(), Side(earlier=DAY * 900.0), "no batch was judged in that time"),
        (Side(earlier=60.0), Side(), "only the reference"),
    ],
)
def test_what_is_not_there_is_refused_in_words(
    shared: House, current: Side, reference: Side, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        shared.asking.ask(shared.monitor, "m", current, reference)


def test_sides_that_share_a_batch_or_run_backwards_are_refused(shared: House) -> None:
    with pytest.raises(DataError, match="both sides hold rows of"):
        shared.asking.ask(
            shared.monitor, "m", Side(shared.ids[0], shared.ids[2]), Side(shared.ids[1])
        )
    with pytest.raises(DataError, match="came after"):
        shared.asking.ask(shared.monitor, "m", Side(shared.ids[2], shared.ids[0]), Side())


@pytest.mark.slow
def test_rows_that_changed_since_are_a_named_failure_and_it_may_be_asked_again(
    past: House,
) -> None:
    file = min(Path(past.model.batches).iterdir())
    kept = file.read_bytes()
    for sides in ((Side(past.ids[1]), Side(past.ids[0])), (Side(past.ids[0]), Side())):
        pq.write_table(pa.table({"x": [1.0] * ROWS}), file)
        state = past.asking.ask(past.monitor, "m", *sides)
        found = until(partial(past._ended, state["id"]))
        assert (found["status"], "other bytes" in found["detail"]) == ("failed", True)
        file.unlink()
        state = past.asking.ask(past.monitor, "m", *sides)
        found = until(partial(past._ended, state["id"]))
        assert (found["status"], str(file) in found["detail"]) == ("failed", True)
        file.write_bytes(kept)
        assert past.compare(*sides)["state"] in ("shift", "no_shift")


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("reference", Side()),
        ("aa", Side(first="aa")),
        ("aa..bb", Side(first="aa", last="bb")),
        ("last-week", Side(earlier=7.0 * DAY)),
        ("36h", Side(earlier=36.0 * HOUR)),
    ],
)
def test_sides_are_written_shortly(text: str, side: Side) -> None:
    assert side_of(text) == side


@pytest.mark.parametrize("text", ["aa..", "..bb", "a b", "<x>", "aa...bb!"])
def test_what_is_no_side_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no side"):
        side_of(text)


# --- the verb, and a daemon --------------------------------------------------------------------


@pytest.mark.slow
def test_a_daemon_compares_beside_its_checks_and_keeps_what_it_made(folder: Path) -> None:
    with running(folder) as daemon:
        for index in range(3):
            write(folder, index)
        ids = [b["batch_id"] for b in sorted(judged(daemon, 3), key=lambda b: b["seq"])]
        path = "/api/v1/models/churn/comparisons"
        body = {"current": {"first": ids[2]}, "reference": {"first": ids[0], "last": ids[1]}}
        status, text = daemon.post(path, body)
        assert status == 202, text
        told = json.loads(text)
        done = until(lambda: _when_done(daemon, told["status_url"]))
        assert done["status"] == "done", done
        document = daemon.json(done["report"])
        valid_report(document)
        page = daemon.get(f"{done['report']}?format=html")
        assert "2 batches from" in page
        assert "Alarm on" not in page
        assert daemon.get(f"{done['report']}?format=csv").startswith("model,batch,scope")
        assert [each["id"] for each in daemon.json(path)["comparisons"]] == [told["id"]]
        status, text = daemon.post(path, body)
        assert (status, json.loads(text)["status"]) == (200, "done")
        kept = daemon.get(done["report"])
        assert daemon.get(json.loads(text)["report"]) == kept, "byte for byte"
        status, text = daemon.post(path, {"current": {"first": "unknown"}})
        assert (status, "no batch 'unknown'" in text) == (400, True)
        verb = ["report", str(folder / "shiftwatch.yml"), "--from", ids[2], "--against"]
        ended = CliRunner().invoke(app, [*verb, f"{ids[0]}..{ids[1]}", "--format", "json"])
        assert ended.exit_code == 0, ended.stderr
        mine = json.loads(ended.stdout)
        assert mine["results"] == document["results"], "the verb needs no daemon"
        ended = CliRunner().invoke(app, [*verb, "no such"])
        assert (ended.exit_code, "is no side" in ended.stderr) == (2, True)


@pytest.mark.slow
def test_a_daemon_that_is_killed_in_the_midst_tells_of_it_after_its_restart(folder: Path) -> None:
    path = "/api/v1/models/churn/comparisons"
    with running(folder) as daemon:
        for index in range(3):
            write(folder, index)
        ids = [b["batch_id"] for b in sorted(judged(daemon, 3), key=lambda b: b["seq"])]
        asked = [
            json.loads(
                daemon.post(path, {"current": {"first": one}, "reference": {"first": other}})[1]
            )
            for one, other in ((ids[0], ids[1]), (ids[1], ids[2]), (ids[2], ids[0]))
        ]
        daemon.process.kill()
        daemon.process.wait(30)
    with running(folder) as daemon:
        states = [daemon.json(each["status_url"]) for each in asked]
        assert {state["status"] for state in states} <= {"done", "failed"}
        assert states[-1]["detail"] == INTERRUPTED
        listed = daemon.json(path)
        told = {each["id"] for each in listed["others"] + listed["comparisons"]}
        assert told == {each["id"] for each in asked}
        left = (folder / "history.db").with_suffix(".compared")
        assert list(left.rglob("*.parquet")) == []


@pytest.mark.slow
def test_files_below_the_prefix_are_compared_by_the_daemon_and_by_the_verb(folder: Path) -> None:
    from shiftwatch.demo.generator import write_batch  # noqa: PLC0415

    path = "/api/v1/models/churn/comparisons"
    with running(folder) as daemon:
        write(folder, 0)
        ids = [b["batch_id"] for b in judged(daemon, 1)]
        trial = folder / "batches" / "_trial"
        trial.mkdir()
        write_batch(trial / "x.parquet", 1, shift=0.0, seed=5)
        chosen = {"current": {"files": ["_trial"]}, "reference": {"first": ids[0]}}
        told = json.loads(daemon.post(path, chosen)[1])
        done = until(lambda: _when_done(daemon, told["status_url"]))
        assert done["status"] == "done", done
        by_file = ["report", str(folder / "shiftwatch.yml"), "--file", "_trial", "--format", "json"]
        ended = CliRunner().invoke(app, [*by_file, "--against", ids[0]])
        assert ended.exit_code == 0, ended.stderr
        assert json.loads(ended.stdout)["results"] == daemon.json(done["report"])["results"]
