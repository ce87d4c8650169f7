"""One step: find what is due, have it judged, store it, show it. Runs in the daemon.

In:    settings, the store, a clock, a worker.
Out:   runs in the store, and an immutable snapshot swapped after each.
Never: reads rows; carries meaning in a timer: what is due is derived from the store.
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from shiftwatch import __version__, acceptance
from shiftwatch.acceptance import Span
from shiftwatch.attempt import GivenUpError, attempt, failed
from shiftwatch.budget import REMEMBERED, Spent
from shiftwatch.errors import DataError, ShiftwatchError, WorkerError
from shiftwatch.look import confined, files_now, only, parts, reach_of
from shiftwatch.places import is_remote
from shiftwatch.progress import Listener
from shiftwatch.requests import Check, Context, Inspect, List, Prepare, PreparedInfo
from shiftwatch.settings import ModelSettings, Settings
from shiftwatch.source.listing import GONE, WITHHELD, list_folder, new_files
from shiftwatch.source.plan import Cursor, advance, batch_id, late_rows, order, plan
from shiftwatch.status import ModelStatus, MonitorState, Snapshot
from shiftwatch.store import AcceptedFile, Store
from shiftwatch.tally import Tally
from shiftwatch.values import Acceptance, Batch, FileFacts, Listed, Piece, Run, Verdict
from shiftwatch.worker import Worker

_LOG = logging.getLogger(__name__)

_FILES_PER_PAGE = 200
"""Accepted files looked through at a time."""

_RECENT = 50
"""Runs looked through after a restart for the newest that was not an error of ours."""

_FULL_LISTING = 12
"""Of so many looks into a store of objects one lists everything; the others only what is new."""

_STATES: Mapping[Verdict, MonitorState] = {
    "shift": "ok",
    "no_shift": "ok",
    "insufficient_data": "insufficient_data",
    "invalid_data": "invalid_data",
    "error": "error",
}


class Stopped(Exception):  # noqa: N818 - not a fault
    """The daemon is going down; the batch at hand will be judged after the restart."""


@dataclass(slots=True)
class _Watched:
    """What the monitor remembers of one model between steps."""

    settings: ModelSettings
    context: Context
    status: ModelStatus
    tally: Tally
    due: bool = True
    """False when the last plan was worked off and no file has come since."""
    waiting: dict[str, float] = field(default_factory=dict)
    """Files that may still be in the writing, and when each was first seen."""
    settled: int = 0
    """Number of an accepted file: it and all before it were judged, where a batch is a file."""
    past: tuple[Spent, ...] = ()
    """What the last checks took, the newest last: by it the next one is kept within the limit."""
    inspected: dict[Listed, FileFacts] = field(default_factory=dict)
    """Whole files that were inspected and not accepted yet, since a later one could not be."""
    withheld: str = ""
    """An object that its store lists and does not hand out."""
    looks: int = 0
    """Listings of a store of objects so far."""
    newest: str | None = None
    """The address among them that sorts last."""


class Monitor:
    """Steps over every model; one thread steps, any thread reads the snapshot.

    Parameters
    ----------
    settings
        The configuration in force.
    store
        Open for writing.
    clock
        Unix seconds, UTC.
    fingerprints
        SHA-256 of the configuration that matters, by model.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Callable[[], float],
        fingerprints: Mapping[str, str],
        listener: Listener | None = None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._store = store
        self._clock = clock
        self._stopping = False
        self._workers: list[Worker] = []
        self._watched = {
            model.name: self._watch(model, fingerprints[model.name]) for model in settings.models
        }
        self._snapshot = self._drawn(ready=True, checkpoint_at=None)

    @property
    def snapshot(self) -> Snapshot:
        """What is known now; swapped as a whole."""
        return self._snapshot

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker of the step at hand."""
        return next((worker.pid for worker in self._workers), None)

    def step(self, models: Sequence[str] | None = None) -> Generator[Run, None, None]:
        """Judge everything due, oldest first, yielding each run after it was stored.

        Parameters
        ----------
        models
            Only these; all by default.

        Raises
        ------
        Stopped
            After :meth:`stop`.
        """
        with self._hired() as worker:
            for name in models if models is not None else tuple(self._watched):
                if self._stopping:
                    raise Stopped
                yield from self._step_model(self._watched[name], worker)

    def stop(self) -> None:
        """End every step and check at hand; called from another thread. Nothing half-done stays."""
        self._stopping = True
        for worker in tuple(self._workers):
            worker.kill()

    def check_file(self, model: str, path: str) -> Run:
        """Judge one file by itself; it enters no history.

        Raises
        ------
        DataError
            If the path lies outside the model's batches, or is not a readable file.
        """
        watched = self._watched[model]
        place = confined(watched.settings.batches, path)
        with self._hired() as worker:
            listed = place if isinstance(place, Listed) else only(worker.call(List(place)), place)
            (facts,) = worker.call(Inspect((listed,), watched.settings.columns.time))
            piece = Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows)
            batch = Batch(
                batch_id((piece,)),
                (piece,),
                facts.rows,
                facts.time_min,
                facts.time_max,
                facts.fault,
            )
            request = Check(watched.context, batch, None, self._clock(), alone=True)
            return attempt(worker.call, request, watched.past, _reference_rows(watched)).run

    def accept(self, model: str, span: Span, note: str) -> Acceptance:
        """Take the rows of judged batches as the reference from now on.

        Raises
        ------
        DataError
            If the batches are not such as can be accepted, or their rows cannot be read.
        """
        watched = self._watched[model]
        proposal = acceptance.propose(self._store, model, span)
        with self._hired() as worker:
            word = acceptance.accepted(
                proposal, watched.context, note, worker.call, round(self._clock(), 6)
            )
        return self._said(watched, word)

    def undo_acceptance(self, model: str, note: str) -> Acceptance:
        """Return to the configured reference; DataError if it is in force already."""
        word = acceptance.undone(self._store, model, note, round(self._clock(), 6))
        return self._said(self._watched[model], word)

    def _said(self, watched: _Watched, word: Acceptance) -> Acceptance:
        """Keep a word on the reference, and go by it from the next batch on."""
        self._store.note_acceptance(word)
        accepted = word if word.kind == "accepted" else None
        watched.context = replace(watched.context, accepted=accepted)
        self._show(watched, reference=None)  # the next step prepares and shows the new one
        return word

    def present_files(self) -> Mapping[str, frozenset[str]]:
        """Files now in each model's folder: what the store must not forget."""
        present = {}
        with self._hired() as worker:
            for name, watched in self._watched.items():
                # A folder that cannot be listed loses nothing from the store.
                with suppress(DataError, WorkerError):
                    files = files_now(watched.settings.batches, worker, complete=True)
                    present[name] = frozenset(file.uri for file in files)
        return present

    @contextmanager
    def _hired(self) -> Iterator[Worker]:
        """A worker that :meth:`stop` knows."""
        with Worker(self._settings.limits, self._listener, reach_of(self._settings)) as worker:
            self._workers.append(worker)
            try:
                if self._stopping:
                    worker.kill()
                yield worker
            finally:
                self._workers.remove(worker)

    # --- one model -------------------------------------------------------------------------

    def _watch(self, model: ModelSettings, fingerprint: str) -> _Watched:
        """Restored from the store, so a restart never resolves an alert."""
        last = self._store.run(model.name)
        rows = self._store.runs(model.name, limit=_RECENT)
        processed = (row.judged_at for row in rows if row.verdict != "error")
        status = ModelStatus(
            name=model.name,
            tests=(),
            monitor_state=_state_of(last),
            last_run=last,
            last_processed_at=next(processed, None),
            backlog=0,
            day=self._store.day_cost(model.name, last.judged_at) if last is not None else None,
        )
        cache = str(Path(self._settings.store.path).with_suffix(".references"))
        context = Context(
            model,
            self._settings.alarms,
            self._settings.seed,
            cache,
            fingerprint,
            self._settings.limits,
            self._store.acceptance(model.name),
        )
        past = self._store.spent(model.name, REMEMBERED)
        return _Watched(model, context, status, Tally(), past=past)

    def _step_model(self, watched: _Watched, worker: Worker) -> Iterator[Run]:
        """One model's share of a step; what goes wrong here stays with this model."""
        try:
            self._prepare(watched, worker)
            self._accept(watched, worker)
            self._show(watched, fault=None, monitor_state=_state_of(watched.status.last_run))
            yield from self._work_off(watched, worker)
            self._show(watched, fault=watched.withheld or None)
        except Stopped:
            raise
        except Exception as fault:
            if self._stopping:
                raise Stopped from fault
            expected = isinstance(fault, ShiftwatchError)
            extra = {"model": watched.settings.name, "fault": str(fault)}
            _LOG.error("step failed", extra=extra, exc_info=None if expected else fault)
            watched.due = True
            text = str(fault) if expected else f"internal error: {type(fault).__name__}: {fault}"
            self._show(watched, fault=text, monitor_state="error")

    def _prepare(self, watched: _Watched, worker: Worker) -> None:
        """Load the model and the reference when they are first needed, or have changed."""
        if watched.status.reference is None:
            info: PreparedInfo = worker.call(Prepare(watched.context))
            self._show(watched, reference=info.reference, model=info.model, tests=info.tests)

    def _accept(self, watched: _Watched, worker: Worker) -> None:
        """Put new files in order and remember them before anything is judged."""
        name = watched.settings.name
        listed = _files(watched, worker)
        known = self._store.listed_before(name, (file.uri for file in listed))
        new = new_files(listed, known)
        facts = _inspected(watched, worker, new)
        accepted = self._store.accept_files(name, order(self._complete(watched, facts)))
        watched.inspected.clear()
        time_done = self._cursor(name).time_done if accepted else None
        for file in accepted:
            _note(watched, file, time_done)
        watched.due = watched.due or bool(accepted)

    def _complete(self, watched: _Watched, facts: Sequence[FileFacts]) -> list[FileFacts]:
        """Without files that may still be in the writing; they are looked at again next time."""
        settings = watched.settings
        ready, watched.withheld = [], ""
        present = [file for file in facts if file.fault != GONE]
        for file in present:
            if not file.incomplete:
                ready.append(file)
            elif (file.fault or "").startswith(WITHHELD):
                # Counted as waiting, and asked for again: an outage is no verdict.
                watched.withheld = f"{file.uri}: {file.fault}"
            elif self._waited(watched, file) >= settings.window.grace_seconds:
                fault = f"{file.fault}, after a grace of {settings.window.grace}"
                ready.append(replace(file, fault=fault))
        seen = watched.waiting
        watched.waiting = {file.uri: seen.get(file.uri, self._clock()) for file in present}
        for file in ready:
            del watched.waiting[file.uri]
        return ready

    def _waited(self, watched: _Watched, file: FileFacts) -> float:
        """Seconds since a file changed; since it was first seen if it says it is from the future."""
        seen = watched.waiting.get(file.uri, self._clock())
        age = self._clock() - file.modified_ns / 1e9
        return age if age >= 0 else self._clock() - seen

    def _work_off(self, watched: _Watched, worker: Worker) -> Iterator[Run]:
        if not watched.due:
            self._show(watched, backlog=len(watched.waiting))
            return
        cursor = self._cursor(watched.settings.name)
        batches, seen = self._due(watched, cursor)
        for index, batch in enumerate(batches):
            if self._stopping:
                raise Stopped
            self._show(watched, backlog=len(batches) - index + len(watched.waiting))
            cursor = replace(advance(cursor, batch), judged=frozenset())
            yield self._judge(watched, worker, (batch, cursor))
        watched.due, watched.settled = False, seen
        self._show(watched, backlog=len(watched.waiting))

    def _due(self, watched: _Watched, cursor: Cursor) -> tuple[tuple[Batch, ...], int]:
        """Batches to judge; and up to which file nothing will be due once they are judged."""
        name, window = watched.settings.name, watched.settings.window
        if window.by == "file":
            return self._due_files(watched)
        files = self._store.accepted_files(name)
        counted = [file.facts for file in files if not _is_duplicate(file)]
        judged = self._store.judged_ids(name)
        return plan(counted, window, replace(cursor, judged=judged)), watched.settled

    def _due_files(self, watched: _Watched) -> tuple[tuple[Batch, ...], int]:
        """Files not judged yet, looked for a page at a time among those not looked at before.

        What it takes grows with the files since the last step, not with the history.
        """
        name, at = watched.settings.name, watched.settled
        due: dict[str, Batch] = {}
        while page := self._store.accepted_files(name, after_seq=at, limit=_FILES_PER_PAGE):
            at = page[-1].seq
            counted = {file.facts.uri: file.facts for file in page if not _is_duplicate(file)}
            batches = plan([*counted.values()], watched.settings.window, Cursor())
            judged = self._store.judged_among(name, (batch.id for batch in batches))
            left = [batch for batch in batches if batch.id not in judged]
            # A file replaced before it was judged is gone; only its new content can be read.
            newest = self._store.listed_before(name, (batch.uri for batch in left))
            due |= {
                batch.id: batch
                for batch in left
                if newest[batch.uri] == _listed(counted[batch.uri])
            }
        return tuple(due.values()), at

    def _cursor(self, name: str) -> Cursor:
        """How far judging has come, without the batches judged: they may be many."""
        stored = self._store.state(name)
        position = json.loads(stored[1]) if stored is not None else {}
        return Cursor(
            rows_done=position.get("rows_done", 0),
            time_done=position.get("time_done"),
            rows_forgotten=self._store.rows_forgotten(name),
        )

    def _judge(self, watched: _Watched, worker: Worker, due: tuple[Batch, Cursor]) -> Run:
        """Judge a batch and store it with the state and the cursor after it."""
        batch, cursor = due
        name = watched.settings.name
        stored = self._store.state(name)
        state = stored[0] if stored is not None else None
        now = round(self._clock(), 6)  # as the store keeps it
        request = Check(watched.context, batch, state, now)
        try:
            answer = attempt(worker.call, request, watched.past, _reference_rows(watched))
        except GivenUpError as fault:
            answer = failed(fault.request, fault, fault.cost)
        except WorkerError as fault:
            if self._stopping:
                raise Stopped from fault
            answer = failed(request, fault)
        position = {"rows_done": cursor.rows_done, "time_done": cursor.time_done}
        self._store.commit(answer.run, state=answer.state, cursor=json.dumps(position), now=now)
        watched.tally.add_run(answer.run)
        watched.past = (*watched.past, Spent.of(answer.run))[-REMEMBERED:]
        self._show_run(watched, answer.run)
        accepted = watched.context.accepted
        if accepted is not None and any(f.code == "acceptance_ended" for f in answer.run.findings):
            self._said(watched, replace(accepted, kind="ended", note="", at=now))
        return answer.run

    # --- the snapshot ----------------------------------------------------------------------

    def _show_run(self, watched: _Watched, run: Run) -> None:
        processed = run.judged_at if run.verdict != "error" else watched.status.last_processed_at
        known = watched.status.reference
        used = run.provenance.get("reference_sha256")
        self._show(
            watched,
            # Replaced while the daemon ran: the next step shows the new one.
            reference=None if known is not None and used not in (None, known.sha256) else known,
            checkpoint_at=run.judged_at,
            last_run=run,
            last_processed_at=processed,
            monitor_state=_STATES[run.verdict],
            day=self._store.day_cost(run.model, run.judged_at),
        )

    def _show(
        self, watched: _Watched, *, checkpoint_at: float | None = None, **changes: object
    ) -> None:
        counts = watched.tally.counts()
        watched.status = replace(watched.status, counts=counts, **changes)  # type: ignore[arg-type] # fields by name
        self._snapshot = self._drawn(
            ready=True, checkpoint_at=checkpoint_at or self._snapshot.checkpoint_at
        )

    def _drawn(self, *, ready: bool, checkpoint_at: float | None) -> Snapshot:
        return Snapshot(
            models=tuple(watched.status for watched in self._watched.values()),
            version=__version__,
            python=platform.python_version(),
            series_per_model=self._settings.limits.series_per_model,
            checkpoint_at=checkpoint_at,
            ready=ready,
            ready_reason="",
        )


def _reference_rows(watched: _Watched) -> int | None:
    reference = watched.status.reference
    return reference.rows if reference is not None else None


def _state_of(run: Run | None) -> MonitorState:
    return _STATES[run.verdict] if run is not None else "insufficient_data"


def _note(watched: _Watched, file: AcceptedFile, time_done: float | None) -> None:
    """Count files that make no batch, or not all of one."""
    if _is_duplicate(file):
        _LOG.warning("duplicate", extra={"uri": file.facts.uri, "of": file.duplicate_of})
        watched.tally.add_file("duplicate")
    elif late_rows(file.facts, time_done):
        _LOG.warning("late rows", extra={"uri": file.facts.uri})
        watched.tally.add_file("late")


def _listed(facts: FileFacts) -> Listed:
    return Listed(facts.uri, facts.size, facts.modified_ns)


def _is_duplicate(file: AcceptedFile) -> bool:
    """Whether the same rows were accepted before.

    The same bytes below another ``key=value`` folder are other rows, which the batch's id knows.
    """
    if file.duplicate_of is None:
        return False
    own = Piece(file.facts.uri, file.facts.size, file.facts.sha256, 0, file.facts.rows)
    return batch_id((own,)) == batch_id((replace(own, uri=file.duplicate_of),))


def _files(watched: _Watched, worker: Worker) -> Sequence[Listed]:
    """The files of a look; of a store only what is new, except now and then or if some wait."""
    path = watched.settings.batches
    if not is_remote(path):
        return list_folder(path)
    whole = watched.looks % _FULL_LISTING == 0 or bool(watched.waiting)
    files: Sequence[Listed] = worker.call(List(path, after=None if whole else watched.newest))
    watched.looks += 1
    watched.newest = max((file.uri for file in files), default=watched.newest)
    return files


def _inspected(watched: _Watched, worker: Worker, files: Sequence[Listed]) -> Sequence[FileFacts]:
    """Facts of files; where a store goes away meanwhile, what was read is not read again."""
    known = watched.inspected
    time_column = watched.settings.columns.time
    facts = [known[file] for file in files if file in known]
    for part in parts([file for file in files if file not in known]):
        found: Sequence[FileFacts] = worker.call(Inspect(part, time_column))
        pairs = zip(part, found, strict=True)
        known.update({listed: fact for listed, fact in pairs if not fact.incomplete})
        facts += found
    return facts
