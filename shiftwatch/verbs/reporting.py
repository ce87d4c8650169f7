"""`shiftwatch report`: the stored verdict on a batch, in any format.

In:    settings, a model, a batch.
Out:   the text of the report, from the history alone.
Never: judges; writes to the history.
"""

from __future__ import annotations

import json

from shiftwatch.report import Format
from shiftwatch.reports import Archive, found
from shiftwatch.settings import Settings
from shiftwatch.store import Store


def reported(settings: Settings, model: str, batch: str | None, form: Format) -> str | None:
    """The report of a batch, of the newest if none is named; None if there is no such.

    Raises
    ------
    ShiftwatchError
        If there is no history, or it cannot be read.
    """
    with Store.read(settings.store.path) as store:
        document = found(store, model, batch)
        if document is None:
            return None
        return written(Archive(store, settings.alarms).report(document, form), form)


def written(text: str, form: Format) -> str:
    """The text as a person or a shell takes it: JSON is laid out."""
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if form == "json" else text
