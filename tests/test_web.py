"""What the HTTP door promises: states that cannot be misread, faults that say what to do, no waiting."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from html.parser import HTMLParser
from itertools import product
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from pydantic import TypeAdapter
from starlette.types import ASGIApp

from shiftwatch.annotation import Draft, Remark, checked
from shiftwatch.errors import ConfigError, DataError, StoreError
from shiftwatch.quarantine import Broken
from shiftwatch.report import Format
from shiftwatch.sides import Side
from shiftwatch.status import ModelStatus, MonitorState, Snapshot
from shiftwatch.values import (
    VERDICTS,
    Annotation,
    Batch,
    Decision,
    Evidence,
    Finding,
    Piece,
    Run,
    TwoSampleResult,
    Verdict,
)
from shiftwatch.web import create_app, shapes
from shiftwatch.web.app import build
from shiftwatch.web.formats import answered

HOSTILE = "<script>alert('x')</script>\"&\u202egpj.exe\u2066"


def run_of(
    verdict: Verdict = "no_shift",
    *,
    alarm: bool = False,
    column: str = "age",
    uri: str = "batches/b.parquet",
    judged_at: float = 1_790_000_000.0,
    model: str = "churn",
) -> Run:
    decision = Decision(
        scope="input",
        alarm=alarm,
        raised=alarm,
        cleared=False,
        evidence=Evidence(check=2.5 if alarm else 0.25),
        p_value=0.001,
        level=0.01,
        columns=(column,) if alarm else (),
        since="00000000000000aa" if alarm else None,
    )
    result = TwoSampleResult("ks", column, "input", 0.1, 0.0125, 0.1, 0.05, 0.15, 1000, 500)
    batch = Batch("0123456789abcdef", (Piece(uri, 1, "ff", 0, 500),), 500)
    return Run(model, batch, verdict, judged_at, ("One reason.",), (decision,), (result,))


def status_of(
    run: Run | None = None,
    *,
    name: str = "churn",
    state: MonitorState = "ok",
    fault: str | None = None,
    backlog: int = 0,
) -> ModelStatus:
    return ModelStatus(
        name=name,
        tests=("ks", "mmd"),
        monitor_state=state,
        last_run=run,
        last_processed_at=run.judged_at if run else None,
        backlog=backlog,
        fault=fault,
    )


def snapshot_of(*models: ModelStatus) -> Snapshot:
    return Snapshot(models, "0.1.0", "3.11.7", 100, ready=True, ready_reason="")


def row_of(seq: int, state: Verdict = "no_shift") -> dict[str, Any]:
    return {
        "seq": seq,
        "batch_id": f"{seq:016x}",
        "uri": f"batches/{seq}.parquet",
        "rows": 500,
        "state": state,
        "alarm": state == "shift",
        "judged_at": 1_790_000_000.0 + seq,
        "event_time_start": None,
        "event_time_end": 1_789_999_000.0,
    }


def word_of(model: str, kind: str, span: tuple[str, str], remark: Remark) -> dict[str, Any]:
    return {
        "model": model,
        "kind": kind,
        "from_batch": span[0],
        "to_batch": span[1],
        "rows": 900,
        "path": "kept.parquet",
        "sha256": "5e" * 32,
        "configured_sha256": "c0" * 32,
        "note": remark.text,
        "by": remark.by,
        "at": 1_790_000_000.6,
    }


@dataclass(eq=False)
class TableBoard:
    """A board over lists in memory; ``gate`` holds up documents until it is set."""

    now: Snapshot
    rows: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    said: list[Annotation] = field(default_factory=list)
    now_is: float = 1_790_000_000.0
    fault: Exception | None = None
    reloads: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.gate.set()

    def _raise(self) -> None:
        if self.fault is not None:
            raise self.fault

    def snapshot(self) -> Snapshot:
        return self.now

    def runs(
        self,
        model: str,
        *,
        limit: int,
        before: int | None,
        verdict: Verdict | None,
        during: tuple[float | None, float | None] = (None, None),
    ) -> Sequence[Mapping[str, Any]]:
        self._raise()
        assert model == "churn"
        since, until = during
        within = [
            row
            for row in self.rows
            if (since is None or row["judged_at"] >= since)
            and (until is None or row["judged_at"] < until)
        ]
        newest_first = sorted(within, key=lambda row: -row["seq"])
        return [
            row
            for row in newest_first
            if (before is None or row["seq"] < before) and verdict in (None, row["state"])
        ][:limit]

    def report(self, model: str, batch: str | None, form: Format) -> str | None:
        self.waiting.release()
        self.gate.wait(60)
        self._raise()
        if batch not in (None, "0123456789abcdef") or not self.now.models[0].last_run:
            return None
        document = {"schema_version": 1, "model": model, "state": "no_shift"}
        return json.dumps(document) if form == "json" else f"<!doctype html><title>{form}</title>"

    def judges(self, batch: str) -> list[str]:
        self._raise()
        judged = [model for model in self.now.models if model.last_run is not None]
        return [m.name for m in judged if m.last_run and m.last_run.batch.id == batch]

    def timeline(self, model: str, limit: int) -> Sequence[Mapping[str, Any]]:
        del model
        self._raise()
        return self.rows[-limit:]

    def request_check(self, model: str, path: str | None) -> str:
        if path is not None and not path.startswith("batches/"):
            raise DataError("outside the batches of churn", where=path, hint="use batches/")
        self.jobs["7c1d"] = {"id": "7c1d", "model": model, "status": "running", "detail": path}
        return "7c1d"

    def job(self, job: str) -> Mapping[str, Any] | None:
        return self.jobs.get(job)

    def acceptances(self, model: str) -> Sequence[Mapping[str, Any]]:
        return [word for word in self.words if word["model"] == model]

    def accept(
        self, model: str, *, first: str | None, last: str | None, remark: Remark
    ) -> Mapping[str, Any]:
        if first == "unknown":
            raise DataError("no batch 'unknown' is stored", where=model)
        self.words.insert(0, word_of(model, "accepted", (first or "aa", last or "bb"), remark))
        return self.words[0]

    def undo_acceptance(self, model: str, remark: Remark) -> Mapping[str, Any]:
        self.words.insert(0, word_of(model, "undone", ("aa", "bb"), remark))
        return self.words[0]

    def annotations(
        self,
        model: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        in_force_at: float | None = None,
    ) -> Sequence[Annotation]:
        kept = [w for w in self.said if w.model == model and (before is None or w.id < before)]
        if in_force_at is not None:
            kept = [word for word in kept if word.in_force(in_force_at)]
        return kept[:limit]

    def annotate(self, model: str, draft: Draft, by: str) -> Annotation:
        kept = checked(draft, self.now_is)
        word = Annotation(
            len(self.said) + 1,
            *(model, kept.kind, kept.text, kept.start, kept.until, by, self.now_is, kept.scopes),
        )
        self.said.insert(0, word)
        return word

    def end_annotation(self, model: str, number: int, by: str) -> Annotation | None:
        for place, word in enumerate(self.said):
            if (word.model, word.id) == (model, number):
                if word.ended_at is not None:
                    raise DataError(f"word {number} has ended already, by {word.ended_by}")
                self.said[place] = replace(word, ended_at=self.now_is, ended_by=by)
                return self.said[place]
        return None

    @property
    def comparisons(self) -> TableBoard:
        return self

    def state(self, model: str, identity: str) -> Mapping[str, Any] | None:
        return self.asked.get((model, identity))

    def others(self, model: str) -> Sequence[Mapping[str, Any]]:
        return [state for (name, _), state in self.asked.items() if name == model]

    def made(self, model: str, *, limit: int, before: int | None) -> Sequence[Mapping[str, Any]]:
        return [
            {"seq": place, "at": self.now_is, "verdict": "shift", **state}
            for place, state in enumerate(self.asked.values(), start=1)
            if state["model"] == model and (before is None or place < before)
        ][::-1][:limit]

    def compare(self, model: str, current: Side, reference: Side) -> Mapping[str, Any]:
        if current.first == "unknown":
            raise DataError("no batch 'unknown' is stored", where=model)
        identity = f"{len(self.asked):016x}"
        told = {"reference": str(reference), "current": str(current), "left_out": 0}
        running = {"status": "running", "progress": {"what": "testing", "share": 0.5}}
        self.asked[model, identity] = {"id": identity, "model": model} | running | told
        return self.asked[model, identity]

    def comparison_report(self, model: str, identity: str, form: Format) -> str | None:
        known = (model, identity) in self.asked
        return self.report(model, None, form) if known else None

    def clock(self) -> float:
        return self.now_is

    def effective_config(self) -> Mapping[str, Any]:
        folders = [{"name": model.name, "batches": "in/<here>"} for model in self.now.models]
        return {"models": folders, "web": {"tokens_file": "***"}}

    def reload(self) -> None:
        self._raise()
        self.reloads += 1


def board_of(*models: ModelStatus, rows: Sequence[dict[str, Any]] = ()) -> TableBoard:
    return TableBoard(snapshot_of(*(models or (status_of(run_of()),))), list(rows))


@cache
def app_of(board: TableBoard) -> ASGIApp:
    return create_app(board)


def ask(board: TableBoard, method: str, path: str, **request: Any) -> httpx.Response:
    """One request to the application, without a server."""
    return ask_application(app_of(board), method, path, **request)


def ask_application(app: ASGIApp, method: str, path: str, **request: Any) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://watch") as client:
            return await client.request(method, path, **request)

    return asyncio.run(answer())


def get(board: TableBoard, path: str, **request: Any) -> httpx.Response:
    return ask(board, "GET", path, **request)


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer, which must be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["instance"] == response.url.path
    assert document["detail"]
    assert "Traceback" not in response.text
    return document


def read_families(response: httpx.Response) -> list[Metric]:
    openmetrics = "openmetrics" in response.headers["content-type"]
    read = read_openmetrics if openmetrics else read_text
    return list(read(response.text))


# Monitoring


def test_metrics_answer_at_the_exact_path_in_the_format_asked_for() -> None:
    board = board_of()
    text = get(board, "/metrics")
    assert text.status_code == 200
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert any(family.name == "shiftwatch_drift_alarm" for family in read_families(text))
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = get(board, "/metrics", headers=accept)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert any(f.name == "shiftwatch_alarms" for f in read_families(openmetrics))


def test_a_scrape_can_ask_for_names() -> None:
    query = [("name[]", "shiftwatch_backlog_batches"), ("name[]", "shiftwatch_rows_total")]
    families = read_families(get(board_of(), "/metrics", params=query))
    assert {family.name for family in families} == {"shiftwatch_backlog_batches", "shiftwatch_rows"}


def test_metrics_follow_the_snapshot_as_soon_as_it_is_swapped() -> None:
    board = board_of(status_of())
    line = 'shiftwatch_drift_alarm{model="churn",scope="input"} '
    assert line + "0.0" in get(board, "/metrics").text
    board.now = snapshot_of(status_of(run_of("shift", alarm=True)))
    assert line + "1.0" in get(board, "/metrics").text


@pytest.mark.parametrize("path", ["/healthz", "/-/healthy"])
def test_health_is_the_event_loop_and_nothing_else(path: str) -> None:
    board = board_of(status_of(fault="reference missing"))
    board.now = dataclasses.replace(board.now, ready=False, ready_reason="starting")
    assert get(board, path).text == "ok\n"


@pytest.mark.parametrize("path", ["/readyz", "/-/ready"])
def test_readiness_says_what_it_waits_for(path: str) -> None:
    board = board_of()
    assert get(board, path).status_code == 200
    board.now = dataclasses.replace(board.now, ready=False, ready_reason="opening the history")
    assert problem(get(board, path), 503)["detail"] == "opening the history"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/", "/api/v1/models"])
def test_head_is_get_without_a_body(path: str) -> None:
    response = ask(board_of(), "HEAD", path)
    assert response.status_code == 200
    assert response.content == b""


def test_a_path_is_answered_as_it_is_written_or_not_at_all() -> None:
    response = get(board_of(), "/metrics/")
    assert "location" not in response.headers
    assert "/docs" in problem(response, 404)["detail"]


# Reload


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload_takes_both_writing_methods(method: str) -> None:
    board = board_of()
    assert ask(board, method, "/-/reload").text == "reloaded\n"
    assert board.reloads == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH"])
def test_reload_refuses_other_methods_and_names_the_right_ones(method: str) -> None:
    board = board_of()
    response = ask(board, method, "/-/reload")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST, PUT"
    assert board.reloads == 0
    if method != "HEAD":
        assert "use POST, PUT" in problem(response, 405)["detail"]


def test_a_refused_configuration_is_a_problem_with_its_text() -> None:
    board = board_of()
    board.fault = ConfigError("unknown key 'modle'", where="config.yml:3", hint="write model")
    detail = problem(ask(board, "POST", "/-/reload"), 500)["detail"]
    assert detail == "config.yml:3: unknown key 'modle' (write model)"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://watch"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://[::1"},
    ],
)
def test_a_page_of_another_origin_cannot_make_a_browser_write(headers: dict[str, str]) -> None:
    board = board_of()
    problem(ask(board, "POST", "/-/reload", headers=headers), 403)
    assert board.reloads == 0


@pytest.mark.parametrize("headers", [{"origin": "http://watch"}, {"sec-fetch-site": "same-origin"}])
def test_a_page_of_this_origin_may_write(headers: dict[str, str]) -> None:
    assert ask(board_of(), "POST", "/-/reload", headers=headers).status_code == 200


# The API


def test_models_show_state_alarms_and_last_batch() -> None:
    board = board_of(status_of(run_of("shift", alarm=True)), status_of(name="fraud"))
    churn, fraud = get(board, "/api/v1/models").json()["models"]
    assert (churn["model"], churn["state"], churn["alarm"]) == ("churn", "shift", True)
    assert churn["scopes"]["input"] == {
        "alarm": True,
        "since": "00000000000000aa",
        "p_value": 0.001,
        "level": 0.01,
        "evidence": {"check": 2.5, "window": None, "pool": None},
        "columns": ["age"],
        "crossed": ["check"],
        "also_moving": [],
        "change_from": None,
    }
    assert churn["doubts"] == []
    assert churn["last_batch"]["judged_at"] == "2026-09-21T14:13:20Z"
    assert get(board, churn["last_batch"]["report"]).status_code == 200
    assert (fraud["state"], fraud["alarm"], fraud["last_batch"]) == (None, False, None)


def test_the_history_can_be_read_to_its_end_without_a_gap_or_a_repeat() -> None:
    board = board_of(rows=[row_of(seq) for seq in range(1, 25)])
    path: str | None = "/api/v1/models/churn/batches?limit=10"
    seen: list[int] = []
    while path is not None:
        page = get(board, path).json()
        seen += [batch["seq"] for batch in page["batches"]]
        path = page["next"]
    assert seen == list(range(24, 0, -1))


def test_the_history_can_be_narrowed_to_a_state_and_stays_so_on_the_next_page() -> None:
    states: list[Verdict] = ["shift", "error", "shift", "no_shift", "shift"]
    board = board_of(rows=[row_of(seq, state) for seq, state in enumerate(states, start=1)])
    page = get(board, "/api/v1/models/churn/batches?state=shift&limit=2").json()
    assert [batch["seq"] for batch in page["batches"]] == [5, 3]
    assert [batch["seq"] for batch in get(board, page["next"]).json()["batches"]] == [1]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "query.limit"),
        ("limit=1001", "query.limit"),
        ("limit=x", "query.limit"),
        ("before=-1", "query.before"),
        ("before=9223372036854775808", "query.before"),
        ("state=green", "query.state"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(query: str, where: str) -> None:
    document = problem(get(board_of(), f"/api/v1/models/churn/batches?{query}"), 422)
    assert [error["where"] for error in document["errors"]] == [where]


@pytest.mark.parametrize("rest", ["batches", "report", "checks/7c1d"])
def test_an_unknown_model_is_answered_with_the_known_ones(rest: str) -> None:
    board = board_of(status_of(), status_of(name="fraud"))
    document = problem(get(board, f"/api/v1/models/chrun/{rest}"), 404)
    assert document["detail"] == "no model is called 'chrun'; known: churn, fraud"
    assert document["models"] == ["churn", "fraud"]


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("html", "text/html; charset=utf-8"),
        ("json", "application/json"),
        ("markdown", "text/markdown; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
    ],
)
def test_a_report_comes_in_the_format_that_is_asked_for(form: Format, kind: str) -> None:
    board, path = board_of(), "/api/v1/models/churn/report"
    named = get(board, path, params={"format": form})
    assert named.headers["content-type"] == kind
    liked = get(board, path, headers={"accept": kind.partition(";")[0]})
    assert liked.text == named.text
    assert liked.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/csv;q=0.3, text/markdown;q=0.7", "text/markdown"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html;q=nonsense, text/csv", "text/csv"),
    ],
)
def test_without_a_format_the_accept_header_chooses(accept: str, kind: str) -> None:
    answer = get(board_of(), "/api/v1/models/churn/report", headers={"accept": accept})
    assert answer.headers["content-type"].startswith(kind)


def test_a_format_that_is_not_there_is_refused_with_those_that_are() -> None:
    answer = get(board_of(), "/api/v1/models/churn/report", headers={"accept": "image/png"})
    assert "text/html, application/json, text/markdown, text/csv" in problem(answer, 406)["detail"]


def test_who_has_a_report_is_not_sent_it_again() -> None:
    board, path = board_of(), "/api/v1/models/churn/report?format=csv"
    tag = get(board, path).headers["etag"]
    for named in (tag, f'"other", W/{tag}', "*"):
        again = get(board, path, headers={"if-none-match": named})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert get(board, path, headers={"if-none-match": '"other"'}).status_code == 200


def test_the_file_name_of_a_download_holds_nothing_that_could_steer_a_header() -> None:
    hostile = answered("x", "csv", 'a"\r\nset-cookie: b')
    assert hostile.headers["content-disposition"] == 'attachment; filename="a_set-cookie_b.csv"'


def test_a_report_that_is_not_there_says_why() -> None:
    path = "/api/v1/models/churn/report"
    detail = problem(get(board_of(status_of()), path), 404)["detail"]
    assert detail == "no batch of churn has been judged yet"
    detail = problem(get(board_of(), path, params={"batch": "f" * 16, "format": "html"}), 404)[
        "detail"
    ]
    assert "no batch 'ffffffffffffffff' of churn is stored" in detail
    assert "/api/v1/models/churn/batches" in detail
    problem(get(board_of(), path, params={"format": "pdf"}), 422)


def test_a_check_is_accepted_and_can_be_followed() -> None:
    board = board_of()
    accepted = ask(board, "POST", "/api/v1/models/churn/checks")
    assert accepted.status_code == 202
    assert accepted.headers["location"] == accepted.json()["status_url"]
    board.jobs["7c1d"] |= {"status": "done", "report": "/api/v1/models/churn/report?batch=aa"}
    done = get(board, accepted.headers["location"]).json()
    assert (done["id"], done["model"], done["status"]) == ("7c1d", "churn", "done")
    assert done["report"] == "/api/v1/models/churn/report?batch=aa"


def test_a_check_of_a_file_stays_inside_the_prefix() -> None:
    board, path = board_of(), "/api/v1/models/churn/checks"
    inside = ask(board, "POST", path, json={"path": "batches/one.parquet"})
    assert inside.json()["detail"] == "batches/one.parquet"
    outside = ask(board, "POST", path, json={"path": "/etc/passwd"})
    assert problem(outside, 400)["detail"] == (
        "/etc/passwd: outside the batches of churn (use batches/)"
    )


@pytest.mark.parametrize(
    "body", [b"{bad", b"[]", b'"x"', b'{"path": 3}', b'{"pth": "batches/a"}', b"\xff\xfe"]
)
def test_a_body_that_cannot_be_read_is_a_problem(body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = ask(board_of(), "POST", "/api/v1/models/churn/checks", content=body, headers=headers)
    assert response.status_code in (400, 422)
    problem(response, response.status_code)


def test_a_long_body_is_refused_unread() -> None:
    path = "/api/v1/models/churn/checks"
    problem(ask(board_of(), "POST", path, json={"path": "x" * 70_000}), 413)

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"

    problem(ask(board_of(), "POST", path, content=endless()), 411)


def test_batches_are_accepted_and_the_word_can_be_taken_back() -> None:
    board, path = board_of(), "/api/v1/models/churn/acceptance"
    empty: dict[str, Any] = {"model": "churn", "in_force": None, "history": [], "next": None}
    assert get(board, path).json() == empty
    body = {"from": "a1", "to": "b2", "note": "new prices"}
    said = ask(board, "POST", path, json=body)
    assert said.status_code == 201
    word = said.json()
    assert (word["kind"], word["from_batch"], word["to_batch"]) == ("accepted", "a1", "b2")
    assert (word["note"], word["at"]) == ("new prices", "2026-09-21T14:13:20Z")
    assert get(board, path).json()["in_force"] == word
    undone = ask(board, "DELETE", path, params={"note": "too early"}).json()
    assert (undone["kind"], undone["note"]) == ("undone", "too early")
    now = get(board, path).json()
    assert (now["in_force"], now["history"]) == (None, [undone, word])


def test_an_acceptance_needs_no_body_and_says_what_it_cannot_take() -> None:
    board, path = board_of(), "/api/v1/models/churn/acceptance"
    assert ask(board, "POST", path).json()["from_batch"] == "aa"
    detail = problem(ask(board, "POST", path, json={"from": "unknown"}), 400)["detail"]
    assert detail == "churn: no batch 'unknown' is stored"
    problem(ask(board, "POST", path, json={"from": 3}), 422)
    problem(ask(board, "POST", path, json={"note": "x" * 2001}), 422)
    problem(ask(board, "POST", "/api/v1/models/other/acceptance"), 404)
    foreign = {"origin": "http://elsewhere"}
    problem(ask(board, "POST", path, headers=foreign), 403)
    problem(ask(board, "DELETE", path, headers=foreign), 403)


def test_the_job_of_another_model_is_not_shown() -> None:
    board = board_of(status_of(), status_of(name="fraud"))
    ask(board, "POST", "/api/v1/models/churn/checks")
    problem(get(board, "/api/v1/models/fraud/checks/7c1d"), 404)
    problem(get(board, "/api/v1/models/churn/checks/none"), 404)


def test_the_configuration_in_force_is_shown_as_the_board_masks_it() -> None:
    assert get(board_of(), "/config").json()["web"] == {"tokens_file": "***"}


def test_a_history_that_cannot_be_read_is_unavailable_with_its_reason() -> None:
    board = board_of()
    board.fault = StoreError("database is locked", where="shiftwatch.db")
    detail = problem(get(board, "/api/v1/models/churn/batches"), 503)["detail"]
    assert detail == "shiftwatch.db: database is locked"


def test_a_fault_of_our_own_is_a_problem_without_a_traceback() -> None:
    board = board_of()
    board.fault = ZeroDivisionError("secret detail")
    response = get(board, "/api/v1/models/churn/report")
    problem(response, 500)
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"


EVERYTHING = [
    ("GET", "/metrics", 200),
    ("GET", "/healthz", 200),
    ("GET", "/", 200),
    ("GET", "/docs", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/config", 200),
    ("GET", "/api/v1/models", 200),
    ("GET", "/api/v1/models/churn/batches", 200),
    ("GET", "/api/v1/models/churn/report?format=html", 200),
    ("POST", "/api/v1/models/churn/checks", 202),
    ("POST", "/api/v1/models", 405),
    ("OPTIONS", "/metrics", 204),
    ("GET", "/nothing", 404),
    ("GET", "/api/v1/models/x/report", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERYTHING)
def test_every_answer_carries_the_security_headers(method: str, path: str, status: int) -> None:
    response = ask(board_of(), method, path)
    assert response.status_code == status
    assert "default-src 'none'" in response.headers["content-security-policy"]
    parts = response.headers["content-security-policy"].split("; ")
    assert ("script-src 'self'" in parts) == (path in ("/", "/models/churn"))
    assert not [part for part in parts if "unsafe" in part or "*" in part]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    kept = "no-cache, private" if path == "/" or "report" in path else "no-store"
    kept = "no-store" if status >= 400 else kept
    assert response.headers["cache-control"] == kept
    if status >= 400:
        problem(response, status)


# The description


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    paths = get(board_of(), "/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_route_of_the_interface_is_described_with_faults_and_an_example() -> None:
    described = {(method, path) for method, path, _ in operations()}
    model = "/api/v1/models/{model}"
    assert described == {
        ("post", "/-/reload"),
        ("put", "/-/reload"),
        ("post", model + "/checks"),
        *((method, model + "/acceptance") for method in ("get", "post", "delete")),
        *((method, model + "/annotations") for method in ("get", "post")),
        ("delete", model + "/annotations/{number}"),
        *((method, model + "/comparisons") for method in ("get", "post")),
        ("get", model + "/comparisons/{comparison}"),
        ("get", model + "/comparisons/{comparison}/report"),
        *(("get", path) for path in ("/", "/metrics", "/config", "/docs", "/openapi.json")),
        *(("get", path) for path in ("/models/{model}", "/static/{name}", "/api/v1/state")),
        *(("get", path) for path in ("/healthz", "/readyz", "/-/healthy", "/-/ready")),
        *(("get", model + path) for path in ("", "/batches", "/report")),
        ("get", "/api/v1/models"),
        ("get", "/api/v1/batches/{batch}/report"),
        ("get", "/api/v1/schemas/report.json"),
        ("get", model + "/checks/{job}"),
    }
    for method, path, operation in operations():
        assert operation["summary"], path
        assert operation["description"], path
        answers = operation["responses"]
        assert "application/problem+json" in answers["default"]["content"], path
        good = next((told for status, told in answers.items() if status.startswith("2")), None)
        assert good is None or any("example" in media for media in good["content"].values()), (
            method,
            path,
        )
        assert "HTTPValidationError" not in str(answers)
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (path, parameter["name"])


def test_every_reference_in_the_description_resolves() -> None:
    document = get(board_of(), "/openapi.json")
    names = set(re.findall(r"#/components/schemas/(\w+)", document.text))
    assert names
    assert names <= set(document.json()["components"]["schemas"])


def test_the_examples_have_the_shapes_they_illustrate() -> None:
    kinds = {
        "models": shapes.ModelsShape,
        "model": shapes.ModelShape,
        "batches": shapes.BatchesShape,
        "queued": shapes.JobShape,
        "job": shapes.JobShape,
        "acceptance": shapes.AcceptanceShape,
        "acceptances": shapes.AcceptancesShape,
    }
    assert set(kinds) == set(shapes.EXAMPLES)
    for name, kind in kinds.items():
        TypeAdapter(kind).validate_python(shapes.EXAMPLES[name])


def test_the_description_page_names_every_route_and_needs_nothing_from_elsewhere() -> None:
    page = get(board_of(), "/docs").text
    for method, path, operation in operations():
        assert f"<code>{method.upper()} {path}</code> {operation['summary']}" in page
    assert_self_contained(page)


# The overview


class _Page(HTMLParser):
    """Tags, attributes and text of a page, and whether its tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def badges(self) -> list[str]:
        return [
            str(attributes["class"]).removeprefix("badge ")
            for tag, attributes in self.tags
            if tag == "span" and str(attributes.get("class")).startswith("badge ")
        ]


def assert_self_contained(page: str) -> None:
    parsed = _Page(page)
    assert not [tag for tag, _ in parsed.tags if tag in ("iframe", "object", "img")]
    scripts = [str(attributes.get("src")) for tag, attributes in parsed.tags if tag == "script"]
    assert [script for script in scripts if not script.startswith("/static/")] == []
    for tag, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        target = attributes.get("href") or attributes.get("src") or "#"
        assert target.startswith(("/", "#", "data:,")), target
    assert "url(" not in page
    assert "@import" not in page


def overview(board: TableBoard) -> str:
    response = get(board, "/")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert_self_contained(response.text)
    return response.text


def test_green_needs_a_last_batch_without_shift_no_alarm_and_a_monitor_that_can_tell() -> None:
    states: tuple[MonitorState, ...] = ("ok", "insufficient_data", "invalid_data", "stale", "error")
    board = board_of()
    for state, verdict, alarm in product(states, VERDICTS, (False, True)):
        board.now = snapshot_of(status_of(run_of(verdict, alarm=alarm), state=state))
        badges = _Page(overview(board)).badges()
        assert badges, (state, verdict, alarm)
        assert ("no_shift" in badges) == (state == "ok" and verdict == "no_shift" and not alarm)


def test_an_alarm_is_said_in_words_with_its_scope_and_since_when() -> None:
    rows = [row_of(seq) for seq in range(0xA0, 0xAA)] + [row_of(0xAA, "shift")]
    page = overview(board_of(status_of(run_of("shift", alarm=True)), rows=rows))
    assert "alarm: input" in _Page(page).text
    since = "2026-09-21T14:16:10Z"
    link = (
        'report?batch=00000000000000aa&amp;format=html">'
        f'<time datetime="{since}">2026-09-21 14:16</time>'
    )
    assert link in page


def test_an_alarm_older_than_the_timeline_names_its_batch() -> None:
    page = _Page(overview(board_of(status_of(run_of("shift", alarm=True)))))
    assert "batch 00000000000000aa" in page.text


def run_of_layers(**changes: Any) -> Run:
    """A quiet batch under an alarm that past batches raised."""
    run = run_of()
    decision = dataclasses.replace(
        run.decisions[0],
        evidence=Evidence(check=0.25, window=0.5, pool=1.125),
        alarm=True,
        since="00000000000000a3",
        change_from="00000000000000a1",
        also_moving=("calls",),
    )
    return dataclasses.replace(run, decisions=(dataclasses.replace(decision, **changes),))


def test_an_alarm_shows_its_layers_and_where_the_change_began() -> None:
    rows = [row_of(seq) for seq in range(0xA0, 0xA5)]
    run = run_of_layers(crossed=("pool",), p_value=0.4)
    page = overview(board_of(status_of(run), rows=rows))
    assert "crossed by what has built up over past batches" in _Page(page).text
    for layer, ratio in (("Check", "0.25"), ("Window", "0.5"), ("Pool", "1.12")):
        assert f'<td class="number" data-label="{layer}">{ratio}</td>' in page
    began = "2026-09-21T14:16:01Z"
    assert f'batch=00000000000000a1&amp;format=html"><time datetime="{began}">' in page
    also = "Also moving, a wider list and no reason for an alarm: calls"
    assert also in re.sub(r" +", " ", _Page(page).text)


def test_an_alarm_that_holds_on_over_a_quiet_batch_says_so() -> None:
    page = _Page(overview(board_of(status_of(run_of_layers(p_value=0.4)))))
    assert "holds on; the last batch crossed nothing" in page.text


def test_a_doubt_about_the_promise_stands_on_the_page_and_in_the_api() -> None:
    doubt = Finding("promise_not_kept", "", "the reference is short", "note")
    other = Finding("infinite", "age", "3 infinite values", "note")
    run = dataclasses.replace(run_of(), findings=(doubt, other))
    board = board_of(status_of(run))
    page = _Page(overview(board))
    assert page.badges() == ["no_shift", "insufficient_data"]
    assert "promise in doubt" in page.text
    assert "the reference is short" in page.text
    (model,) = get(board, "/api/v1/models").json()["models"]
    assert model["doubts"] == ["the reference is short"]


def test_broken_files_stand_on_the_page_and_in_the_api_and_their_names_do_no_harm() -> None:
    name = "batches/<script>\u202e\udcff.parquet"
    entries = [
        Broken(name, 4, 0, "", "refused", "cannot be read: <b>no</b>", 7, 0.0, 60.0, 60.0),
        Broken("late.parquet", 4, 0, "ab", "no_footer", "no readable footer", 1, 0.0, 60.0),
    ]
    status = dataclasses.replace(
        status_of(run_of()), quarantined=30, retried=1, broken=tuple(entries)
    )
    board = board_of(status)
    html = overview(board)
    page = _Page(html)
    html.encode()
    assert page.badges() == ["no_shift", "invalid_data", "waiting"]
    assert "In quarantine: 30, looked at again soon: 1." in page.text
    assert "And 29 more" in page.text
    assert "<script>\\u202e\\udcff.parquet" in page.text
    assert "<script>" not in html
    (model,) = get(board, "/api/v1/models").json()["models"]
    assert (model["quarantined"], model["retried"]) == (30, 1)
    first, second = model["broken"]
    assert first["uri"] == "batches/<script>\u202e\\udcff.parquet"
    assert (first["reason"], first["quarantined"], second["quarantined"]) == (
        "refused",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"per_checks": 1000, "per_days": None}, "in 1000 checks: 1 in 42 days at one batch"),
        ({"per_checks": None, "per_days": 30}, "in 30 days: 1 in 720 checks at one batch"),
    ],
)
def test_the_promise_is_on_the_page_at_the_pace_seen(asked: dict[str, Any], told: str) -> None:
    board = board_of(rows=[row_of(n) | {"event_time_end": 3600.0 * n} for n in range(5)])
    shown = dict(board.effective_config()) | {"alarms": {"false_alarms": asked}}
    board.effective_config = lambda: shown  # type: ignore[method-assign]
    assert told in _Page(overview(board)).text


def test_a_quiet_bar_grows_with_its_strongest_evidence_and_says_it() -> None:
    ratios: list[dict[str, float]] = [{}, {"input": 0.1}, {"input": 0.2, "prediction": 0.9}]
    rows = [row_of(seq) | {"evidence": ratio} for seq, ratio in enumerate(ratios)]
    page = overview(board_of(rows=rows))
    heights = [int(str(a["height"])) for tag, a in _Page(page).tags if tag == "rect"]
    assert heights == sorted(set(heights))
    assert "no shift, strongest evidence 0.9</title>" in page


def test_a_model_without_batches_says_where_to_put_the_first() -> None:
    page = _Page(overview(board_of(status_of())))
    assert page.badges() == ["waiting"]
    assert "waiting for the first batch" in page.text
    assert "in in/<here>" in page.text


def test_a_first_batch_that_is_found_is_not_asked_for_again() -> None:
    page = _Page(overview(board_of(status_of(backlog=3))))
    assert page.badges() == ["waiting"]
    assert "Batches found and not judged yet: 3." in page.text
    assert "Put a Parquet file" not in page.text


def test_a_model_that_cannot_be_watched_says_why() -> None:
    page = _Page(overview(board_of(status_of(fault="reference.parquet: no such file"))))
    assert page.badges() == ["error"]
    assert "reference.parquet: no such file" in page.text


def test_a_page_without_models_says_what_to_do() -> None:
    board = TableBoard(snapshot_of())
    assert "List at least one under models:" in _Page(overview(board)).text


def test_the_timeline_has_one_titled_bar_for_each_of_the_last_60_verdicts() -> None:
    rows = [row_of(seq, VERDICTS[seq % len(VERDICTS)]) for seq in range(70)]
    page = overview(board_of(rows=rows))
    bars = [attributes for tag, attributes in _Page(page).tags if tag == "rect"]
    assert [bar["class"] for bar in bars] == [row["state"] for row in rows[-60:]]
    assert [int(str(bar["x"])) for bar in bars] == list(range(0, 720, 12))
    assert page.count("<title>") == 61
    assert "<title>2026-09-21T14:14:29Z batch 0000000000000045: error</title>" in page
    assert "Last 60 batches: 12 shift, 12 no shift, 12 not enough data" in _Page(page).text


def test_the_order_of_the_timeline_is_time_whatever_the_board_gives() -> None:
    rows = [row_of(3), row_of(1, "shift"), row_of(2, "error")]
    tags = _Page(overview(board_of(rows=rows))).tags
    assert [a["class"] for tag, a in tags if tag == "rect"] == ["shift", "error", "no_shift"]


def test_the_page_shows_the_same_corrected_p_value_as_the_metrics() -> None:
    board = board_of()
    assert '<td class="number">0.0125</td>' in overview(board)
    line = 'shiftwatch_test_p_value{model="churn",scope="input",test="ks"} 0.0125'
    assert line in get(board, "/metrics").text


def test_hostile_names_are_shown_literally_everywhere() -> None:
    run = run_of("shift", alarm=True, column=HOSTILE, uri=HOSTILE, model=HOSTILE)
    run = dataclasses.replace(run, reasons=(HOSTILE,))
    status = status_of(run, name=HOSTILE, fault=HOSTILE)
    board = board_of(status, rows=[row_of(1) | {"batch_id": HOSTILE}])
    board.now = dataclasses.replace(board.now, ready=False, ready_reason=HOSTILE, version=HOSTILE)
    board.fault = StoreError(HOSTILE)
    for page in (overview(board), overview(dataclasses.replace(board, fault=None))):
        assert page.count("<script") == page.count('<script src="/static/')
        assert "\u202e" not in page
        assert "<script>alert('x')</script>\"&\\u202egpj.exe\\u2066" in _Page(page).text


def test_a_time_outside_the_calendar_does_not_break_the_page() -> None:
    run = run_of(judged_at=1e300)
    rows = [row_of(1) | {"judged_at": 1e300}]
    assert "1e+300" in overview(board_of(status_of(run), rows=rows))


def test_a_history_that_cannot_be_read_leaves_the_states_on_the_page() -> None:
    board = board_of()
    board.fault = StoreError("database is locked", where="shiftwatch.db")
    page = _Page(overview(board))
    assert page.badges() == ["no_shift", "error"]
    assert "shiftwatch.db: database is locked" in page.text


def test_a_refused_reload_and_a_start_in_progress_are_on_the_page() -> None:
    board = board_of()
    board.now = dataclasses.replace(
        board.now, ready=False, ready_reason="opening", reload_successful=False
    )
    page = _Page(overview(board))
    assert "last reload refused" in page.text
    assert "not ready opening" in page.text


# Lightness, and not waiting


def test_the_web_room_is_light_and_templates_are_loaded_only_for_a_page() -> None:
    code = """
import sys
import shiftwatch.web
assert "fastapi" not in sys.modules
import shiftwatch.web.app
heavy = "numpy scipy pyarrow onnxruntime sklearn pandas jinja2".split()
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_scrape_and_the_probes_do_not_load_the_framework_of_pages() -> None:
    code = """
import asyncio, sys
import httpx
from shiftwatch.status import Snapshot
from shiftwatch.web import create_app

class Board:
    def snapshot(self):
        return Snapshot((), "1", "3.11", 100, ready=True)

    def effective_config(self):
        return {}

async def ask():
    transport = httpx.ASGITransport(create_app(Board()))
    async with httpx.AsyncClient(transport=transport, base_url="http://watch") as client:
        for path in ("/metrics", "/healthz", "/-/healthy", "/readyz", "/-/ready"):
            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-content-type-options"] == "nosniff"
        print("fastapi" in sys.modules)
        print((await client.get("/openapi.json")).status_code, "fastapi" in sys.modules)

asyncio.run(ask())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "200", "True"]


@pytest.fixture(scope="module")
def both() -> tuple[TableBoard, ASGIApp]:
    """A board, and the whole application over it; the light door is :func:`app_of` the board."""
    board = board_of()
    return board, build(board)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics?name[]=shiftwatch_build",
        "/healthz",
        "/-/healthy",
        "/readyz",
        "/-/ready",
    ],
)
def test_the_light_door_answers_as_the_whole_application_would(
    method: str, path: str, both: tuple[TableBoard, ASGIApp]
) -> None:
    board, application = both
    for ready in (True, False):
        board.now = replace(board.now, ready=ready, ready_reason="loading churn")
        for accept in ("", "application/openmetrics-text; version=1.0.0"):
            light = ask(board, method, path, headers={"accept": accept})
            whole = ask_application(application, method, path, headers={"accept": accept})
            assert light.status_code == whole.status_code
            assert names_of(light.text) == names_of(whole.text)
            lengths = [answer.headers.pop("content-length", "") for answer in (light, whole)]
            assert path.startswith("/metrics") or lengths[0] == lengths[1]
            assert dict(light.headers) == dict(whole.headers)


def names_of(text: str) -> list[str]:
    """Lines without the values at their ends: those of the process change meanwhile."""
    return [line.rpartition(" ")[0] or line for line in text.splitlines()]


@contextmanager
def served(board: TableBoard) -> Iterator[str]:
    """A real server on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(board), log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_scrapes_and_health_answer_while_slow_reports_fill_the_thread_pool() -> None:
    board = board_of()
    board.gate.clear()
    slow = 48  # more than the 40 threads of the pool
    report = "/api/v1/models/churn/report?format=json"
    with (
        served(board) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(slow + 8) as pool,
    ):
        try:
            waiting = [pool.submit(client.get, report) for _ in range(slow)]
            # The others wait for their turn, each in a thread of the pool.
            assert board.waiting.acquire(timeout=30)
            scrapes = [pool.submit(client.get, "/metrics") for _ in range(8)]
            for scrape in scrapes:
                assert "shiftwatch_drift_alarm{" in scrape.result().text
            for path in ("/healthz", "/readyz", "/api/v1/models", "/openapi.json"):
                assert client.get(path).status_code == 200
            assert client.head("/metrics").content == b""
            assert not any(answer.done() for answer in waiting)
        finally:
            board.gate.set()
        assert {answer.result().status_code for answer in waiting} == {200}
