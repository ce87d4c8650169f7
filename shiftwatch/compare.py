"""Two files or folders against each other, once, without a daemon.

In:    paths and settings.
Out:   a Run.
Never: keeps anything on disk beyond the call.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from shiftwatch.attempt import attempt
from shiftwatch.errors import DataError
from shiftwatch.requests import Check, Context, Inspect, Prepare, PreparedInfo
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, FileFacts, Piece, Run
from shiftwatch.worker import Worker


def compare_files(settings: ModelSettings, *, alarms: AlarmSettings, seed: int = 0) -> Run:
    """Judge everything below ``settings.batches`` as one batch, against the reference.

    Raises
    ------
    DataError
        If either side cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="shiftwatch-") as folder,
        Worker(LimitSettings()) as worker,
    ):
        context = Context(settings, alarms, seed, str(Path(folder)), "")
        listed = list_folder(settings.batches)
        if not listed:
            raise DataError("no Parquet file found", where=settings.batches)
        facts: Sequence[FileFacts] = worker.call(Inspect(listed, settings.columns.time))
        info: PreparedInfo = worker.call(Prepare(context))
        request = Check(context, _batch(facts), None, time.time(), alone=True)
        return attempt(worker.call, request, reference_rows=info.reference.rows).run


def _batch(facts: Sequence[FileFacts]) -> Batch:
    pieces = tuple(Piece(f.uri, f.size, f.sha256, 0, f.rows) for f in facts)
    fault = next((f"{f.uri}: {f.fault}" for f in facts if f.fault is not None), None)
    return Batch(batch_id(pieces), pieces, sum(f.rows for f in facts), fault=fault)
