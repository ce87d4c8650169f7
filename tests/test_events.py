"""Events over HTTP: what they say, that they are kept, that nobody waits for them."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.errors import ConfigError
from shiftwatch.inbox import Letters
from shiftwatch.inbox.spool import FullError, Spool
from shiftwatch.payload import segments
from shiftwatch.payload.bodies import MalformedError
from shiftwatch.payload.events import records_of
from shiftwatch.payload.records import Record
from shiftwatch.settings import FieldError, ModelSettings, PayloadSettings, Settings
from shiftwatch.web.events import MOST_BYTES, Events
from shiftwatch.web.gate import Access, Gate
from shiftwatch.web.tokens import TokenFile
from tests.payload_logs import v2
from tests.test_daemon import CONFIG, Running, folder, running, until

__all__ = ["folder"]  # a fixture

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"
BODY = b'{"instances": [[1, 2]]}'


def binary(told: str, kind: str = REQUEST, **more: str) -> dict[str, str]:
    """Headers as KServe's logger sends them."""
    return {
        "ce-specversion": "1.0",
        "ce-id": told,
        "ce-type": kind,
        "ce-source": "http://localhost:9081/",
        "ce-time": "2026-02-01T12:00:00.25Z",
        "ce-inferenceservicename": "churn",
        "content-type": "application/json",
        **more,
    }


AT = 1_769_947_200.25
NOW = AT + 60


# --- what they say


def test_the_binary_mode_carries_its_attributes_in_headers_and_any_body() -> None:
    metadata = json.dumps({"Inference-Header-Content-Length": ["17"]})
    headers = binary("a", RESPONSE, **{"ce-metadata": metadata})
    assert records_of(headers, b"\x00\xff", NOW) == (Record("a", "response", b"\x00\xff", AT, 17),)
    plain = binary("a", **{"inference-header-content-length": "17"})
    assert records_of(plain, BODY, NOW)[0].header_bytes == 17


def test_the_structured_mode_carries_data_as_json_as_text_or_as_base64() -> None:
    event = {"specversion": "1.0", "id": "a", "type": REQUEST, "time": "2026-02-01T12:00:00.25Z"}
    headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
    data = (
        {"data": json.loads(BODY)},
        {"data": BODY.decode()},
        {"data_base64": base64.b64encode(BODY).decode()},
    )
    for told in data:
        body = json.dumps(event | told).encode()
        (record,) = records_of(headers, body, NOW)
        assert (record.id, record.kind, record.at) == ("a", "request", AT)
        assert json.loads(record.body) == json.loads(BODY)


def test_a_batch_of_events_is_taken_whole_or_not_at_all() -> None:
    headers = {"content-type": "application/cloudevents-batch+json"}
    good = [{"id": name, "type": REQUEST, "data": {}} for name in "ab"]
    assert [each.id for each in records_of(headers, json.dumps(good).encode(), NOW)] == ["a", "b"]
    assert records_of(headers, b"[]", NOW) == ()
    with pytest.raises(MalformedError):
        records_of(headers, json.dumps([*good, {"id": "c"}]).encode(), NOW)


@pytest.mark.parametrize("told", ["2126-01-01T00:00:00Z", "yesterday", ""])
def test_a_time_that_is_none_or_still_to_come_is_that_of_the_arrival(told: str) -> None:
    (record,) = records_of(binary("a", **{"ce-time": told}), BODY, NOW)
    assert record.at == NOW


KINDS = st.sampled_from(["application/cloudevents+json", "application/cloudevents-batch+json", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("id", "time", "data", "data_base64", "metadata", "specversion"), JSON)
    | {"type": st.just(REQUEST) | JSON},
)


@given(
    kind=KINDS,
    headers=st.dictionaries(st.sampled_from(["ce-id", "ce-type", "ce-time"]), st.text()),
    body=st.binary()
    | (ATTRIBUTES | st.lists(ATTRIBUTES)).map(lambda told: json.dumps(told).encode()),
)
def test_no_request_ends_in_anything_but_records_or_a_reason(
    kind: str, headers: dict[str, str], body: bytes
) -> None:
    records: tuple[Record, ...] = ()
    with suppress(MalformedError):
        records = records_of({**headers, "content-type": kind}, body, NOW)
    assert all(record.at <= NOW and record.id for record in records)
    b"".join(map(segments.line_of, records))


# --- that they are kept


def kept(folder: Path) -> list[str]:
    paths = sorted(folder.glob(f"*{segments.SUFFIX}"))
    return [record.id for path in paths for record in segments.read(str(path))]


def record(told: str, size: int = 10) -> Record:
    return Record(told, "request", b"x" * size, AT)


def test_what_a_process_left_unfinished_is_closed_by_the_next_one(tmp_path: Path) -> None:
    left = Spool(tmp_path, 10_000)
    left.keep([record("a"), record("b")])
    (unfinished,) = tmp_path.glob("*.unfinished")
    assert kept(tmp_path) == [], "a segment is not read while it is written"
    unfinished.write_bytes(unfinished.read_bytes() + b'{"id":"c","ki')  # the system went down here
    after = Spool(tmp_path, 10_000)
    assert kept(tmp_path) == ["a", "b"]
    assert after.waiting == 2
    after.keep([record("d")])
    after.close()
    assert kept(tmp_path) == ["a", "b", "d"]
    left.close()


def test_the_newest_are_dropped_when_there_is_no_room_and_room_comes_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    spool.keep([record("a", 600)])
    with pytest.raises(FullError):
        spool.keep([record("b", 600)])
    spool.close()
    assert kept(tmp_path) == ["a"]
    for path in tmp_path.glob("*"):
        path.unlink()  # as is done once a batch was made of it
    spool.keep([record("c", 600)])
    spool.close()
    assert kept(tmp_path) == ["c"]


def test_no_name_comes_back_even_if_the_clock_was_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for moment in (5_000, 4_000, 4_000):
        monkeypatch.setattr("shiftwatch.inbox.spool.time.time_ns", lambda moment=moment: moment)
        spool = Spool(tmp_path, 10_000)
        spool.keep([record("a")])
        spool.close()
        names = sorted(path.name for path in tmp_path.glob("*"))
    assert len(names) == 3


def test_a_disk_that_fails_leaves_no_torn_event_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = Letters([model(tmp_path)], clock=lambda: NOW)
    assert letters.take("churn", binary("a"), BODY) == ""
    whole = os.write
    with monkeypatch.context() as broken:

        def half(file: int, data: bytes) -> int:
            if len(data) < 40:
                raise OSError(errno.ENOSPC, "no space left on device")
            return whole(file, data[:30])

        broken.setattr("shiftwatch.inbox.spool.os.write", half)
        broken.setattr("shiftwatch.inbox.spool.line_of", lambda _: b"y" * 60)
        assert letters.take("churn", binary("b"), BODY) == "disk"
    assert letters.take("churn", binary("c"), BODY) == ""
    letters.close()
    assert kept(tmp_path) == ["a", "c"]
    status = letters.status()["churn"]
    assert (status.received, status.dropped, status.buffered) == (3, {"disk": 1}, 2)


def model(batches: Path, **more: Any) -> ModelSettings:
    payloads = PayloadSettings(receive=True, **more)
    return ModelSettings("churn", "r.parquet", str(batches), source="kserve", payloads=payloads)


def test_counts_and_events_outlive_a_change_of_settings(tmp_path: Path) -> None:
    letters = Letters([model(tmp_path)], clock=lambda: NOW)
    letters.take("churn", binary("a"), BODY)
    letters.update([model(tmp_path, buffer_mb=1)])
    letters.take("churn", binary("b"), BODY)
    assert letters.status()["churn"].received == 2
    letters.update([])
    assert letters.take("churn", binary("c"), BODY) == "gone"
    assert kept(tmp_path) == ["a", "b"]


def test_a_folder_that_cannot_be_used_is_told_of_and_none_serves_two_models(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be kept"):
        Letters([model(tmp_path / "file")])
    other = ModelSettings("other", "r.parquet", f"{tmp_path}/", source="kserve")
    with pytest.raises(FieldError, match="two models"):
        Settings(models=(model(tmp_path), other))


# --- that they are passed on


@contextmanager
def sink(status: int = 200) -> Iterator[tuple[str, list[tuple[Mapping[str, str], bytes]]]]:
    came: list[tuple[Mapping[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(({name.lower(): text for name, text in self.headers.items()}, body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/x?y=1", came
        finally:
            server.shutdown()
            thread.join()


def test_every_event_is_passed_on_as_it_came_without_the_token(tmp_path: Path) -> None:
    with sink() as (url, came):
        letters = Letters([model(tmp_path, forward_to=url)], clock=lambda: NOW)
        for told in "abc":
            letters.take("churn", binary(told, authorization="Bearer sw_a"), BODY)
        until(lambda: len(came) == 3 or None)
        letters.close()
    assert [headers["ce-id"] for headers, _ in came] == ["a", "b", "c"]
    assert all(body == BODY and "authorization" not in headers for headers, body in came)
    assert letters.status()["churn"].dropped == {}


def test_a_change_that_is_refused_leaves_those_who_receive_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with sink() as (url, came):
        before = model(tmp_path / "log", forward_to=url)
        letters = Letters([before], clock=lambda: NOW)
        letters.take("churn", binary("a"), BODY)
        other = replace(model(tmp_path / "file"), name="other")
        for changed in ([other], [other, model(tmp_path / "log", buffer_mb=1)]):
            with pytest.raises(ConfigError, match="cannot be kept"):
                letters.update(changed)
            assert letters.take("churn", binary("b"), BODY) == ""
        until(lambda: len(came) == 3 or None)
        letters.close()
    assert kept(tmp_path / "log") == ["a", "b", "b"]


def has_failed(letters: Letters) -> bool | None:
    return letters.status()["churn"].dropped == {"forward_failed": 2} or None


def test_a_sink_that_refuses_or_is_away_costs_nothing_but_a_count(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with sink(503) as (refusing, _):
        for number, url in enumerate((refusing, away)):
            letters = Letters([model(tmp_path / str(number), forward_to=url)], clock=lambda: NOW)
            assert [letters.take("churn", binary(told), BODY) for told in "ab"] == ["", ""]
            until(partial(has_failed, letters))
            letters.close()


# --- what is answered


def asked(
    app: Any, path: str, headers: Mapping[str, str], *body: bytes, method: str = "POST"
) -> int:
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("192.0.2.1", 1),
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in body[:-1]]
    parts.append({"type": "http.request", "body": body[-1], "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


def test_what_is_kept_is_202_and_what_is_not_has_a_status_below_500(tmp_path: Path) -> None:
    letters = Letters([model(tmp_path, buffer_mb=1)], clock=lambda: NOW)
    app = Events(letters)
    assert asked(app, "/events/churn", binary("a"), BODY[:5], BODY[5:]) == 202
    assert asked(app, "/events/other", binary("a"), BODY) == 404
    assert asked(app, "/events/churn", {}, BODY) == 400
    assert asked(app, "/events/churn", binary("a"), BODY, method="GET") == 405
    assert asked(app, "/events/churn", binary("a", origin="http://a.example"), BODY) == 403
    long = binary("a", **{"content-length": str(MOST_BYTES + 1)})
    assert asked(app, "/events/churn", long, b"") == 413
    assert asked(app, "/events/churn", binary("a"), bytes(MOST_BYTES), b"x") == 413
    assert asked(app, "/events/churn", binary("b"), bytes(1_000_000)) == 429
    letters.close()
    dropped = letters.status()["churn"].dropped
    assert dropped == {"malformed": 1, "too_large": 2, "full": 1}
    assert kept(tmp_path) == ["a"]


def test_events_need_an_operator_or_a_public_path_and_know_no_rate(tmp_path: Path) -> None:
    letters = Letters([model(tmp_path)], clock=lambda: NOW)
    (tmp_path / "tokens").write_text("", encoding="utf-8")
    tokens = TokenFile(str(tmp_path / "tokens"))
    closed = Gate(Events(letters), Access(tokens, requests_per_second=1))
    statuses = [asked(closed, "/events/churn", binary("a"), BODY) for _ in range(6)]
    assert statuses == [401] * 4 + [429] * 2, "a stranger is counted"
    public = frozenset(["/events/churn", "/-/reload"])
    opened = Gate(Events(letters), Access(tokens, public, requests_per_second=1))
    assert {asked(opened, "/events/churn", binary("a"), BODY) for _ in range(20)} == {202}
    assert asked(opened, "/-/reload", {}, b"") == 401, "what is public may be read, not asked for"
    letters.close()


# --- the real process

RECEIVING = CONFIG.replace(
    "schedule:", "    source: kserve\n    payloads: {receive: true, wait: 1h}\nschedule:"
)


def post(daemon: Running, headers: Mapping[str, str], body: bytes) -> int:
    request = urllib.request.Request(
        daemon.url + "/events/churn", body, dict(headers), method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


@pytest.mark.slow
def test_a_daemon_killed_right_after_it_acknowledged_has_lost_nothing(folder: Path) -> None:
    (folder / "shiftwatch.yml").write_text(RECEIVING, encoding="utf-8")
    ids = [f"{round_}-{number}" for round_ in range(3) for number in range(20)]
    for round_ in range(3):
        with running(folder) as daemon:
            before = daemon.metric('shiftwatch_events_buffered{model="churn"}')
            assert before == 20 * round_
            assert {post(daemon, binary(f"{round_}-{each}"), BODY) for each in range(20)} == {202}
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait(30)
    with running(folder) as daemon:
        assert daemon.metric('shiftwatch_events_buffered{model="churn"}') == len(ids)
        assert daemon.metric('shiftwatch_events_received_total{model="churn"}') == 0
    assert kept(folder / "batches") == ids


DRIFTING = """\
models:
  - name: churn
    reference: {folder}/reference.parquet
    batches: {folder}/events
    source: kserve
    columns: {{prediction: [score]}}
    payloads: {{receive: true, rows: 60, wait: 1h}}
    tests: {{ks: {{}}}}
schedule: {{every: 1s}}
store: {{path: {folder}/history.db}}
web: {{listen: "127.0.0.1:0"}}
"""


def talk(daemon: Running, first: int, shift: float) -> None:
    """Sixty requests of four rows, each with its response."""
    for number in range(first, first + 60):
        rng = np.random.default_rng(number)
        inputs = v2({"amount": rng.normal(shift, 1, 4).tolist()})
        outputs = v2({"score": rng.uniform(size=4).tolist()}, "outputs")
        for kind, body in ((REQUEST, inputs), (RESPONSE, outputs)):
            assert post(daemon, binary(f"{number:05}", kind), body) == 202


@pytest.mark.slow
def test_events_over_http_become_batches_and_an_alarm_also_through_a_kill(tmp_path: Path) -> None:
    rng = np.random.default_rng(99)
    reference = {"amount": rng.normal(size=2000), "score": rng.uniform(size=2000)}
    pq.write_table(pa.table(reference), tmp_path / "reference.parquet")
    config = DRIFTING.format(folder=tmp_path)
    (tmp_path / "shiftwatch.yml").write_text(config, encoding="utf-8")
    alarm = 'shiftwatch_drift_alarm{model="churn",scope="input"}'
    matched = 'shiftwatch_payloads_total{model="churn",outcome="matched"}'
    with running(tmp_path) as daemon:
        talk(daemon, 0, 0.0)
        until(lambda: daemon.metric(matched) == 60 or None)
        until(lambda: daemon.metric('shiftwatch_coverage_ratio{model="churn"}') == 1 or None)
        assert daemon.metric(alarm) == 0.0
        talk(daemon, 60, 3.0)
        daemon.process.send_signal(signal.SIGKILL)  # acknowledged, and no batch made of it
        daemon.process.wait(30)
    with running(tmp_path) as daemon:
        until(lambda: daemon.metric(alarm) == 1.0 or None)
        until(lambda: daemon.metric('shiftwatch_events_buffered{model="churn"}') == 0 or None)
        runs = daemon.json("/api/v1/models/churn/batches")["batches"]
    assert [run["rows"] for run in runs] == [240, 240]
