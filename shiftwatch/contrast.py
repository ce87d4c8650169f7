"""Two files, folders or prefixes against each other, once, without a daemon.

In:    paths or addresses, and settings.
Out:   a Run.
Never: writes anything to disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from shiftwatch.attempt import attempt, inspected
from shiftwatch.errors import AwayError, DataError, RefusedError
from shiftwatch.look import files_now
from shiftwatch.progress import Listener
from shiftwatch.requests import Check, Context, Prepare, PreparedInfo
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, FileFacts, Listed, Piece, Run
from shiftwatch.worker import Worker

DRAWS = "comparison"
"""Address of the random draws. A comparison has no history in which every batch must draw anew, and
the same rows shall have the same p-values whether they come as a file or as a data frame."""


def compare_files(
    settings: ModelSettings,
    *,
    alarms: AlarmSettings,
    seed: int = 0,
    listener: Listener | None = None,
) -> Run:
    """Judge everything below ``settings.batches`` as one batch, against the reference.

    The listener, if there is one, is told how far the work is.

    Raises
    ------
    DataError
        If either side cannot be read.
    """
    with asked_once(), Worker(LimitSettings(), listener) as worker:
        files = _files(settings.batches, worker)
        context = Context(settings, alarms, seed, "", "")
        return Prepared.of(worker, context).judge(settings.batches, files)


@contextmanager
def asked_once() -> Iterator[None]:
    """A store that does not answer is a DataError: there is no next look, as the daemon has."""
    try:
        yield
    except RefusedError:
        raise
    except AwayError as fault:
        hint = "check the address, the network, and the credentials in the environment"
        raise DataError(fault.what, where=fault.where, hint=hint) from fault


def named(run: Run, reference: str, current: str) -> Run:
    """The run with the names of both sides, for people."""
    sides = {"reference": reference, "current": current}
    return replace(run, explanation={**run.explanation, "comparison": sides})


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A reference that a worker holds ready, for as many comparisons as come."""

    worker: Worker
    context: Context
    rows: int

    @classmethod
    def of(cls, worker: Worker, context: Context) -> Prepared:
        """Prepare the reference of a context, whose draws are those of a comparison.

        Raises
        ------
        DataError, ModelError
            If the reference or the model cannot be used.
        """
        own = replace(context, draws=DRAWS)
        info: PreparedInfo = worker.call(Prepare(own))
        return cls(worker, own, info.reference.rows)

    def compare(self, path: str, name: str = "") -> Run:
        """Judge all Parquet files at a path as one batch.

        Parameters
        ----------
        path
            Of a file or a folder, or the address of an object or a prefix.
        name
            What the report calls the files, where their paths say nothing.

        Raises
        ------
        DataError
            If there is no file.
        """
        run = self.judge(path, _files(path, self.worker))
        return _renamed(run, name) if name else run

    def judge(self, path: str, files: Sequence[Listed]) -> Run:
        """Judge files that were found at a path as one batch."""
        facts = inspected(self.worker.call, files, self.context.model.columns.time)
        # Folders called key=value below the path are columns. Where files lie is no part of what
        # the prepared reference is kept by, so it is not prepared again.
        at = replace(self.context, model=replace(self.context.model, batches=path))
        request = Check(at, _batch(facts), None, time.time(), alone=True)
        return attempt(self.worker.call, request, reference_rows=self.rows).run


def _files(path: str, worker: Worker) -> Sequence[Listed]:
    files = files_now(path, worker)
    if not files:
        raise DataError("no Parquet file found", where=path)
    return files


def _renamed(run: Run, name: str) -> Run:
    pieces = tuple(replace(piece, uri=name) for piece in run.batch.pieces)
    return replace(run, batch=replace(run.batch, pieces=pieces))


def _batch(facts: Sequence[FileFacts]) -> Batch:
    pieces = tuple(Piece(f.uri, f.size, f.sha256, 0, f.rows) for f in facts)
    fault = next((f"{f.uri}: {f.fault}" for f in facts if f.fault is not None), None)
    return Batch(batch_id(pieces), pieces, sum(f.rows for f in facts), fault=fault)
