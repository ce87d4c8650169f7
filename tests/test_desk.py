"""What the daemon answers to the web: jobs that end one way or the other, and stored verdicts."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from shiftwatch.acceptance import Span
from shiftwatch.annotation import Remark
from shiftwatch.desk import Desk
from shiftwatch.document import to_document, with_day
from shiftwatch.errors import ConfigError, DataError, WorkerError
from shiftwatch.monitor import Monitor
from shiftwatch.settings import ModelSettings, Settings, StoreSettings
from shiftwatch.store import Store
from shiftwatch.values import Acceptance, Run
from tests import sample_runs

MODEL = sample_runs.MODEL


class Steward:
    """A daemon that does at once what each test wants done; its monitor and store are real."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.steps: list[str] = []
        self.on_step: Callable[[], None] = lambda: None
        self.reloads = 0

    def request_step(self, model: str) -> None:
        self.steps.append(model)
        self.on_step()

    def reload(self) -> None:
        self.reloads += 1

    def accept(self, model: str, span: Span, remark: Remark) -> Acceptance:
        return self.monitor.accept(model, span, remark)

    def undo_acceptance(self, model: str, remark: Remark) -> Acceptance:
        return self.monitor.undo_acceptance(model, remark)


def document_of(office: Office, model: str, batch: str | None) -> dict[str, Any] | None:
    """The report of a batch as JSON, read again."""
    text = office.desk.report(model, batch, "json")
    document: dict[str, Any] | None = None if text is None else json.loads(text)
    return document


class Office:
    """A desk with a history, and the files it may be asked about."""

    def __init__(
        self, folder: Path, store: Store, source: Literal["parquet", "kserve"] = "parquet"
    ) -> None:
        self.batches = folder / "batches"
        self.batches.mkdir()
        (self.batches / "a.parquet").touch()
        model = ModelSettings(
            MODEL, reference="r.parquet", batches=str(self.batches), source=source
        )
        settings = Settings((model,), store=StoreSettings(store.path))
        self.store = store
        self.steward = Steward(Monitor(settings, store, time.time, {MODEL: "test"}))
        self.desk = Desk(store, settings, self.steward)

    def commit(self, run: Run) -> None:
        self.store.commit(run, state="{}", cursor="{}", now=run.judged_at)

    def answers(self, monkeypatch: pytest.MonkeyPatch, answer: Run | Exception) -> None:
        """Let the check of a file, which a worker would do, end like this."""

        def check_file(_model: str, _path: str) -> Run:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(self.steward.monitor, "check_file", check_file)

    def ended(self, job: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            state = self.desk.job(job)
            assert state is not None
            if state["status"] in ("done", "failed"):
                return dict(state)
            time.sleep(0.005)
        pytest.fail(f"job {job} never ended")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: sample_runs.JUDGED_AT) as store:
        office = Office(tmp_path, store)
        yield office
        office.desk.close()


def _run(identity: str, run: Run | None = None) -> Run:
    run = run or sample_runs.no_shift()
    return replace(run, batch=sample_runs.batch(identity=identity))


def test_a_look_for_due_batches_is_a_job_that_ends_with_a_report(office: Office) -> None:
    job = office.desk.request_check(MODEL, None)
    assert office.ended(job) == {
        "id": job,
        "model": MODEL,
        "status": "done",
        "report": f"/api/v1/models/{MODEL}/report",
    }
    assert office.steward.steps == [MODEL]


def test_a_job_is_queued_then_running_then_done(office: Office) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(60)

    office.steward.on_step = wait
    first, second = (office.desk.request_check(MODEL, None) for _ in range(2))
    assert begun.wait(60)
    states = [office.desk.job(job) for job in (first, second)]
    assert [state["status"] for state in states if state] == ["running", "queued"]
    go_on.set()
    assert [office.ended(job)["status"] for job in (first, second)] == ["done", "done"]


def test_a_report_on_a_file_can_be_read_and_enters_no_history(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run("on-demand", sample_runs.shift())
    office.answers(monkeypatch, run)
    state = office.ended(office.desk.request_check(MODEL, "a.parquet"))
    assert state["status"] == "done"
    assert state["report"] == f"/api/v1/models/{MODEL}/report?batch=on-demand"
    assert document_of(office, MODEL, "on-demand") == with_day(to_document(run), None)
    page = office.desk.report(MODEL, "on-demand", "html")
    assert page is not None
    assert "<html" in page
    assert document_of(office, MODEL, None) is None, "the newest is the newest stored"
    assert office.desk.report(MODEL, None, "html") is None
    assert list(office.desk.runs(MODEL, limit=10, before=None, verdict=None)) == []
    assert list(office.desk.timeline(MODEL, 10)) == []


def test_reports_say_what_the_day_up_to_their_batch_cost(office: Office) -> None:
    first = sample_runs.no_shift()
    later = replace(first, batch=replace(first.batch, id="later"), judged_at=first.judged_at + 3600)
    for run in (first, later):
        office.commit(run)
    document = document_of(office, MODEL, "later")
    assert document is not None
    assert document["cost"]["last_day"] == {
        "checks": 2,
        "rows": first.batch.rows + later.batch.rows,
        "cpu_seconds": first.cost.cpu_seconds + later.cost.cpu_seconds,
        "energy_joules": 0.0,
    }
    page, before = (
        office.desk.report(MODEL, "later", "html"),
        office.desk.report(MODEL, first.batch.id, "html"),
    )
    assert page is not None
    assert before is not None
    assert "The 24 hours up to it: 2 checks" in page
    assert "The 24 hours up to it: 1 check " in before


def test_a_report_on_demand_never_shadows_a_stored_verdict(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = _run("same", sample_runs.shift())
    office.answers(monkeypatch, _run("same", sample_runs.no_shift()))
    office.ended(office.desk.request_check(MODEL, "a.parquet"))
    before = document_of(office, MODEL, "same")
    assert before is not None
    assert before["state"] == "no_shift"
    office.commit(stored)
    after = document_of(office, MODEL, "same")
    assert after is not None
    assert after["state"] == "shift"
    newest = document_of(office, MODEL, None)
    assert newest == after


def test_a_report_of_another_model_is_not_found(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.answers(monkeypatch, _run("one"))
    office.ended(office.desk.request_check(MODEL, "a.parquet"))
    assert document_of(office, "other", "one") is None
    assert document_of(office, MODEL, "two") is None
    assert office.desk.report(MODEL, "two", "html") is None
    assert office.desk.job("none") is None


@pytest.mark.parametrize(
    "fault", [WorkerError("out of memory"), DataError("cannot be read", where="a.parquet")]
)
def test_a_job_that_fails_says_why(
    office: Office, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    office.answers(monkeypatch, fault)
    state = office.ended(office.desk.request_check(MODEL, "a.parquet"))
    assert (state["status"], state["detail"], state["report"]) == ("failed", str(fault), None)


def test_a_job_that_fails_by_a_bug_ends_too_and_the_log_has_the_cause(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    office.answers(monkeypatch, ZeroDivisionError("planted"))
    job = office.desk.request_check(MODEL, "a.parquet")
    state = office.ended(job)
    assert (state["status"], state["detail"]) == ("failed", "internal error, see the log")
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)
    assert vars(record)["job"] == job
    assert office.ended(office.desk.request_check(MODEL, None))["status"] == "done"


@pytest.mark.parametrize("path", ["../r.parquet", "none.parquet", "/etc/hostname", "."])
def test_a_path_outside_or_of_no_file_is_refused_before_anything_is_queued(
    office: Office, path: str
) -> None:
    with pytest.raises(DataError):
        office.desk.request_check(MODEL, path)
    assert office.desk._jobs == {}


def test_files_of_a_log_are_no_batches_and_those_made_of_it_are(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: sample_runs.JUDGED_AT) as store:
        office = Office(tmp_path, store, source="kserve")
        made = tmp_path / "s.payloads" / MODEL / "batches"
        made.mkdir(parents=True)
        (made / "00000001.parquet").touch()
        with pytest.raises(DataError):
            office.desk.request_check(MODEL, "a.parquet")
        assert office.desk.request_check(MODEL, "00000001.parquet")
        office.desk.close()


def test_the_oldest_jobs_are_forgotten(office: Office) -> None:
    jobs = [office.desk.request_check(MODEL, None) for _ in range(60)]
    office.ended(jobs[-1])
    assert len(set(jobs)) == 60
    assert [office.desk.job(job) for job in jobs[:10]] == [None] * 10
    assert all(office.desk.job(job) for job in jobs[10:])
    assert len(office.steward.steps) == 60, "forgotten is the answer, not the work"


def test_more_jobs_than_can_wait_are_refused_until_some_are_done(office: Office) -> None:
    gate = threading.Event()

    def hold() -> None:
        gate.wait(60)

    office.steward.on_step = hold
    jobs = [office.desk.request_check(MODEL, None) for _ in range(200)]
    for _ in range(3):
        with pytest.raises(WorkerError, match="200 checks wait already"):
            office.desk.request_check(MODEL, None)
    gate.set()
    office.ended(jobs[-1])
    office.ended(office.desk.request_check(MODEL, None))
    assert len(office.steward.steps) == 201


def test_the_oldest_reports_on_demand_are_forgotten(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(52):
        office.answers(monkeypatch, _run(f"run-{number}"))
        office.ended(office.desk.request_check(MODEL, "a.parquet"))
    kept = [document_of(office, MODEL, f"run-{number}") is not None for number in range(52)]
    assert kept == [False] * 2 + [True] * 50


def test_stored_verdicts_are_listed_newest_first_with_their_state(office: Office) -> None:
    office.commit(_run("one", sample_runs.no_shift()))
    office.commit(_run("two", sample_runs.shift()))
    listed = office.desk.runs(MODEL, limit=10, before=None, verdict=None)
    assert [(row["batch_id"], row["state"]) for row in listed] == [
        ("two", "shift"),
        ("one", "no_shift"),
    ]
    (older,) = office.desk.runs(MODEL, limit=10, before=listed[0]["seq"], verdict=None)
    assert older["batch_id"] == "one"
    (shifted,) = office.desk.runs(MODEL, limit=10, before=None, verdict="shift")
    assert shifted["batch_id"] == "two"
    assert {(p["batch_id"], p["state"]) for p in office.desk.timeline(MODEL, 10)} == {
        ("one", "no_shift"),
        ("two", "shift"),
    }


def test_a_page_links_past_batches_and_says_the_promise_at_the_pace_seen(office: Office) -> None:
    first = sample_runs.EARLIER
    for number, identity in enumerate((first, "b2", "b3")):
        run = _run(identity)
        end = sample_runs.JUDGED_AT + 3600 * number
        office.commit(replace(run, batch=replace(run.batch, event_time_end=end)))
    office.commit(_run("b4", sample_runs.by_pool()))
    page = office.desk.report(MODEL, "b4", "html")
    assert page is not None
    assert f'<a href="?batch={first}&amp;format=html">' in page
    assert "at most 1 expected false alarm in 1000 checks: 1 in 42 days at one batch every" in page


def test_the_snapshot_says_how_the_last_reload_ended_and_when_one_last_succeeded(
    office: Office,
) -> None:
    desk = office.desk
    fresh = desk.snapshot()
    assert (fresh.reload_successful, fresh.reload_at) == (True, None)
    desk.note_reload(successful=True, at=10.0)
    desk.note_reload(successful=False, at=20.0)
    refused = desk.snapshot()
    assert (refused.reload_successful, refused.reload_at) == (False, 10.0)
    desk.note_reload(successful=True, at=30.0)
    assert (desk.snapshot().reload_successful, desk.snapshot().reload_at) == (True, 30.0)


def test_reload_is_the_daemons_and_its_refusal_passes_through(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.desk.reload()
    assert office.steward.reloads == 1

    def refuse() -> None:
        raise ConfigError("bad")

    monkeypatch.setattr(office.steward, "reload", refuse)
    with pytest.raises(ConfigError, match="bad"):
        office.desk.reload()
    assert office.desk.effective_config()["models"][0]["name"] == MODEL


def test_closing_waits_for_the_job_at_hand_and_drops_the_queue(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(60)

    with Store.open(str(tmp_path / "s.db"), clock=time.time) as store:
        office = Office(tmp_path, store)
        office.steward.on_step = wait
        first, second = (office.desk.request_check(MODEL, None) for _ in range(2))
        assert begun.wait(60)
        threading.Timer(0.05, go_on.set).start()
        office.desk.close()
        assert office.ended(first)["status"] == "done"
        assert office.steward.steps == [MODEL]
        queued = office.desk.job(second)
        assert queued is not None
        assert queued["status"] == "queued"
