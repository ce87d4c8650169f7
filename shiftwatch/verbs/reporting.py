"""`shiftwatch report`: the stored verdict on a batch, as a page or as JSON.

In:    settings, a model, a batch.
Out:   the text of the report, from the history alone.
Never: judges; writes to the history.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from shiftwatch.document import to_document, with_day
from shiftwatch.promise import promised
from shiftwatch.report import render_html
from shiftwatch.settings import Settings
from shiftwatch.store import Store


def reported(
    settings: Settings, model: str, batch: str | None, form: Literal["html", "json"]
) -> str | None:
    """The report of a batch, of the newest if none is named; None if there is no such.

    Raises
    ------
    ShiftwatchError
        If there is no history, or it cannot be read.
    """
    with Store.read(settings.store.path) as store:
        judged = store.run(model, batch)
        points = store.timeline(model)
        day = store.day_cost(model, judged.judged_at) if judged is not None else None
    if judged is None:
        return None
    if form == "json":
        return json.dumps(with_day(to_document(judged), day), indent=2, ensure_ascii=False)
    past = [asdict(point) | {"state": point.verdict} for point in points]
    alarms = settings.alarms
    told = promised(past, alarms.per_checks, alarms.false_alarms.per_days)
    return render_html(judged, timeline=past, promise=told, day=day)
