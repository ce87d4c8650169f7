"""Batches made of payload logs: nothing lost, nothing twice, the same file again after a crash."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch import collect, config
from shiftwatch.monitor import Monitor
from shiftwatch.payload import segments
from shiftwatch.payload.plan import Made, Plan
from shiftwatch.payload.records import Record
from shiftwatch.requests import MakePayloads, Request
from shiftwatch.settings import (
    ColumnSettings,
    KsSettings,
    ModelSettings,
    PayloadSettings,
    TestsSettings,
)
from shiftwatch.source import payloads
from shiftwatch.store import Store
from shiftwatch.values import Listed, Run
from shiftwatch.worker import Worker
from tests.payload_logs import asked_and_answered, record, v2, write
from tests.streams import scope, settings_of

pytestmark = pytest.mark.slow  # every test but one starts a worker


@pytest.fixture
def model(tmp_path: Path) -> ModelSettings:
    rng = np.random.default_rng(0)
    reference = pa.table(
        {
            "amount": rng.normal(size=2000),
            "plan": rng.choice(["a", "b"], 2000).tolist(),
            "score": rng.uniform(size=2000),
        }
    )
    pq.write_table(reference, tmp_path / "reference.parquet")
    (tmp_path / "log").mkdir()
    return ModelSettings(
        name="churn",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path / "log"),
        source="kserve",
        payloads=PayloadSettings(rows=50, wait="1h", join="2m"),
        columns=ColumnSettings(prediction=("score",)),
        tests=TestsSettings(ks=KsSettings()),
    )


def requests(first: int, count: int, shift: float = 0.0) -> Iterator[list[dict[str, object]]]:
    """Requests of four rows each with their responses."""
    for number in range(first, first + count):
        rng = np.random.default_rng(1000 + number)
        inputs = {
            "amount": rng.normal(shift, 1, 4).tolist(),
            "plan": rng.choice(["a", "b"], 4).tolist(),
        }
        yield asked_and_answered(f"id-{number:05}", inputs, rng.uniform(size=4).tolist())


@contextmanager
def watching(tmp_path: Path, model: ModelSettings, now: float | None = None) -> Iterator[Monitor]:
    settings = settings_of(tmp_path, model)
    clock = time.time if now is None else lambda: now
    with Store.open(settings.store.path, clock=time.time) as store:
        yield Monitor(settings, store, clock, {model.name: "test"})


def judged(tmp_path: Path, model: ModelSettings, now: float | None = None) -> list[Run]:
    with watching(tmp_path, model, now) as monitor:
        runs = list(monitor.step())
        (status,) = monitor.snapshot.models
    assert status.fault is None, status.fault
    return runs


def told(run: Run) -> dict[str, str]:
    """What a batch says of the log it was made of."""
    found = (each for each in run.findings if each.code.startswith("payload"))
    return {each.code: each.message for each in found}


def test_tiny_objects_become_batches_and_a_drift_in_them_is_an_alarm(
    tmp_path: Path, model: ModelSettings
) -> None:
    for pair in requests(0, 120):
        for half in pair:  # as with batchSize 1: an object each
            write(tmp_path / "log", f"{half['id']}-{str(half['reqType'])[-8:]}", [half])
    with watching(tmp_path, model) as monitor:
        runs = list(monitor.step())
        assert [run.verdict for run in runs] == ["no_shift", "no_shift"]
        # The response of the 50th request lies in an object of the next batch.
        assert [run.batch.rows for run in runs] == [196, 200]
        write(tmp_path / "log", "later", [h for p in requests(500, 60, 1.5) for h in p])
        (run,) = monitor.step()
        (status,) = monitor.snapshot.models
    assert (run.verdict, scope(run, "input").alarm) == ("shift", True)
    assert run.batch.rows == 84 + 240
    assert {result.target for result in run.results} >= {"amount", "score"}
    assert status.counts.payloads["matched"] == 180
    assert judged(tmp_path, model) == []


def test_a_batch_of_fewer_requests_is_made_when_the_oldest_has_waited(
    tmp_path: Path, model: ModelSettings
) -> None:
    write(tmp_path / "log", "few", [half for pair in requests(0, 10) for half in pair])
    assert judged(tmp_path, model) == []
    (run,) = judged(tmp_path, model, now=time.time() + 3700)
    assert run.batch.rows == 40


def test_halves_wait_for_each_other_and_lonely_ones_are_told(
    tmp_path: Path, model: ModelSettings
) -> None:
    pairs = list(requests(0, 62))
    answered = [half for pair in pairs[:60] for half in pair]
    write(tmp_path / "log", "a", [*answered, pairs[60][0], pairs[61][1]])
    (first,) = judged(tmp_path, model)
    assert (first.batch.rows, told(first)) == (240, {})
    write(tmp_path / "log", "b", [pairs[60][1]])
    (second,) = judged(tmp_path, model, now=time.time() + 8000)
    assert second.batch.rows == 4
    assert told(second) == {"payload_unmatched": "without their other half: 1 responses"}


def test_a_request_without_response_is_a_row_without_a_prediction(
    tmp_path: Path, model: ModelSettings
) -> None:
    write(tmp_path / "log", "a", [pair[0] for pair in requests(0, 60)])
    (run,) = judged(tmp_path, model, now=time.time() + 200)
    assert run.batch.rows == 240
    assert {result.target for result in run.results} >= {"amount"}
    assert "payload_unmatched" in {finding.code for finding in run.findings}


def test_malformed_records_are_counted_in_the_verdict_and_hide_no_other(
    tmp_path: Path, model: ModelSettings
) -> None:
    halves = [half for pair in requests(0, 60) for half in pair]
    bad = [
        record("m1", "request", b"{"),
        record("m2", "request", b"{}"),
        record("m3", "request", b"", bytes="no base64!"),
        record("", "request", v2({"amount": [1.0]})),
        record("m4", "request", v2({"amount": [1.0], "plan": ["a"]})),
        record("m4", "response", v2({"score": [0.5, 0.5]}, "outputs")),
    ]
    write(tmp_path / "log", "a", [*bad, *halves])
    broken = tmp_path / "log" / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more PAR1")
    os.utime(broken, (1e9, 1e9))
    with watching(tmp_path, model, now=time.time() + 200) as monitor:
        (run,) = monitor.step()
        (status,) = monitor.snapshot.models
    assert run.batch.rows == 241
    (finding,) = (f for f in run.findings if f.code == "payload_malformed")
    assert finding.severity == "note"
    assert finding.message == (
        "records not used: bad_base64 1, bad_rows 1, no_id 1, no_tensors 1, not_json 1, "
        "unreadable_object 1"
    )
    assert status.counts.malformed["bad_rows"] == 1


def test_a_log_of_nothing_but_rubbish_is_invalid_and_not_silent(
    tmp_path: Path, model: ModelSettings
) -> None:
    write(tmp_path / "log", "a", [record(f"m{n}", "request", b"{") for n in range(60)])
    (run,) = judged(tmp_path, model, now=time.time() + 200)
    assert run.batch.rows == 0
    (finding,) = (f for f in run.findings if f.code == "payload_malformed")
    assert finding.severity == "invalid"
    assert not any(result.p_value for result in run.results)


def test_an_object_written_again_under_its_key_is_a_new_one(
    tmp_path: Path, model: ModelSettings
) -> None:
    path = write(tmp_path / "log", "same", [h for p in requests(0, 60) for h in p])
    os.utime(path, (1e9, 1e9))
    assert len(judged(tmp_path, model)) == 1
    write(tmp_path / "log", "same", [h for p in requests(100, 60) for h in p])
    (run,) = judged(tmp_path, model)
    assert run.batch.rows == 240


def test_logs_in_the_format_that_kserve_writes_by_default_are_told_of(
    tmp_path: Path, model: ModelSettings
) -> None:
    folder_ = tmp_path / "log" / "models" / "churn" / "predictor"
    folder_.mkdir(parents=True)
    (folder_ / "7c1d-request.json").write_text("[]", encoding="utf-8")
    with watching(tmp_path, model) as monitor:
        assert list(monitor.step()) == []
        (status,) = monitor.snapshot.models
        assert "7c1d-request.json" in str(status.fault)
        assert "format: parquet" in str(status.fault)
        write(tmp_path / "log", "a", [half for pair in requests(0, 60) for half in pair])
        assert len(list(monitor.step())) == 1, "it is enough that what comes is Parquet"


@pytest.mark.usefixtures("model")  # its reference
def test_a_history_of_a_log_is_checked_reported_and_recomputed_like_any_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "c.yml").write_text(
        "models:\n  - name: churn\n    reference: reference.parquet\n    batches: log\n"
        "    source: kserve\n    payloads: {rows: 50}\n    columns: {prediction: score}\n",
        encoding="utf-8",
    )

    def ran(*arguments: str) -> str:
        command = [sys.executable, "-W", "error", "-m", "shiftwatch", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for number in range(2):
        halves = [half for pair in requests(60 * number, 60) for half in pair]
        write(tmp_path / "log", f"o{number}", halves)
    assert "a batch of 240 rows" not in ran("check", "c.yml"), "records of a log are no rows"
    assert ran("once", "c.yml").count("240 rows") == 2
    assert "a batch of 240 rows" in ran("check", "c.yml")
    assert "2 recomputed, 2 the same" in ran("verify", "--history", "c.yml")
    settings = config.load(tmp_path / "c.yml", {})
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {"churn": "test"})
        assert monitor.check_file("churn", "00000002.parquet").batch.rows == 240


def test_used_segments_are_forgotten_in_time_and_objects_that_may_still_lie_there_are_not(
    tmp_path: Path,
) -> None:
    day = 86_400.0
    objects = [Listed(f"/log/{name}", 1, 1) for name in ("1.events", "a.parquet")]
    later = [Listed(f"/log/{name}", 1, 1) for name in ("2.events", "b.parquet")]
    with Store.open(str(tmp_path / "s.db"), clock=time.time) as store:
        for number, (at, planned) in enumerate([(0.0, objects), (9 * day, later)], start=1):
            plan = Plan("churn", number, at, tuple(planned))
            store.plan_payloads(plan)
            store.note_payloads(plan, Made(1))
        store.forget(5.0, {}, 10 * day)
        known = store.known_payloads("churn", [each.uri for each in (*objects, *later)])
    assert set(known) == {"/log/a.parquet", "/log/2.events", "/log/b.parquet"}


class Crash(Exception):  # noqa: N818 - no error: the end of the process
    pass


@pytest.mark.parametrize("when", ["planned", "made", "noted"])
def test_a_crash_at_any_point_neither_loses_nor_repeats_a_request(
    when: str, tmp_path: Path, model: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "log", "a", [h for p in requests(0, 55) for h in p])
    with monkeypatch.context() as patched:
        if when == "planned":
            call = Worker.call

            def dying(self: Worker, request: Request) -> Any:
                if isinstance(request, MakePayloads):
                    raise Crash
                return call(self, request)

            patched.setattr(Worker, "call", dying)
        elif when == "made":
            patched.setattr(Store, "note_payloads", _crash)
        else:
            patched.setattr(collect.Collecting, "_clear", _crash)
        with watching(tmp_path, model) as monitor:
            list(monitor.step())
    write(tmp_path / "log", "b", [h for p in requests(55, 55) for h in p])
    runs = judged(tmp_path, model)
    assert [run.batch.rows for run in runs] == [220, 220]
    ids = [
        name
        for path in sorted((tmp_path / "s.payloads" / "churn" / "batches").iterdir())
        for name in pq.read_table(path, columns=["request_id"])["request_id"].unique().to_pylist()
    ]
    assert sorted(ids) == [f"id-{number:05}" for number in range(110)]


def _crash(*_: object) -> None:
    raise Crash


def test_the_same_plan_makes_the_same_bytes(tmp_path: Path) -> None:
    halves = [half for pair in requests(0, 30) for half in pair]
    random.Random(0).shuffle(halves)
    objects = [_listed(write(tmp_path / "log", f"o{n}", halves[n::3])) for n in range(3)]
    plan = Plan("churn", 1, 2e9, tuple(objects))
    sums = set()
    for folder in ("one", "two"):
        made = payloads.make(plan, PayloadSettings(), str(tmp_path / folder / "batches"))
        assert made == Made(120, 0, None, made.counts, {})
        sums.add(
            hashlib.sha256(
                (tmp_path / folder / "batches" / "00000001.parquet").read_bytes()
            ).hexdigest()
        )
    assert len(sums) == 1


def _listed(path: Path) -> Listed:
    facts = path.stat()
    return Listed(str(path), facts.st_size, facts.st_mtime_ns)


def test_a_torn_segment_gives_all_records_but_the_torn_one(tmp_path: Path) -> None:
    records = [Record(f"r{n}", "request", bytes([n]), 1.5 * n, n or None) for n in range(3)]
    path = tmp_path / "00000001.events"
    segments.write(path, records)
    assert list(segments.read(str(path))) == records
    path.write_bytes(path.read_bytes()[:-7])
    assert list(segments.read(str(path))) == records[:2]


def columns_of(values: Mapping[str, Sequence[Any]]) -> dict[str, pa.DataType]:
    return {name: payloads._array(list(each)).type for name, each in values.items()}


def test_numbers_stay_numbers_where_all_are_and_nothing_is_guessed() -> None:
    told: dict[str, Sequence[Any]] = {
        "whole": [1, None, -3],
        "large": [1, 2**63],
        "mixed": [1, 2.5, None],
        "flags": [True, None],
        "texts": ["a", 1, True, None],
        "nothing": [None, None],
        "halves": ["\ud800", "b"],
    }
    assert columns_of(told) == {
        "whole": pa.int64(),
        "large": pa.float64(),
        "mixed": pa.float64(),
        "flags": pa.bool_(),
        "texts": pa.string(),
        "nothing": pa.float64(),
        "halves": pa.string(),
    }
