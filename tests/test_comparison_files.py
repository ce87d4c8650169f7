"""Comparisons of files, what of them outlives a restart or a change, and `verify` on them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from shiftwatch import pairing
from shiftwatch.cli import app
from shiftwatch.comparison import Plan
from shiftwatch.comparisons import Comparisons
from shiftwatch.errors import DataError, WorkerError
from shiftwatch.monitor import Monitor
from shiftwatch.progress import Listener, Progress
from shiftwatch.report import render_html
from shiftwatch.settings import FalseAlarmSettings
from shiftwatch.sides import Side, side_of, spanned
from shiftwatch.store import AskedRow, comparisons
from shiftwatch.store.comparisons import INTERRUPTED
from shiftwatch.values import Run
from tests.test_daemon import until
from tests.week import DAY, HOUR, ROWS, START, House, file_of, numbers, of_run, past, rows, shared

__all__ = ["past", "shared"]  # fixtures

# --- files -------------------------------------------------------------------------------------


def test_a_file_that_was_judged_has_the_numbers_of_its_check(shared: House) -> None:
    found = shared.compare(Side(files=(file_of(shared, 1).name,)), Side())
    assert numbers([each for each in found["results"] if each["skipped"] is None]) == of_run(
        shared.runs[1]
    )
    assert found["explanation"]["comparison"]["current"] == "file batches/batch-001.parquet"


@pytest.mark.slow
def test_a_folder_and_files_that_were_never_judged_stand_on_either_side(past: House) -> None:
    trial = Path(past.model.batches) / "_trial"  # left out of the batches by its name
    trial.mkdir()
    rng = np.random.default_rng(5)
    for index in range(2):
        pq.write_table(rows(rng, START + index * HOUR, 1.0), trial / f"{index}.parquet")
    night = Side(past.ids[4], past.ids[5])
    assert past.compare(Side(files=("_trial",)), night)["state"] == "no_shift"
    found = past.compare(night, Side(files=("_trial/0.parquet", "_trial")))
    told = found["explanation"]["comparison"]
    assert told["reference"] == "2 files from _trial/0.parquet to _trial/1.parquet"
    assert len(told["reference_batches"]) == 2, "a file that is named twice counts once"
    week = past.compare(Side(files=(file_of(past, 4).name,)), Side(earlier=7.0 * DAY))
    assert week["explanation"]["comparison"]["reference_batches"] == [past.ids[1]]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("../reference.parquet", "outside the configured batches"),
        ("/etc/passwd", "outside the configured batches"),
        ("..", "outside the configured batches"),
        ("batch-0\0", "no path of a file"),
        ("x" * 5000, "no path of a file"),
        ("\ud800", "no path of a file"),
        ("none.parquet", "no such file"),
        ("empty", "no Parquet file is there"),
        ("link", "outside the configured batches"),
        ("broken.txt", "no readable footer"),
        ("s3://bucket/x.parquet", "no such file"),
    ],
)
def test_a_path_that_leads_elsewhere_or_to_nothing_is_refused(
    shared: House, path: str, told: str
) -> None:
    batches = Path(shared.model.batches)
    (batches / "empty").mkdir(exist_ok=True)
    if not (batches / "link").is_symlink():
        (batches / "link").symlink_to("/etc")
    (batches / "broken.txt").write_text("PAR1 no more")
    with pytest.raises(DataError, match=told):
        shared.asking.ask(shared.monitor, "m", Side(files=(path,)), Side())


def test_a_file_beside_the_batch_it_became_is_refused_as_the_same_rows(shared: House) -> None:
    sides = Side(files=(file_of(shared, 1).name,)), Side(shared.ids[0], shared.ids[2])
    with pytest.raises(DataError, match="both sides hold rows of batches/batch-001"):
        shared.asking.ask(shared.monitor, "m", *sides)


def test_a_side_says_one_thing(shared: House) -> None:
    for side in (
        Side(shared.ids[0], files=("x",)),
        Side(start=1.0, files=("x",)),
        Side(shared.ids[0], until=1.0),
    ):
        with pytest.raises(DataError, match="not two of them"):
            shared.asking.ask(shared.monitor, "m", side, Side())
    with pytest.raises(DataError, match="201 paths are too many"):
        shared.asking.ask(shared.monitor, "m", Side(files=("x",) * 201), Side())


def test_the_verb_takes_files_on_either_side() -> None:
    """Here by its parts; the daemon's test calls it whole."""
    assert spanned(None, None, ["a", "b"]) == Side(files=("a", "b"))
    assert spanned("aa", "bb") == Side(first="aa", last="bb")
    assert spanned("2026-05-28", "2026-05-29T01:00") == Side(start=START, until=START + DAY + HOUR)
    assert side_of("2026-05-28..2026-05-29") == Side(start=START, until=START + DAY)
    with pytest.raises(DataError, match="is no time"):
        side_of("2026-99-28..2026-05-29")


# --- what lasts --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_reference_that_is_replaced_makes_another_comparison_and_a_touched_one_does_not(
    past: House,
) -> None:
    sides = Side(past.ids[1]), Side()
    first = past.compare(*sides)["id"]
    file = Path(past.model.reference)
    kept = file.read_bytes()
    file.write_bytes(kept)
    assert past.compare(*sides)["id"] == first, "the same bytes"
    pq.write_table(pq.read_table(file).slice(100), file)
    assert past.compare(*sides)["id"] != first
    file.write_bytes(kept)
    assert past.compare(*sides)["id"] == first


def test_what_waits_when_the_daemon_is_killed_is_a_named_failure_after_it(past: House) -> None:
    sides = Side(past.ids[1]), Side(past.ids[0])

    asking = Comparisons(past.store, time.time)
    with past.store._writing() as connection:  # as a kill leaves it: the row, and no thread
        identity, planned = past.monitor.plan_comparison("m", sides)
        row = AskedRow(identity, "m", 1.0, "queued", *planned.names, planned.left_out)
        comparisons.note_asked(connection, row)
    left = Path(past.settings.store.path).with_suffix(".compared") / "m" / "x" / "rows.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"rows")
    asking.close()
    pairing.sweep(past.settings.store.path)
    restarted = Comparisons(past.store, time.time)
    state = restarted.state("m", identity)
    assert state is not None
    assert (state["status"], state["detail"]) == ("failed", INTERRUPTED)
    assert [each["id"] for each in restarted.others("m")] == [identity]
    assert not left.exists()
    restarted.close()
    past.compare(*sides)
    assert past.asking.others("m") == [], "made now"


def test_a_worker_that_is_killed_in_the_midst_is_asked_again(shared: House) -> None:
    killed: list[int] = []

    def heard(_: Progress) -> None:
        pid = shared.monitor.worker_pid
        if pid is not None and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    sides = Side(shared.ids[2]), Side(shared.ids[0])
    _, planned = shared.monitor.plan_comparison("m", sides)
    run = shared.monitor.compare(planned, heard)
    assert (len(killed), run.verdict) == (1, "shift")
    left = Path(shared.settings.store.path).with_suffix(".compared")
    assert list(left.rglob("*.parquet")) == []


@pytest.mark.parametrize("false_alarms", [FalseAlarmSettings(1000), FalseAlarmSettings(None, 180)])
def test_a_comparison_spends_the_level_of_one_check_and_says_so(
    shared: House, false_alarms: FalseAlarmSettings
) -> None:
    alarms = replace(shared.settings.alarms, false_alarms=false_alarms)
    settings = replace(shared.settings, alarms=alarms)
    monitor = Monitor(settings, shared.store, time.time, shared.prints)
    sides = Side(shared.ids[1], shared.ids[5]), Side(shared.ids[0])
    run = monitor.compare(monitor.plan_comparison("m", sides)[1], lambda _: None)
    assert {decision.level for decision in run.decisions} <= {0.001, 0.0005, 0.0}
    assert {decision.evidence.window for decision in run.decisions} == {None}
    assert "once in 1,000 times" in run.explanation["comparison"]["promise"]
    assert "told apart once in 1,000 times" in " ".join(render_html(run).split())


def test_of_very_many_rows_that_stand_in_a_sample_is_written_and_told(
    shared: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "MOST_ROWS", 500)
    sides = Side(shared.ids[3]), Side(shared.ids[0], shared.ids[2])
    found = shared.compare(*sides)
    (note,) = [each["message"] for each in found["findings"] if each["code"] == "subsampled"]
    drawn = found["results"][0]["rows_reference"]
    assert note == f"of the reference {drawn} of {3 * ROWS} rows were drawn: more add no power"
    assert abs(drawn - 500) < 5 * 18, "each row with the same chance"


def test_the_same_is_asked_of_one_planner_at_a_time_and_few_wait(shared: House) -> None:
    inside, go = threading.Event(), threading.Event()

    class Slow:
        """Plans as slowly as a store of objects that does not answer."""

        def plan_comparison(self, model: str, sides: tuple[Side, Side]) -> tuple[str, Plan]:
            inside.set()
            assert go.wait(60)
            return shared.monitor.plan_comparison(model, sides)

        def compare(self, planned: Plan, listener: Listener) -> Run:
            return shared.monitor.compare(planned, listener)

    def ask() -> str:
        try:
            sides = Side(shared.ids[1]), Side(shared.ids[0])
            return str(shared.asking.ask(Slow(), "m", *sides)["id"])
        except WorkerError as fault:
            return str(fault)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(8)]
        assert inside.wait(60)
        until(lambda: True if sum(each.done() for each in asked) >= 4 else None)
        go.set()
        answers = [each.result(60) for each in asked]
    refused = [text for text in answers if "being planned" in text]
    assert len(refused) == 4
    assert len({text for text in answers if text not in refused}) == 1, "queued once"


@pytest.mark.slow
def test_verify_makes_a_comparison_again_from_its_report_alone(past: House, tmp_path: Path) -> None:
    verb = CliRunner()
    night, evening = Side(past.ids[4], past.ids[5]), Side(past.ids[0])
    for name, sides in {"own": (night, Side()), "other": (night, Side(past.ids[1]))}.items():
        report = tmp_path / f"{name}.json"
        document = past.compare(*sides)
        del document["id"]  # what the house adds; a report has no such field
        report.write_text(json.dumps(document))
        ended = verb.invoke(app, ["verify", str(report)])
        assert (ended.exit_code, "the same" in ended.stdout) == (0, True), ended.output
    told = json.loads(report.read_text())
    told["results"][0]["statistic"] += 0.01
    report.write_text(json.dumps(told))
    assert verb.invoke(app, ["verify", str(report)]).exit_code == 1
    found = past.compare(evening, Side(past.ids[1]))
    del found["id"]
    report.write_text(json.dumps(found))
    file = Path(found["provenance"]["made_of"]["pieces"][0]["uri"])
    kept = file.read_bytes()
    pq.write_table(pa.table({"x": [1.0] * ROWS}), file)
    ended = verb.invoke(app, ["verify", str(report)])
    assert (ended.exit_code, "other bytes" in ended.stdout) == (1, True), ended.output
    file.unlink()
    ended = verb.invoke(app, ["verify", str(report)])
    assert (ended.exit_code, "is gone" in ended.stderr) == (2, True), ended.output
    file.write_bytes(kept)


@pytest.mark.slow
def test_verify_makes_a_comparison_of_two_files_again(shared: House, tmp_path: Path) -> None:
    files = [str(file) for file in sorted(Path(shared.model.batches).glob("*.parquet"))[:2]]
    ended = CliRunner().invoke(app, ["compare", *files, "--json"])
    report = tmp_path / "compared.json"
    report.write_text(ended.stdout)
    ended = CliRunner().invoke(app, ["verify", str(report)])
    assert (ended.exit_code, "the same" in ended.stdout) == (0, True), ended.output
