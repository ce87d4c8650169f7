"""What the daemon answers to the web: stored verdicts, reports, jobs.

In:    questions from the thread pool.
Out:   answers from the store and the snapshot.
Never: runs a test in a request; a job goes to a worker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, Protocol
from uuid import uuid4

from shiftwatch import config, pairing
from shiftwatch.acceptance import Span
from shiftwatch.annotation import Draft, Remark, checked
from shiftwatch.collect import watched_settings
from shiftwatch.comparisons import Comparisons
from shiftwatch.document import to_document
from shiftwatch.errors import ShiftwatchError, WorkerError
from shiftwatch.look import confined
from shiftwatch.monitor import Monitor
from shiftwatch.report import Format
from shiftwatch.reports import Archive, found, timeline
from shiftwatch.settings import Settings
from shiftwatch.sides import Side
from shiftwatch.status import Around, Snapshot
from shiftwatch.store import Store
from shiftwatch.values import Acceptance, Annotation, Run, Verdict

_LOG = logging.getLogger(__name__)

_MOST_JOBS = 50
"""Jobs and on-demand reports remembered; the oldest is forgotten first."""

_MOST_WAITING = 200
"""Jobs that may wait for their turn; more are refused, so asking costs no memory."""


class Steward(Protocol):
    """What the desk asks of the daemon."""

    @property
    def monitor(self) -> Monitor:
        """The monitor in force."""
        ...

    def request_step(self, model: str) -> None:
        """Look for due batches of a model now and wait for the end of it."""
        ...

    def reload(self) -> None:
        """Put the configuration file in force."""
        ...

    def accept(self, model: str, span: Span, remark: Remark) -> Acceptance:
        """Take batches as the new reference of a model."""
        ...

    def undo_acceptance(self, model: str, remark: Remark) -> Acceptance:
        """Return to the configured reference of a model."""
        ...


class Desk:
    """The board of the web application; see ``web.Board``.

    Parameters
    ----------
    store
        Open store.
    settings
        The configuration in force; replaced on reload.
    steward
        The daemon.
    clock
        Unix seconds UTC.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        steward: Steward,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._store = store
        self._steward = steward
        self._clock = clock
        self._said = store.annotations_to_come(clock())
        """Words that are in force or will be, for the snapshot; changed under ``_speaking``."""
        self._speaking = threading.Lock()
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[str, Any]] = {}
        self._runs: dict[tuple[str, str], Run] = {}
        pairing.sweep(settings.store.path)
        self._comparisons = Comparisons(store, clock)
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._reload: tuple[bool, float | None] = (True, None)
        self.around: Callable[[], Around] = Around
        """What happened around the models until now."""

    def snapshot(self) -> Snapshot:
        """What is known now."""
        successful, at = self._reload
        now = self._clock()
        spoken = tuple(word for word in self._said if word.in_force(now))
        told, around = self._steward.monitor.snapshot, replace(self.around(), words=spoken)
        return replace(told, reload_successful=successful, reload_at=at, around=around)

    def note_reload(self, *, successful: bool, at: float) -> None:
        """Remember how the last reload ended; the time is that of the last success."""
        self._reload = (successful, at if successful else self._reload[1])

    def runs(
        self,
        model: str,
        *,
        limit: int,
        before: int | None,
        verdict: Verdict | None,
        during: tuple[float | None, float | None] = (None, None),
    ) -> Sequence[Mapping[str, Any]]:
        """Stored verdicts, newest first."""
        rows = self._store.runs(model, limit=limit, before=before, verdict=verdict, during=during)
        return [asdict(row) | {"state": row.verdict} for row in rows]

    def report(self, model: str, batch: str | None, form: Format) -> str | None:
        """The report of a batch in a format."""
        run = self._on_demand(model, batch)
        document = found(self._store, model, batch) if run is None else to_document(run)
        if document is None:
            return None
        return Archive(self._store, self.settings.alarms, linked=True).report(document, form)

    def judges(self, batch: str) -> list[str]:
        """The models that have a stored verdict on a batch."""
        names = [model.name for model in self.settings.models]
        return [name for name in names if self._store.has_run(name, batch)]

    def timeline(self, model: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest verdicts."""
        return timeline(self._store, model, limit)

    def effective_config(self) -> Mapping[str, Any]:
        """The configuration in force, secrets masked."""
        return config.effective(self.settings)

    def reload(self) -> None:
        """Read the configuration again."""
        self._steward.reload()

    def acceptances(self, model: str) -> Sequence[Mapping[str, Any]]:
        """What was said on the reference of a model, newest first."""
        return [asdict(word) for word in self._store.acceptances(model)]

    def accept(
        self, model: str, *, first: str | None, last: str | None, remark: Remark
    ) -> Mapping[str, Any]:
        """Take batches as the new reference."""
        word = self._steward.accept(model, Span(first, last), remark)
        _LOG.warning("accepted as the new normal", extra=asdict(word))
        return asdict(word)

    def undo_acceptance(self, model: str, remark: Remark) -> Mapping[str, Any]:
        """Return to the configured reference."""
        word = self._steward.undo_acceptance(model, remark)
        _LOG.warning("returned to the configured reference", extra=asdict(word))
        return asdict(word)

    def annotations(
        self,
        model: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        in_force_at: float | None = None,
    ) -> Sequence[Annotation]:
        """What operators have said of a model, the newest first."""
        return self._store.annotations(model, limit=limit, before=before, in_force_at=in_force_at)

    def annotate(self, model: str, draft: Draft, by: str) -> Annotation:
        """Keep what an operator says of a stretch of time."""
        now = self._now()
        with self._speaking:
            word = self._store.note_annotation(model, checked(draft, now), by, now)
            self._said = (word, *self._said)
        _LOG.warning("annotated", extra=asdict(word))
        return word

    def end_annotation(self, model: str, number: int, by: str) -> Annotation | None:
        """Take a word back."""
        with self._speaking:
            word = self._store.end_annotation(model, number, by, self._now())
            self._said = tuple(each for each in self._said if each.id != number or word is None)
        if word is not None:
            _LOG.warning("annotation ended", extra=asdict(word))
        return word

    @property
    def comparisons(self) -> Comparisons:
        """Those that were made, and how far others are."""
        return self._comparisons

    def compare(self, model: str, current: Side, reference: Side) -> Mapping[str, Any]:
        """Queue a comparison, unless it is there."""
        return self._comparisons.ask(self._steward.monitor, model, current, reference)

    def comparison_report(self, model: str, identity: str, form: Format) -> str | None:
        """The report of a comparison."""
        document = self._comparisons.document(model, identity)
        if document is None:
            return None
        return Archive(self._store, self.settings.alarms, linked=True).report(document, form)

    def clock(self) -> float:
        """Unix seconds UTC."""
        return self._clock()

    def _now(self) -> float:
        return round(self._clock(), 6)

    def request_check(self, model: str, path: str | None) -> str:
        """Queue a look for due batches, or a report on one file."""
        if path is not None:
            told = next(m for m in self.settings.models if m.name == model)
            folder = watched_settings(told, self.settings.store.path).batches
            confined(folder, path)  # refuse before anything is queued
        job = uuid4().hex[:16]
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                raise WorkerError(f"{self._waiting} checks wait already", hint="ask again later")
            self._waiting += 1
            self._jobs[job] = {"id": job, "model": model, "status": "queued", "report": None}
            for old in list(self._jobs)[:-_MOST_JOBS]:
                del self._jobs[old]
        self._pool.submit(self._work, job, model, path)
        return job

    def job(self, job: str) -> Mapping[str, Any] | None:
        """State of a job."""
        with self._lock:
            return dict(self._jobs[job]) if job in self._jobs else None

    def close(self) -> None:
        """Forget queued jobs and wait for the one at hand."""
        self._comparisons.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, job: str, model: str, path: str | None) -> None:
        self._note(job, status="running")
        outcome: dict[str, Any] = {"status": "failed", "detail": "internal error, see the log"}
        try:
            report = f"/api/v1/models/{model}/report{self._do(model, path)}"
            outcome = {"status": "done", "report": report}
        except ShiftwatchError as fault:
            outcome = {"status": "failed", "detail": str(fault)}
        except Exception:
            _LOG.exception("job failed", extra={"job": job, "model": model})
            raise
        finally:
            self._note(job, **outcome)
            with self._lock:
                self._waiting -= 1

    def _do(self, model: str, path: str | None) -> str:
        """Query that selects the report of what was done."""
        if path is None:
            self._steward.request_step(model)
            return ""
        run = self._steward.monitor.check_file(model, path)
        self._keep(model, run)
        return f"?batch={run.batch.id}"

    def _note(self, job: str, **changes: Any) -> None:
        with self._lock:
            if job in self._jobs:
                self._jobs[job] |= changes

    def _keep(self, model: str, run: Run) -> None:
        with self._lock:
            self._runs[model, run.batch.id] = run
            for old in list(self._runs)[:-_MOST_JOBS]:
                del self._runs[old]

    def _on_demand(self, model: str, batch: str | None) -> Run | None:
        """A report made on demand; a stored verdict of the same bytes comes first."""
        if batch is None or self._store.has_run(model, batch):
            return None
        with self._lock:
            return self._runs.get((model, batch))
