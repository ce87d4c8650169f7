"""Two tables, files or folders against each other, once, without a daemon.

In:    paths and settings.
Out:   a Run.
Never: writes anything to disk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shiftwatch.attempt import attempt, inspected
from shiftwatch.errors import DataError
from shiftwatch.progress import Listener
from shiftwatch.requests import Check, Context, Prepare, PreparedInfo
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, FileFacts, Piece, Run
from shiftwatch.worker import Worker


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
    with Worker(LimitSettings(), listener) as worker:
        if not list_folder(settings.batches):
            raise DataError("no Parquet file found", where=settings.batches)
        return Prepared.of(worker, Context(settings, alarms, seed, "", "")).compare(
            settings.batches
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A reference that a worker holds ready, for as many comparisons as come."""

    worker: Worker
    context: Context
    rows: int

    @classmethod
    def of(cls, worker: Worker, context: Context) -> Prepared:
        """Prepare the reference of a context.

        Raises
        ------
        DataError, ModelError
            If the reference or the model cannot be used.
        """
        info: PreparedInfo = worker.call(Prepare(context))
        return cls(worker, context, info.reference.rows)

    def compare(self, path: str, name: str = "") -> Run:
        """Judge all Parquet files at a path as one batch.

        Parameters
        ----------
        path
            Of a file or a folder.
        name
            What the report calls the file, where its path says nothing.

        Raises
        ------
        DataError
            If there is no file.
        """
        listed = list_folder(path)
        if not listed:
            raise DataError("no Parquet file found", where=path)
        facts = inspected(self.worker.call, listed, self.context.model.columns.time)
        # Folders called key=value below the path are columns. Where files lie is no part of what
        # the prepared reference is kept by, so it is not prepared again.
        at = replace(self.context, model=replace(self.context.model, batches=path))
        request = Check(at, _batch(facts), None, time.time(), alone=True)
        run = attempt(self.worker.call, request, reference_rows=self.rows).run
        return _renamed(run, name) if name else run


def _renamed(run: Run, name: str) -> Run:
    pieces = tuple(replace(piece, uri=name) for piece in run.batch.pieces)
    return replace(run, batch=replace(run.batch, pieces=pieces))


def _batch(facts: Sequence[FileFacts]) -> Batch:
    pieces = tuple(Piece(f.uri, f.size, f.sha256, 0, f.rows) for f in facts)
    fault = next((f"{f.uri}: {f.fault}" for f in facts if f.fault is not None), None)
    return Batch(batch_id(pieces), pieces, sum(f.rows for f in facts), fault=fault)
