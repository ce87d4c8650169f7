"""A real worker beside a folder: every input goes through what a file in production goes through.

In:    bytes or tables.
Out:   a named outcome; AssertionError where the outcome is none we promise.
Never: takes a traceback of the worker, or an error of Python's in it, for an answer.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.attempt import GivenUpError, attempt, failed, inspected
from shiftwatch.document import to_document
from shiftwatch.errors import DataError, ModelError, WorkerError
from shiftwatch.requests import Check, Context, Prepare
from shiftwatch.settings import (
    AlarmSettings,
    ByRows,
    ByTime,
    ChiSquareSettings,
    ClassifierSettings,
    ColumnSettings,
    KsSettings,
    LimitSettings,
    MmdSettings,
    ModelSettings,
    TestsSettings,
    WindowSettings,
)
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import Cursor, acceptable, plan
from shiftwatch.values import FINDING_CODES, SKIP_REASONS, VERDICTS, Batch, Run
from shiftwatch.worker import Worker

LIMITS = LimitSettings(memory_mb=600, seconds=20)

TESTS = TestsSettings(
    ks=KsSettings(),
    chi2=ChiSquareSettings(max_draws=999),
    mmd=MmdSettings(permutations=99, features=32),
    c2st=ClassifierSettings(permutations=99),
)

_MOST_BATCHES = 2
"""Batches of a file that are judged."""

_TRACEBACK = "ended with status 1"
"""A worker ends with 1 where Python has raised what nobody expected."""


@dataclass
class Judge:
    """A folder and a worker, to be closed.

    Parameters
    ----------
    folder
        Where inputs are written.
    limits
        Of the worker.
    """

    folder: Path
    limits: LimitSettings = LIMITS
    _worker: Worker = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self._worker = Worker(self.limits)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def write(self, content: pa.Table | bytes, suffix: str = ".parquet") -> Path:
        """A new file with a table or with these bytes."""
        self._count += 1
        path = self.folder / f"{self._count:07}{suffix}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(content, path)
        return path

    def context(
        self,
        reference: Path,
        model: Path | None = None,
        *,
        time_column: str | None = None,
        by: Literal["file"] | ByRows | ByTime = "file",
    ) -> Context:
        """How batches are judged against a reference; nothing is kept between two contexts."""
        settings = ModelSettings(
            "fuzz",
            model=str(model) if model is not None else None,
            reference=str(reference),
            batches=str(self.folder),
            tests=TESTS,
            columns=ColumnSettings(time=time_column),
            window=WindowSettings(by=by, min_rows=10),
        )
        return Context(settings, AlarmSettings(), 0, "", "", self.limits)

    def outcome(self, context: Context, path: Path) -> str:
        """Prepare the reference and the model, look at a file, judge it: the outcome in words."""
        try:
            self._worker.call(Prepare(context))
        except (DataError, ModelError) as refused:
            return f"refused at start: {_kind(refused.what)}"
        except WorkerError as fault:
            return f"refused at start: {_words(fault.what)}"
        return " and ".join(dict.fromkeys(map(named, self._runs(context, path)))) or "nothing due"

    def run(self, context: Context, path: Path) -> Run:
        """The one run of a file."""
        (run,) = self._runs(context, path)
        return run

    def _runs(self, context: Context, path: Path) -> list[Run]:
        """Runs of the first batches a file makes, by the way every file goes."""
        settings = context.model
        facts = inspected(self._worker.call, list_folder(str(path)), settings.columns.time)
        accepted = [acceptable(file, settings.window) for file in facts]
        due = plan(accepted, settings.window, Cursor())
        return [self._judged(context, batch) for batch in due[:_MOST_BATCHES]]

    def _judged(self, context: Context, batch: Batch) -> Run:
        request = Check(context, batch, None, 0.0)
        try:
            return attempt(self._worker.call, request).run
        except GivenUpError as fault:
            return failed(fault.request, fault, fault.cost).run
        except WorkerError as fault:
            return failed(request, fault).run


def named(run: Run) -> str:
    """The outcome of a run, such as ``invalid_data: unreadable``.

    Raises
    ------
    AssertionError
        If there is an outcome without a name, a failed test, or a p-value that is none.
    """
    assert run.verdict in VERDICTS
    assert all(finding.code in FINDING_CODES for finding in run.findings)
    assert all(skip.reason in SKIP_REASONS for skip in run.skipped)
    broken = [skip for skip in run.skipped if skip.reason == "test_failed"]
    assert not broken, broken
    assert all(0 < result.p_value <= 1 for result in run.results), run.results
    if run.verdict not in ("shift", "no_shift"):
        assert run.reasons
    to_document(run)  # what cannot be stored is no outcome
    if run.verdict == "error":
        return f"error: {_words(run.reasons[0])}"
    codes = sorted({f.code for f in run.findings if f.severity == "invalid"})
    return ": ".join([run.verdict, *([", ".join(codes)] if codes else [])])


def _kind(text: str) -> str:
    """A message without names and figures, as far as it tells the kind of fault."""
    assert len(text) > 5, text
    return re.split(r"[:'\"0-9]", text, maxsplit=1)[0].strip()[:60]


def _words(text: str) -> str:
    """How a worker ended, without figures.

    Raises
    ------
    AssertionError
        If it was a traceback.
    """
    assert _TRACEBACK not in text, text
    for words in ("killed by SIG", "out of memory", "no answer within"):
        if words in text:
            return text.partition("(")[0].strip() if words == "killed by SIG" else words
    return text


def tidy(path: Path) -> None:
    """Remove an input that had an outcome."""
    os.unlink(path)  # noqa: PTH108 - the fewest calls
