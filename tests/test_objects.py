"""Object stores, with a real server that speaks S3 and checks signatures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import shiftwatch
from shiftwatch.acceptance import Span
from shiftwatch.annotation import Remark
from shiftwatch.check import answer as answered
from shiftwatch.cli import app
from shiftwatch.errors import AwayError, DataError, ModelError
from shiftwatch.fetch import load_model
from shiftwatch.monitor import Monitor
from shiftwatch.requests import Check, Inspect, List, Reach, Request
from shiftwatch.settings import (
    KsSettings,
    ModelSettings,
    PayloadSettings,
    S3Settings,
    StoresSettings,
    TestsSettings,
)
from shiftwatch.sides import Side
from shiftwatch.source import objects, parquet, stores
from shiftwatch.store import Store
from shiftwatch.values import Piece, Run
from shiftwatch.verbs.verifying import verify_history
from shiftwatch.worker import Worker
from tests import onnx_models as onnx
from tests.object_store import KEYS, Line, put, s3, swift
from tests.payload_logs import asked_and_answered, write
from tests.streams import settings_of

pytestmark = pytest.mark.slow

FILES = 4


def answer(request: Request) -> Any:
    """What the worker answers, in this process."""
    return answered(request)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, system: Callable[[str], str]) -> Iterator[int]:
    with swift(tmp_path_factory.mktemp("swift"), system) as port_:
        yield port_


@pytest.fixture(scope="module")
def bucket(port: int) -> Any:
    """A file system that writes to the bucket ``box``."""
    filesystem = s3(port)
    filesystem.create_dir("box")
    return filesystem


@pytest.fixture
def line(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A line to the server, over which this process and its children reach it."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    line_ = Line(port)
    yield line_
    line_.close()
    answer(Reach(StoresSettings(), ""))


def _stores(port: int, patience: str = "2s") -> StoresSettings:
    own = S3Settings(endpoint=f"http://127.0.0.1:{port}", region="us-east-1")
    return StoresSettings(timeout="2s", patience=patience, s3=own)


def _table(rows: int, seed: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    plan = rng.choice(["a", "b"], rows).tolist()
    return pa.table({"amount": rng.normal(shift, 1, rows), "plan": plan})


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, bucket: Any) -> ModelSettings:
    """A stream in a folder, of which the bucket holds a copy below ``stream/``."""
    folder = tmp_path_factory.mktemp("stream")
    pq.write_table(_table(2000, 0), folder / "reference.parquet")
    (folder / "new").mkdir()
    for index in range(FILES):
        shift = 1.0 if index == FILES - 1 else 0.0
        pq.write_table(_table(1000, 10 + index, shift), folder / "new" / f"{index}.parquet")
    for path in sorted(folder.rglob("*.parquet")):
        put(bucket, path, f"box/stream/{path.relative_to(folder)}")
    return ModelSettings(
        name="m",
        reference=str(folder / "reference.parquet"),
        batches=str(folder / "new"),
        tests=TestsSettings(ks=KsSettings()),
    )


def _remote(local: ModelSettings) -> ModelSettings:
    return replace(
        local, reference="s3://box/stream/reference.parquet", batches="s3://box/stream/new"
    )


@contextmanager
def _monitor(folder: Path, model: ModelSettings, stores: StoresSettings) -> Iterator[Monitor]:
    folder.mkdir(exist_ok=True)
    settings = replace(settings_of(folder, model), stores=stores)
    with Store.open(settings.store.path, clock=time.time) as store:
        yield Monitor(settings, store, time.time, {model.name: "test"})


def _essence(run: Run) -> object:
    return run.batch.id, run.verdict, run.results, run.decisions, run.findings


def _fault(monitor: Monitor) -> str:
    (status,) = monitor.snapshot.models
    return status.fault or ""


@pytest.fixture(scope="module")
def undisturbed(local: ModelSettings, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What the stream is judged to be from its folder."""
    with _monitor(tmp_path_factory.mktemp("local"), local, StoresSettings()) as monitor:
        runs = [_essence(run) for run in monitor.step()]
    assert len(runs) == FILES
    return runs


def test_a_stream_in_a_store_is_judged_bit_for_bit_as_in_a_folder(
    tmp_path: Path, local: ModelSettings, undisturbed: list[object], line: Line
) -> None:
    with _monitor(tmp_path, _remote(local), _stores(line.port)) as monitor:
        assert [_essence(run) for run in monitor.step()] == undisturbed
        assert list(monitor.step()) == []
        (files,) = monitor.present_files().values()
    assert files == {f"s3://box/stream/new/{index}.parquet" for index in range(FILES)}


def test_a_store_that_goes_away_in_the_middle_delays_what_is_judged_and_changes_none_of_it(
    tmp_path: Path, local: ModelSettings, undisturbed: list[object], line: Line
) -> None:
    line.after = 4000  # of an answer: within a file, behind its head
    with _monitor(tmp_path, _remote(local), _stores(line.port, "1s")) as monitor:
        line.state = "cut"
        assert list(monitor.step()) == []  # cut while the reference is read
        assert "does not answer" in _fault(monitor)
        line.state = "open"
        runs = []
        for run in monitor.step():
            runs.append(run)
            if len(runs) == 2:
                line.state = "cut"  # while batches are judged
        assert len(runs) == 2
        assert "does not answer" in _fault(monitor)
        assert "s3://box/stream/new/" in _fault(monitor)
        broken = line.broken
        assert list(monitor.step()) == []
        assert line.broken > broken > 0
        line.state = "open"
        runs += monitor.step()
        assert _fault(monitor) == ""
        assert list(monitor.step()) == []
    assert [_essence(run) for run in runs] == undisturbed


def test_of_a_long_backlog_nothing_is_read_twice_because_the_store_went_away(
    tmp_path: Path,
    local: ModelSettings,
    undisturbed: list[object],
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shiftwatch.look.BYTES_PER_CALL", 1)
    asked: list[str] = []
    call = Worker.call

    def calling(worker: Worker, request: Request) -> Any:
        if isinstance(request, Inspect):
            asked.extend(file.uri for file in request.files)
            line.state = "cut" if len(asked) == 3 else "open"
        return call(worker, request)

    monkeypatch.setattr(Worker, "call", calling)
    with _monitor(tmp_path, _remote(local), _stores(line.port, "1s")) as monitor:
        assert list(monitor.step()) == []
        line.state = "open"
        assert [_essence(run) for run in monitor.step()] == undisturbed
    names = [uri.rpartition("/")[2][0] for uri in asked]
    assert names == ["0", "1", "2", "2", "3"]


def test_a_payload_log_in_a_store_becomes_batches_once_whatever_the_store_does(
    tmp_path: Path, local: ModelSettings, bucket: Any, line: Line
) -> None:
    rng = np.random.default_rng(3)
    for number in range(12):
        told = {"amount": rng.normal(size=50).tolist(), "plan": ["a", "b"] * 25}
        halves = asked_and_answered(f"id{number}", told, rng.uniform(size=50).tolist())
        path = write(tmp_path / "log", f"id{number}-request", halves)
        put(bucket, path, f"box/log/{path.relative_to(tmp_path / 'log')}")
    model = replace(
        local, batches="s3://box/log", source="kserve", payloads=PayloadSettings(rows=6, wait="1h")
    )
    line.after = 1500
    with _monitor(tmp_path / "house", model, _stores(line.port, "1s")) as monitor:
        line.state = "cut"
        assert list(monitor.step()) == []
        assert "does not answer" in _fault(monitor)
        line.state = "open"
        assert [run.batch.rows for run in monitor.step()] == [300, 300]
        assert list(monitor.step()) == []
        (status,) = monitor.snapshot.models
        assert status.counts.payloads["matched"] == 12
        assert status.counts.malformed == {}


def test_a_short_outage_is_waited_out_and_nobody_notices(
    tmp_path: Path, local: ModelSettings, undisturbed: list[object], line: Line
) -> None:
    line.state, line.after = "cut", 4000

    def mend() -> None:
        while not line.broken:
            time.sleep(0.01)
        line.state = "open"

    threading.Thread(target=mend, daemon=True).start()
    with _monitor(tmp_path, _remote(local), _stores(line.port, "60s")) as monitor:
        assert [_essence(run) for run in monitor.step()] == undisturbed
    assert line.broken


def test_a_server_that_falls_silent_is_given_up_before_the_check_is(
    local: ModelSettings, line: Line
) -> None:
    answer(Reach(replace(_stores(line.port, "1s"), timeout="1s"), ""))
    line.state = "silent"
    with pytest.raises(AwayError, match="does not answer"):
        answer(List(_remote(local).batches))
    assert line.broken


def test_a_wrong_secret_is_named_and_neither_it_nor_the_key_is_told(
    tmp_path: Path, line: Line
) -> None:
    config = tmp_path / "c.yml"
    model = {"name": "m", "reference": "s3://box/stream/reference.parquet"}
    own = {"endpoint": f"http://127.0.0.1:{line.port}", "region": "us-east-1"}
    models = [model | {"batches": "s3://box/stream/new"}]
    config.write_text(json.dumps({"models": models, "stores": {"s3": own}}))
    environment = os.environ | {"AWS_SECRET_ACCESS_KEY": "hush-hush"}
    for verb in ("once", "check"):
        ended = subprocess.run(
            [sys.executable, "-m", "shiftwatch", verb, str(config)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode != 0
        assert "access refused" in ended.stderr
        assert "s3://box/stream/reference.parquet" in ended.stderr
        told = ended.stdout + ended.stderr
        assert "hush-hush" not in told
        assert KEYS["AWS_ACCESS_KEY_ID"] not in told
        assert "Traceback" not in told


def test_what_is_kept_and_reported_names_no_credential(
    tmp_path: Path, local: ModelSettings, line: Line
) -> None:
    with _monitor(tmp_path, _remote(local), _stores(line.port)) as monitor:
        run = next(iter(monitor.step()))
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in repr(run)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEYS["AWS_ACCESS_KEY_ID"].encode() not in path.read_bytes()


def test_a_reference_and_a_model_that_have_not_changed_are_read_once(
    tmp_path: Path, bucket: Any, line: Line
) -> None:
    path = tmp_path / "large.parquet"
    pq.write_table(_table(50_000, 1), path)
    put(bucket, path, "box/large/reference.parquet")
    own = str(tmp_path / "objects")
    answer(Reach(_stores(line.port), own))
    first = parquet.reference_sha256("s3://box/large/reference.parquet")
    assert first == parquet.reference_sha256(str(path))
    objects._digests.clear()  # as in another worker
    objects._last.clear()
    line.state, line.after = "cut", 100_000  # what is read again would be cut off
    answer(Reach(_stores(line.port), own))
    assert parquet.reference_sha256("s3://box/large/reference.parquet") == first
    line.state = "open"
    pq.write_table(_table(50_000, 2), path)
    put(bucket, path, "box/large/reference.parquet")
    assert parquet.reference_sha256("s3://box/large/reference.parquet") != first


def test_what_a_killed_worker_left_is_removed_and_a_full_disk_or_damaged_note_costs_only_time(
    tmp_path: Path, local: ModelSettings, line: Line
) -> None:
    uri, own = "s3://box/stream/new/0.parquet", tmp_path / "objects"
    whole = parquet.file_sha256(f"{local.batches}/0.parquet")
    (own / "model").mkdir(parents=True)
    old, new = own / "model" / ".a.tmp", own / ".b.tmp"
    for each in (old, new):
        each.write_bytes(b"half")
    os.utime(old, (0, 0))
    (own / "digests.json").write_text('{"s3://box/stream/new/0.parquet": [1, 2')
    answer(Reach(_stores(line.port), str(own)))
    objects._digests.clear()
    assert parquet.file_sha256(uri) == whole
    assert (old.exists(), new.exists()) == (False, True)
    assert list(json.loads((own / "digests.json").read_text())) == [uri]
    answer(Reach(_stores(line.port), str(tmp_path / "stream.txt" / "objects")))
    (tmp_path / "stream.txt").write_text("a file where the folder should be")
    objects._digests.clear()
    assert parquet.file_sha256(uri) == whole


def test_a_folder_of_a_reference_has_the_hash_it_has_on_a_disk(
    local: ModelSettings, line: Line
) -> None:
    answer(Reach(_stores(line.port), ""))
    here, there = parquet.reference_sha256(local.batches), "s3://box/stream/new"
    assert parquet.reference_sha256(there) == here


@pytest.mark.parametrize("whole", [0, objects.WHOLE])
def test_an_object_has_the_facts_and_rows_of_the_file_it_was(
    whole: int, local: ModelSettings, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "WHOLE", whole)
    answer(Reach(_stores(line.port), ""))
    there, here = (answer(List(m.batches)) for m in (_remote(local), local))
    for far, near in zip(answer(Inspect(there, None)), answer(Inspect(here, None)), strict=True):
        assert (far.sha256, far.rows, far.size, far.fault) == (
            near.sha256,
            near.rows,
            near.size,
            None,
        )
        schema = parquet.read_schema([near.uri], ())
        assert parquet.read_schema([far.uri], ()) == schema
        first, second = (
            parquet.read_pieces(
                [Piece(each.uri, each.size, each.sha256, 0, each.rows)],
                schema,
                root=None,
                max_rows=100,
                rng=np.random.default_rng(5),
            )
            for each in (far, near)
        )
        for mine, its in zip(first.sample.columns, second.sample.columns, strict=True):
            assert np.array_equal(mine.values, its.values)


def test_a_store_that_goes_away_within_a_large_object_is_away_and_the_object_not_damaged(
    tmp_path: Path, bucket: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "WHOLE", 0)
    path, uri = tmp_path / "x.parquet", "s3://box/torn/x.parquet"
    pq.write_table(_table(200_000, 1), path)
    put(bucket, path, "box/torn/x.parquet")
    answer(Reach(_stores(line.port, "1s"), ""))
    (listed,) = answer(List(uri))
    schema = parquet.read_schema([uri], ())
    piece = Piece(uri, listed.size, "", 0, 200_000)

    def read() -> parquet.Reading:
        rng = np.random.default_rng(1)
        return parquet.read_pieces([piece], schema, root=None, max_rows=1000, rng=rng)

    whole = read()
    line.state, line.after = "cut", 300_000  # of each connection: some way into the columns
    answer(Reach(_stores(line.port, "1s"), ""))
    with pytest.raises(AwayError, match="does not answer"):
        read()
    (facts,) = answer(Inspect((listed,), None))  # the store answers, but not with all of it
    assert facts.incomplete
    assert facts.fault.startswith("is not handed out now: the store does not answer")
    line.state = "open"
    stores.begin()
    assert np.array_equal(read().sample.columns[0].values, whole.sample.columns[0].values)


def test_one_object_that_cannot_be_had_hides_no_other(
    local: ModelSettings, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(Reach(_stores(line.port, "1s"), ""))
    listed = answer(List(_remote(local).batches))
    opened = objects._raw

    def failing(uri: str) -> Any:
        if uri == listed[0].uri:
            raise OSError("AWS Error INTERNAL_FAILURE during HeadObject operation: key=hush")
        return opened(uri)

    monkeypatch.setattr(objects, "_raw", failing)
    first, *others = answer(Inspect(listed, None))
    assert first.incomplete
    assert first.fault == "is not handed out now: the store does not answer (internal failure)"
    assert [each.fault for each in others] == [None] * (FILES - 1)


def test_an_object_that_is_withheld_for_longer_than_the_grace_is_judged_when_it_is_handed_out(
    tmp_path: Path, bucket: Any, local: ModelSettings, line: Line
) -> None:
    pq.write_table(_table(200, 1), tmp_path / "a.parquet")
    pq.write_table(_table(100_000, 2), tmp_path / "b.parquet")
    put(bucket, tmp_path / "a.parquet", "box/withheld/a.parquet")
    model = replace(_remote(local), batches="s3://box/withheld")
    model = replace(model, window=replace(model.window, grace="1s"))
    with _monitor(tmp_path / "run", model, _stores(line.port, "1s")) as monitor:
        assert len(list(monitor.step())) == 1
        put(bucket, tmp_path / "b.parquet", "box/withheld/b.parquet")
        time.sleep(2)
        line.state, line.after = "cut", 300_000
        for _ in range(2):
            assert list(monitor.step()) == []
            assert monitor.snapshot.models[0].backlog == 1
            assert "b.parquet: is not handed out now" in _fault(monitor)
        line.state = "open"
        assert [run.batch.rows for run in monitor.step()] == [100_000]
        assert (_fault(monitor), monitor.snapshot.models[0].backlog) == ("", 0)


def test_credentials_that_run_out_delay_what_is_judged_and_change_none_of_it(
    tmp_path: Path,
    local: ModelSettings,
    undisturbed: list[object],
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call, runs = Worker.call, list[Run]()

    def calling(worker: Worker, request: Request) -> Any:
        if isinstance(request, Check) and len(runs) == 2:
            worker.close()  # the next one starts with what the environment says then
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
        return call(worker, request)

    with _monitor(tmp_path, _remote(local), _stores(line.port, "1s")) as monitor:
        monkeypatch.setattr(Worker, "call", calling)
        runs.extend(monitor.step())
        assert len(runs) == 2
        assert "access refused" in _fault(monitor)
        monkeypatch.setattr(Worker, "call", call)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["AWS_SECRET_ACCESS_KEY"])
        runs += monitor.step()
    assert [_essence(run) for run in runs] == undisturbed


def test_a_large_object_replaced_while_it_is_read_is_not_believed(
    tmp_path: Path, bucket: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "WHOLE", 0)
    answer(Reach(_stores(line.port), ""))
    for seed in (1, 2):
        pq.write_table(_table(300, seed), tmp_path / f"{seed}.parquet")
    put(bucket, tmp_path / "1.parquet", "box/replaced/x.parquet")

    def read() -> None:
        with objects.opened("s3://box/replaced/x.parquet") as handle:
            handle.read(100)
            put(bucket, tmp_path / "2.parquet", "box/replaced/x.parquet")

    with pytest.raises(OSError, match="changed while it was read"):
        read()


def test_what_is_no_batch_is_not_listed_and_what_is_not_there_has_a_name(
    tmp_path: Path, bucket: Any, line: Line
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"PAR1")
    for name in ("a.parquet", "_tmp/b.parquet", ".c.parquet", "d.parquet.tmp", "e=1/f.PQ"):
        put(bucket, path, f"box/odd/{name}")
    answer(Reach(_stores(line.port), ""))
    found = [each.uri for each in answer(List("s3://box/odd/"))]
    assert found == ["s3://box/odd/a.parquet", "s3://box/odd/e=1/f.PQ"]
    assert answer(List("s3://box/nothing-yet/")) == ()
    with pytest.raises(DataError, match="no such bucket"):
        answer(List("s3://absent/new"))
    with pytest.raises(DataError, match="no Parquet file"):
        parquet.reference_files("s3://box/nothing-yet/")
    (gone,) = answer(
        Inspect((replace(answer(List("s3://box/odd/"))[0], uri="s3://box/odd/z.pq"),), None)
    )
    assert gone.fault == "gone"
    (half,) = answer(Inspect(answer(List("s3://box/odd/a.parquet")), None))
    assert (half.fault, half.incomplete) == ("no readable footer", True)


def test_a_look_goes_on_behind_what_was_seen_and_a_whole_one_finds_what_came_late(
    tmp_path: Path, bucket: Any, line: Line
) -> None:
    pq.write_table(_table(100, 1), tmp_path / "x.parquet")
    for day in range(1, 8):
        put(bucket, tmp_path / "x.parquet", f"box/days/day={day}/hour=1/x.parquet")
    answer(Reach(_stores(line.port), ""))
    prefix = "s3://box/days"
    first = [each.uri for each in answer(List(prefix))]
    assert len(first) == 7
    for place in ("day=3/hour=2/late", "day=7/hour=1/y", "day=8/hour=1/x", "top"):
        put(bucket, tmp_path / "x.parquet", f"box/days/{place}.parquet")
    again = [each.uri for each in answer(List(prefix, after=first[-1]))]
    assert again == [
        f"{prefix}/day=7/hour=1/x.parquet",
        f"{prefix}/day=7/hour=1/y.parquet",
        f"{prefix}/day=8/hour=1/x.parquet",
        f"{prefix}/top.parquet",
    ]
    assert len(answer(List(prefix))) == 11


def test_a_file_that_came_late_into_an_old_folder_is_judged_at_the_next_whole_look(
    tmp_path: Path, bucket: Any, local: ModelSettings, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shiftwatch.look.FULL_LISTING", 3)
    model = replace(_remote(local), batches="s3://box/late")

    def add(name: str, seed: int) -> None:
        pq.write_table(_table(100, seed), tmp_path / "x.parquet")
        put(bucket, tmp_path / "x.parquet", f"box/late/{name}.parquet")

    add("day=1/a", 1)
    add("day=2/a", 2)
    judged = []
    with _monitor(tmp_path / "run", model, _stores(line.port)) as monitor:
        for look in range(4):
            judged.append([run.batch.uri for run in monitor.step()])
            if look == 0:
                add("day=1/late", 3)
                add("day=3/a", 4)
    assert judged[1:] == [
        ["s3://box/late/day=3/a.parquet"],
        [],
        ["s3://box/late/day=1/late.parquet"],
    ]


def test_one_object_is_judged_on_demand_and_none_outside_the_prefix(
    tmp_path: Path, local: ModelSettings, line: Line
) -> None:
    with _monitor(tmp_path, _remote(local), _stores(line.port)) as monitor:
        assert monitor.check_file("m", f"{FILES - 1}.parquet").verdict == "shift"
        for path in ("../reference.parquet", "s3://box/stream/reference.parquet", "/0.parquet"):
            with pytest.raises(DataError, match="outside the configured batches"):
                monitor.check_file("m", path)
        with pytest.raises(DataError, match="no such file"):
            monitor.check_file("m", "absent.parquet")


def test_objects_are_compared_by_address_by_folder_and_against_others(
    tmp_path: Path, local: ModelSettings, line: Line
) -> None:
    def made(sides: tuple[Side, Side]) -> Run:
        return monitor.compare(monitor.plan_comparison("m", sides)[1], lambda _: None)

    with _monitor(tmp_path, _remote(local), _stores(line.port)) as monitor:
        runs = list(monitor.step())
        last = f"{_remote(local).batches.rstrip('/')}/{FILES - 1}.parquet"
        assert made((Side(files=(last,)), Side())).results == runs[-1].results
        against = made((Side(files=(f"{FILES - 1}.parquet",)), Side(files=("0.parquet",))))
        stored = made((Side(runs[-1].batch.id), Side(runs[0].batch.id)))
        assert (against.verdict, against.results) == ("shift", stored.results)
        for path in ("../reference.parquet", "s3://box/stream/reference.parquet", "absent"):
            with pytest.raises(DataError, match=r"outside the configured|no such file"):
                made((Side(files=(path,)), Side()))
        with pytest.raises(DataError, match="both sides hold rows"):
            made((Side(files=(".",)), Side(runs[0].batch.id)))


def test_judged_objects_are_accepted_as_the_reference_and_their_history_is_recomputed_the_same(
    tmp_path: Path, local: ModelSettings, line: Line
) -> None:
    stores_ = _stores(line.port)
    with _monitor(tmp_path, _remote(local), stores_) as monitor:
        runs = list(monitor.step())
        word = monitor.accept("m", Span(runs[0].batch.id, runs[1].batch.id), Remark())
        assert word.rows == 2000
    said: list[str] = []
    settings = replace(settings_of(tmp_path, _remote(local)), stores=stores_)
    assert verify_history(settings, "m", as_json=False, say=said.append) == 0
    assert "recomputed, 4 the same" in said[0]


def _weighted(folder: Path, location: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(
        path,
        [onnx.node("MatMul", ["x", "w"], ["y"])],
        [onnx.tensor("x", "float", [None, 2])],
        [onnx.tensor("y", "float", [None, 1])],
        [onnx.outside("w", location, [2, 1])],
    )
    return path


@pytest.mark.parametrize("kept", [True, False])
def test_a_model_is_fetched_with_weights_from_below_its_own_prefix(
    kept: bool, tmp_path: Path, bucket: Any, line: Line
) -> None:
    path = _weighted(tmp_path / "here", "parts/w.bin")
    (path.parent / "parts").mkdir()
    (path.parent / "parts" / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    put(bucket, path, f"box/model-{kept}/model.onnx")
    put(bucket, path.parent / "parts" / "w.bin", f"box/model-{kept}/parts/w.bin")
    answer(Reach(_stores(line.port), str(tmp_path / "objects") if kept else ""))
    uri = f"s3://box/model-{kept}/model.onnx"
    model = load_model(uri)
    assert model.path == uri
    assert model.sha256 == load_model(str(path)).sha256
    (path.parent / "parts" / "w.bin").write_bytes(np.zeros(2, np.float32).tobytes())
    put(bucket, path.parent / "parts" / "w.bin", f"box/model-{kept}/parts/w.bin")
    assert load_model(uri).sha256 != model.sha256


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "a\0b"])
def test_weights_elsewhere_are_refused_and_not_asked_for(
    location: str, tmp_path: Path, bucket: Any, line: Line
) -> None:
    put(bucket, _weighted(tmp_path / "here", location), "box/evil/model.onnx")
    answer(Reach(_stores(line.port), str(tmp_path / "objects")))
    with pytest.raises(ModelError, match="outside the model's folder"):
        load_model("s3://box/evil/model.onnx")
    with pytest.raises(ModelError, match="no such file"):
        load_model("s3://box/evil/absent.onnx")


# A comparison without a daemon ---------------------------------------------------------------------


def test_addresses_are_compared_as_files_are(
    local: ModelSettings, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    remote = _remote(local)
    of_addresses = shiftwatch.compare(remote.reference, remote.batches, tests=["ks", "mmd"])
    of_files = shiftwatch.compare(local.reference, local.batches, tests=["ks", "mmd"])
    assert of_addresses.results == of_files.results
    assert of_addresses.batch["rows"] == 1000 * FILES
    ended = CliRunner().invoke(
        app, ["compare", remote.reference, f"{remote.batches}/0.parquet", "--fail-on-alarm"]
    )
    assert (ended.exit_code, ended.stdout.splitlines()[0][:8]) == (0, "No shift")
    with pytest.raises(DataError, match="no Parquet file"):
        shiftwatch.compare(local.reference, "s3://box/stream/none", tests=["ks"])
