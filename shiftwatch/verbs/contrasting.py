"""`shiftwatch report --against`: stored batches or files held against others.

In:    settings, a model, two sides.
Out:   the text of the report in any format.
Never: writes to the history; is imported for a report that is only read.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from shiftwatch import config, pairing
from shiftwatch.document import to_document
from shiftwatch.look import reach_of
from shiftwatch.progress import Listener
from shiftwatch.report import Format
from shiftwatch.reports import Archive
from shiftwatch.settings import Settings
from shiftwatch.sides import Side
from shiftwatch.store import Store
from shiftwatch.verbs.reporting import written
from shiftwatch.watched import restored
from shiftwatch.worker import Worker


def contrasted(
    settings: Settings, model: str, sides: tuple[Side, Side], form: Format, listener: Listener
) -> str:
    """The report on batches or files (the first side) held against the second.

    Raises
    ------
    ShiftwatchError
        If there is no history, a batch or file is unknown, or rows are gone or changed.
    """
    (own,) = (each for each in settings.models if each.name == model)
    with (
        Store.read(settings.store.path) as store,
        Worker(settings.limits, listener, reach_of(settings)) as worker,
        tempfile.TemporaryDirectory(prefix="shiftwatch-") as folder,
    ):
        watched = restored(store, settings, own, config.fingerprint(settings, own))
        # Another process may hold the cache; rows that stand in must not lie beside the history.
        context = replace(watched.context, cache=str(Path(folder) / "references"))
        planned = pairing.planned(store, context, sides, worker.call, pairing.Bases())
        run = pairing.compared(planned, context, worker.call, watched.past, time.time())
        return written(Archive(store, settings.alarms).report(to_document(run), form), form)
