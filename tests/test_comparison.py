"""Comparisons on demand: the same numbers as a check, the same time last week, and never a history."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from typer.testing import CliRunner

from shiftwatch.cli import app
from shiftwatch.comparisons import Comparisons
from shiftwatch.config import fingerprint
from shiftwatch.contrast import compare_files
from shiftwatch.errors import DataError
from shiftwatch.monitor import Monitor
from shiftwatch.progress import Progress
from shiftwatch.settings import AlarmSettings, ModelSettings
from shiftwatch.sides import Side, side_of
from shiftwatch.store import Store
from shiftwatch.values import Run
from tests.schema import valid_report
from tests.streams import ks_model, settings_of, write_batches
from tests.test_daemon import _when_done, folder, judged, running, until, write

__all__ = ["folder"]  # a fixture

HOUR, DAY = 3600, 86_400
START = 1_780_000_000 // DAY * DAY
ROWS = 400


def rows(rng: np.random.Generator, at: float, mean: float) -> pa.Table:
    """Rows of an hour whose mean follows the time of the day."""
    moments = pa.array((at + np.arange(ROWS) * HOUR / ROWS) * 1e6, pa.float64())
    return pa.table(
        {
            "x": rng.normal(mean, size=ROWS),
            "at": moments.cast(pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )


class House:
    """A history of a week and two hours; at night the mean is another than in the reference."""

    def __init__(self, where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        del monkeypatch
        rng = np.random.default_rng(4)
        reference = pa.concat_tables(
            [rows(rng, START - 9 * DAY + h * HOUR, 0.0) for h in range(20)]
        )
        self.model: ModelSettings = ks_model(where, reference)
        # An evening, the night after it, and both a week later.
        self.hours = [
            (0, 0.0),
            (1, 1.0),
            (2, 1.0),
            (7 * 24, 0.0),
            (7 * 24 + 1, 1.0),
            (7 * 24 + 2, 1.0),
        ]
        write_batches(where, [rows(rng, START + h * HOUR, mean) for h, mean in self.hours])
        self.settings = settings_of(where, self.model)
        self.store = Store.open(self.settings.store.path, clock=time.time)
        self.prints = {"m": fingerprint(self.settings, self.model)}
        self.monitor = Monitor(self.settings, self.store, time.time, self.prints)
        self.runs = list(self.monitor.step())
        assert len(self.runs) == len(self.hours)
        self.asking = Comparisons(self.store, time.time)

    @property
    def ids(self) -> list[str]:
        return [run.batch.id for run in self.runs]

    def compare(self, current: Side, reference: Side) -> dict[str, Any]:
        """Ask, wait, read."""
        state = dict(self.asking.ask(self.monitor, "m", current, reference))
        found = until(lambda: self._ended(state["id"]))
        assert found["status"] == "done", found
        document = self.asking.document("m", state["id"])
        assert document is not None
        valid_report(document)
        return document | {"id": state["id"]}

    def _ended(self, identity: str) -> dict[str, Any] | None:
        state = self.asking.state("m", identity)
        return dict(state) if state is not None and state["status"] in ("done", "failed") else None

    def close(self) -> None:
        self.asking.close()
        self.store.close()


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(tmp_path, monkeypatch)
    yield made
    made.close()


def numbers(results: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    fields = ("test", "target", "statistic", "p_value", "effect", "effect_low", "rows_reference")
    return [tuple(result[name] for name in fields) for result in results]


def of_run(run: Run) -> list[tuple[Any, ...]]:
    return [
        (r.test, r.target, r.statistic, r.p_value, r.effect, r.effect_low, r.rows_reference)
        for r in run.results
    ]


# --- what is found -----------------------------------------------------------------------------


def test_a_batch_against_the_reference_has_the_numbers_of_its_check(past: House) -> None:
    found = past.compare(Side(past.ids[1]), Side())
    ran = [result for result in found["results"] if result["skipped"] is None]
    assert numbers(ran) == of_run(past.runs[1])
    assert found["explanation"]["comparison"]["reference"] == "the reference"
    assert past.ids[1] in found["explanation"]["comparison"]["current"]


def test_batches_against_batches_have_the_numbers_of_their_files(
    past: House, tmp_path: Path
) -> None:
    found = past.compare(Side(past.ids[4], past.ids[5]), Side(past.ids[0], past.ids[1]))
    files = sorted(Path(past.model.batches).iterdir())
    for name, chosen in (("before", files[:2]), ("after", files[4:])):
        (tmp_path / name).mkdir()
        for file in chosen:
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    sides = replace(
        past.model,
        name="compare",
        reference=str(tmp_path / "before"),
        batches=str(tmp_path / "after"),
    )
    direct = compare_files(sides, alarms=AlarmSettings())
    ran = [result for result in found["results"] if result["skipped"] is None]
    assert numbers(ran) == of_run(direct)
    told = found["explanation"]["comparison"]
    assert told["reference_batches"] == past.ids[:2]
    assert told["current"].startswith("2 batches from ")


def test_the_same_time_last_week_shows_nothing_where_the_reference_does(past: House) -> None:
    night = Side(past.ids[4], past.ids[5])
    assert past.compare(night, Side())["state"] == "shift"
    week = past.compare(night, side_of("last-week"))
    assert week["state"] == "no_shift"
    assert week["explanation"]["comparison"]["reference_batches"] == past.ids[1:3]


def test_a_stretch_of_time_takes_the_batches_that_begin_in_it(past: House) -> None:
    found = past.compare(Side(start=START + HOUR, until=START + 3 * HOUR), Side(past.ids[0]))
    assert found["explanation"]["comparison"]["current_batches"] == past.ids[1:3]


def test_nothing_said_is_the_newest_batch_against_the_reference(past: House) -> None:
    found = past.compare(Side(), Side())
    assert found["explanation"]["comparison"]["current_batches"] == past.ids[-1:]


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


def test_another_configuration_makes_another_comparison(past: House) -> None:
    sides = Side(past.ids[1]), Side(past.ids[0])
    first = past.compare(*sides)
    past.monitor = Monitor(past.settings, past.store, time.time, {"m": "another"})
    assert past.compare(*sides)["id"] != first["id"]


def test_who_looks_is_told_how_far_it_is(past: House) -> None:
    heard: list[Progress] = []
    _, planned = past.monitor.plan_comparison("m", (Side(past.ids[0], past.ids[5]), Side()))
    past.monitor.compare(planned, heard.append)
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
    past: House, current: Side, reference: Side, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        past.asking.ask(past.monitor, "m", current, reference)


def test_sides_that_share_a_batch_or_run_backwards_are_refused(past: House) -> None:
    with pytest.raises(DataError, match="both sides hold rows of"):
        past.asking.ask(past.monitor, "m", Side(past.ids[0], past.ids[2]), Side(past.ids[1]))
    with pytest.raises(DataError, match="came after"):
        past.asking.ask(past.monitor, "m", Side(past.ids[2], past.ids[0]), Side())


def test_rows_that_changed_since_are_a_named_failure_and_it_may_be_asked_again(
    past: House,
) -> None:
    file = min(Path(past.model.batches).iterdir())
    kept = file.read_bytes()
    pq.write_table(pa.table({"x": [1.0] * ROWS}), file)
    sides = Side(past.ids[1]), Side(past.ids[0])
    state = past.asking.ask(past.monitor, "m", *sides)
    found = until(lambda: past._ended(state["id"]))
    assert (found["status"], "other bytes" in found["detail"]) == ("failed", True)
    file.write_bytes(kept)
    assert past.compare(*sides)["state"] == "shift"


@pytest.mark.slow
def test_verify_makes_a_comparison_again_from_its_report_alone(past: House, tmp_path: Path) -> None:
    verb = CliRunner()
    night, evening = Side(past.ids[4], past.ids[5]), Side(past.ids[0])
    for name, sides in {"own": (night, Side()), "other": (night, Side(past.ids[1]))}.items():
        report = tmp_path / f"{name}.json"
        report.write_text(json.dumps(past.compare(*sides)))
        ended = verb.invoke(app, ["verify", str(report)])
        assert (ended.exit_code, "the same" in ended.stdout) == (0, True), ended.output
    told = json.loads(report.read_text())
    told["results"][0]["statistic"] += 0.01
    report.write_text(json.dumps(told))
    assert verb.invoke(app, ["verify", str(report)]).exit_code == 1
    found = past.compare(evening, Side(past.ids[1]))
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
def test_verify_makes_a_comparison_of_two_files_again(past: House, tmp_path: Path) -> None:
    files = [str(file) for file in sorted(Path(past.model.batches).iterdir())[:2]]
    ended = CliRunner().invoke(app, ["compare", *files, "--json"])
    report = tmp_path / "compared.json"
    report.write_text(ended.stdout)
    ended = CliRunner().invoke(app, ["verify", str(report)])
    assert (ended.exit_code, "the same" in ended.stdout) == (0, True), ended.output


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
        status, text = daemon.post(path, {"current": {"first": "unknown"}})
        assert (status, "no batch 'unknown'" in text) == (400, True)
        verb = ["report", str(folder / "shiftwatch.yml"), "--from", ids[2], "--against"]
        ended = CliRunner().invoke(app, [*verb, f"{ids[0]}..{ids[1]}", "--format", "json"])
        assert ended.exit_code == 0, ended.stderr
        mine = json.loads(ended.stdout)
        assert mine["results"] == document["results"], "the verb needs no daemon"
        ended = CliRunner().invoke(app, [*verb, "no such"])
        assert (ended.exit_code, "is no side" in ended.stderr) == (2, True)
