"""Files no worker survives: each becomes a fault of its own, and hides no other file."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch.attempt import inspected
from shiftwatch.errors import TimeLimitError, WorkerError
from shiftwatch.requests import Inspect, Request
from shiftwatch.settings import KsSettings, ModelSettings, TestsSettings, WindowSettings
from shiftwatch.values import FileFacts, Listed
from shiftwatch.worker import Worker
from tests.streams import LONG_AGO, judge


class _Frail:
    """Answers as a worker does, and dies of certain files."""

    def __init__(self, *poison: str, alive: bool = True) -> None:
        self.poison = poison
        self.alive = alive
        self.asked: list[int] = []

    def __call__(self, request: Request) -> tuple[FileFacts, ...]:
        assert isinstance(request, Inspect)
        self.asked.append(len(request.files))
        if not self.alive or any(file.uri in self.poison for file in request.files):
            raise WorkerError("the worker was killed by SIGSEGV", hint="out of memory?")
        return tuple(FileFacts(f.uri, f.size, f.modified_ns, "sha", 7) for f in request.files)


def _listed(count: int) -> tuple[Listed, ...]:
    return tuple(Listed(f"{place:03}.parquet", 9, 1) for place in range(count))


def test_sound_files_are_looked_at_in_one_go() -> None:
    worker = _Frail()
    assert [facts.uri for facts in inspected(worker, _listed(200), None)] == [
        file.uri for file in _listed(200)
    ]
    assert worker.asked == [200]
    assert inspected(worker, (), None) == ()


@pytest.mark.parametrize(
    "poison", [("000.parquet",), ("117.parquet",), ("003.parquet", "199.parquet")]
)
def test_a_file_that_kills_the_worker_is_found_and_the_others_are_looked_at(
    poison: tuple[str, ...],
) -> None:
    worker = _Frail(*poison)
    facts = inspected(worker, _listed(200), None)
    assert [each.uri for each in facts] == [file.uri for file in _listed(200)]
    for each in facts:
        if each.uri in poison:
            assert each.fault == "cannot be looked at: the worker was killed by SIGSEGV"
            assert each.incomplete  # until the grace period ends it is looked at again
        else:
            assert (each.fault, each.rows) == (None, 7)
    assert len(worker.asked) <= 2 + 3 * 8 * len(poison)  # halves down to one, and three for each


def test_a_worker_that_dies_of_nothing_is_no_fault_of_a_file() -> None:
    worker = _Frail(alive=False)
    with pytest.raises(WorkerError, match="SIGSEGV"):
        inspected(worker, _listed(200), None)
    assert worker.asked == [200, 0]


def test_many_files_that_together_take_too_long_are_looked_at_in_parts() -> None:
    def slow(request: Request) -> tuple[FileFacts, ...]:
        assert isinstance(request, Inspect)
        if len(request.files) > 60:
            raise TimeLimitError("no answer within 120 s, the worker was ended")
        return tuple(FileFacts(f.uri, f.size, f.modified_ns, "sha", 7) for f in request.files)

    facts = inspected(slow, _listed(200), None)
    assert [each.fault for each in facts] == [None] * 200


@pytest.mark.slow
def test_the_daemon_judges_every_other_file_and_names_the_one_that_kills_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Worker.call

    def call(worker: Worker, request: Request) -> Any:
        if isinstance(request, Inspect) and any("poison" in file.uri for file in request.files):
            worker._started()
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        return honest(worker, request)

    monkeypatch.setattr(Worker, "call", call)
    rng = np.random.default_rng(1)
    (tmp_path / "batches").mkdir()
    pq.write_table(pa.table({"x": rng.normal(size=900)}), tmp_path / "reference.parquet")
    for name in ("a", "b", "poison", "z"):
        path = tmp_path / "batches" / f"{name}.parquet"
        pq.write_table(pa.table({"x": rng.normal(size=90)}), path)
        os.utime(path, (LONG_AGO, LONG_AGO))
    model = ModelSettings(
        "m",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path / "batches"),
        tests=TestsSettings(ks=KsSettings()),
        window=WindowSettings(grace="1s"),
    )
    verdicts = {Path(run.batch.uri).stem: run for run in judge(tmp_path, model)}
    assert {name: run.verdict for name, run in verdicts.items()} == {
        "a": "no_shift",
        "b": "no_shift",
        "poison": "invalid_data",
        "z": "no_shift",
    }
    assert "killed by SIGKILL" in verdicts["poison"].reasons[0]
    assert judge(tmp_path, model) == []  # each once
