"""Two files or folders against each other, once, without a daemon.

In:    paths and settings.
Out:   a Run.
Never: writes anything to disk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

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
        context = Context(settings, alarms, seed, cache="", config_sha256="")
        listed = list_folder(settings.batches)
        if not listed:
            raise DataError("no Parquet file found", where=settings.batches)
        facts = inspected(worker.call, listed, settings.columns.time)
        info: PreparedInfo = worker.call(Prepare(context))
        request = Check(context, _batch(facts), None, time.time(), alone=True)
        return attempt(worker.call, request, reference_rows=info.reference.rows).run


def _batch(facts: Sequence[FileFacts]) -> Batch:
    pieces = tuple(Piece(f.uri, f.size, f.sha256, 0, f.rows) for f in facts)
    fault = next((f"{f.uri}: {f.fault}" for f in facts if f.fault is not None), None)
    return Batch(batch_id(pieces), pieces, sum(f.rows for f in facts), fault=fault)
