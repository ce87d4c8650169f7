"""The report of a judged batch in any format, with what only the history knows around it.

In:    a store, the document of a run, a format.
Out:   the text of the report.
Never: judges; writes to the history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shiftwatch.document import from_document, with_day
from shiftwatch.errors import DataError
from shiftwatch.price import DayCost
from shiftwatch.promise import promised
from shiftwatch.report import Format, csv_table, markdown, render_html, visible
from shiftwatch.settings import AlarmSettings
from shiftwatch.store import Store
from shiftwatch.values import Acceptance, Annotation, Run

TIMELINE = 200
"""Past verdicts that a page may draw."""

WORDS = 50
"""Words of operators that a page may draw, the newest."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the past of a run is found, and what is promised of it."""

    store: Store
    alarms: AlarmSettings
    linked: bool = False
    """Whether other reports are to be had at the address of this one."""

    def report(self, document: Mapping[str, Any], form: Format) -> str:
        """The report of a run in a format.

        Parameters
        ----------
        document
            The run as the history keeps it; JSON hands it on as it is, also what this release does
            not know.
        form
            Of ``report.FORMATS``.

        Raises
        ------
        DataError
            If the document is not of a schema this release reads.
        StoreError
            If the history cannot be read.
        """
        run = from_document(document)
        day = self.store.day_cost(run.model, run.judged_at)
        if form == "json":
            return json.dumps(with_day(document, day), ensure_ascii=False)
        if form == "csv":
            return csv_table(run)
        if form == "markdown":
            return markdown(run, day=day, words=self._words(run.model))
        return self._page(run, day)

    def _words(self, model: str) -> list[Annotation | Acceptance]:
        """The newest that were said of a model."""
        said = self.store.annotations(model, limit=WORDS)
        return [*said, *self.store.acceptances(model)]

    def _page(self, run: Run, day: DayCost | None) -> str:
        past = timeline(self.store, run.model, TIMELINE)
        told = promised(past, self.alarms.per_checks, self.alarms.false_alarms.per_days)
        words = self._words(run.model)
        return render_html(
            run, timeline=past, words=words, promise=told, linked=self.linked, day=day
        )


SHORTEST_BEGINNING = 8
"""Characters of an id that may stand for all of it."""


def found(store: Store, model: str, batch: str | None) -> dict[str, Any] | None:
    """The document of a batch, of the newest if none is named; None if there is none.

    Parameters
    ----------
    store
        The history.
    model
        Name of a model.
    batch
        Its id, or at least 8 characters that no other id begins with.

    Raises
    ------
    DataError
        If several ids begin so.
    StoreError
        If the history cannot be read.
    """
    document = store.document(model, batch)
    if document is not None or batch is None or len(batch) < SHORTEST_BEGINNING:
        return document
    ids = store.ids_like(model, batch)
    if len(ids) > 1:
        raise DataError(
            f"several batches begin with {visible(batch)[:60]}: {', '.join(map(visible, ids))}",
            where=model,
            hint="write more of it",
        )
    return store.document(model, ids[0]) if ids else None


def timeline(store: Store, model: str, limit: int) -> list[dict[str, Any]]:
    """The newest verdicts of a model, as pages draw them."""
    return [asdict(point) | {"state": point.verdict} for point in store.timeline(model, limit)]
