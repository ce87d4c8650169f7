"""Whole checks of Parquet files: in one process, from a cold start, in a worker."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.clock import MEGABYTE, child, cpu_seconds, status, warm
from benchmarks.speed.harness import Case, Goal, Measured, Task
from shiftwatch.check import answer
from shiftwatch.requests import Check, Checked, Context, Inspect, Prepare
from shiftwatch.settings import (
    AlarmSettings,
    ChiSquareSettings,
    KsSettings,
    LimitSettings,
    ModelSettings,
    TestsSettings,
)
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, FileFacts, Piece
from shiftwatch.worker import Worker

UNIVARIATE = TestsSettings(KsSettings(), ChiSquareSettings())
ANSWERS = ("shift", "no_shift")
"""Verdicts of a check in which everything was tested."""


def check_univariate(task: Task) -> Measured:
    """``ks``, ``chi2``, ``nulls``, ``unseen`` and ``distinct``; no joint test."""
    return _full(UNIVARIATE, task)


def check_everything(task: Task) -> Measured:
    """The same with MMD and the classifier test: what runs by default."""
    return _full(TestsSettings.all(), task)


def _full(tests: TestsSettings, task: Task) -> Measured:
    measured = Measured()
    with tempfile.TemporaryDirectory(dir=task.folder) as cache:
        context = _context(tests, task.folder, cache)
        measured.facts["prepare seconds"] = cpu_seconds(lambda: answer(Prepare(context)))
        request = _request(context, answer)
        _judged(answer(request))
        measured.seconds = warm(lambda: answer(request), task.repetitions)
    return measured


def worker(task: Task) -> Measured:
    """Everything, in a worker that maps a reference another worker has prepared."""
    measured = Measured()
    with tempfile.TemporaryDirectory(dir=task.folder) as cache:
        context = _context(TestsSettings.all(), task.folder, cache)
        with Worker(LimitSettings()) as child_:
            child_.call(Prepare(context))
        with Worker(LimitSettings()) as child_:
            request = _request(context, child_.call)
            _judged(child_.call(request))
            for _ in range(task.repetitions):
                cost = _judged(child_.call(request)).run.cost
                measured.seconds.append(cost.cpu_seconds)
                measured.facts["peak megabytes"] = cost.peak_memory_bytes / MEGABYTE
            pid = child_.pid or 0
            measured.facts["between checks megabytes"] = status("VmRSS", pid)
        still_there = Path(f"/proc/{pid}/status").exists()
        measured.facts["after its end megabytes"] = status("VmRSS", pid) if still_there else 0.0
    return measured


def cold_compare(task: Task) -> Measured:
    """``shiftwatch compare`` from start to end: imports, reference, everything tested."""
    measured = Measured()
    tables = [str(task.folder / name) for name in ("reference", "batch")]
    command = [sys.executable, "-m", "shiftwatch", "compare", *tables, "--json"]
    child(command)  # so that bytecode and files are there, as where it was run before
    for _ in range(task.repetitions):
        ended = child(command)
        if not ended.printed or json.loads(ended.printed)["state"] not in ANSWERS:
            raise ValueError(ended.printed + ended.told)
        measured.seconds.append(ended.seconds)
        measured.facts["peak megabytes"] = ended.megabytes
    return measured


def _context(tests: TestsSettings, folder: Path, cache: str) -> Context:
    settings = ModelSettings(
        name="bench",
        reference=str(folder / "reference"),
        batches=str(folder / "batch"),
        tests=tests,
    )
    return Context(settings, AlarmSettings(), 0, cache, "")


def _request(context: Context, ask: Callable[[Inspect], Any]) -> Check:
    facts: Sequence[FileFacts] = ask(Inspect(list_folder(context.model.batches), None))
    pieces = tuple(Piece(fact.uri, fact.size, fact.sha256, 0, fact.rows) for fact in facts)
    batch = Batch(batch_id(pieces), pieces, sum(fact.rows for fact in facts))
    return Check(context, batch, None, 0.0)


def _judged(checked: Any) -> Checked:
    """The answer, if the check came to a verdict on the data."""
    if not isinstance(checked, Checked) or checked.run.verdict not in ANSWERS:
        raise TypeError(checked)
    return checked


_SIZE = "100k x (40 numeric + 10 string) v 10k, from Parquet"

CASES = (
    Case(
        "check_univariate",
        f"whole check, column tests only, {_SIZE}, warm",
        check_univariate,
        (Goal("seconds", 0.05),),
        quick=True,
    ),
    Case(
        "check_everything",
        "whole check, every test, the same files, warm",
        check_everything,
        (Goal("seconds", 0.2),),
        quick=True,
    ),
    Case(
        "cold_compare",
        "`shiftwatch compare` of the same files, every test, imports included",
        cold_compare,
        (Goal("seconds", 0.9),),
    ),
    Case(
        "worker_memory",
        "every test in a worker as of the daemon, mapped files included",
        worker,
        (Goal("peak megabytes", 250), Goal("after its end megabytes", 0)),
    ),
)
