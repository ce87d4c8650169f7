"""One step: find what is due, have it judged, store it, show it. Runs in the daemon.

In:    settings, the store, a clock, a worker.
Out:   runs in the store, and an immutable snapshot swapped after each.
Never: reads rows; carries meaning in a timer: what is due is derived from the store.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from shiftwatch import __version__, acceptance, backlog, intake, pairing
from shiftwatch.acceptance import Span
from shiftwatch.annotation import Remark
from shiftwatch.attempt import Call, GivenUpError, attempt, failed, inspected
from shiftwatch.budget import REMEMBERED, Spent
from shiftwatch.comparison import Plan
from shiftwatch.errors import DataError, ShiftwatchError, WorkerError
from shiftwatch.insist import insisting
from shiftwatch.look import alone, confined, files_now, only, reach_of
from shiftwatch.progress import Listener
from shiftwatch.requests import Check, List, Prepare, PreparedInfo
from shiftwatch.settings import ModelSettings, Settings
from shiftwatch.sides import Side
from shiftwatch.source.plan import Cursor, acceptable, advance, late_rows
from shiftwatch.status import Counts, Snapshot
from shiftwatch.store import AcceptedFile, Store
from shiftwatch.values import Acceptance, Batch, Listed, Run
from shiftwatch.watched import STATES, Watched, restored, state_now, with_broken
from shiftwatch.worker import Worker

_LOG = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - not a fault
    """The daemon is going down; the batch at hand will be judged after the restart."""


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
        self._bases = pairing.Bases()
        self._workers: list[Worker] = []
        self._set_aside = store.set_aside
        self._departed = Counts()
        self._watched = {
            model.name: self._watch(model, fingerprints[model.name]) for model in settings.models
        }
        self._snapshot = self._drawn(ready=True, checkpoint_at=None)

    def inherit(self, before: Monitor) -> None:
        """Go on where the monitor of the configuration before stands.

        A model of which nothing has changed keeps what is known of it, its prepared reference
        included; one of which something has keeps its counters, which must not begin anew while the
        process lives. One that is gone leaves its share of the sums over all models.
        """
        self._departed = before._departed
        for gone in before._watched.keys() - self._watched.keys():
            left = before._watched[gone].tally.counts()
            self._departed = self._departed.costs_with(left)
        for name, watched in self._watched.items():
            known = before._watched.get(name)
            if known is not None and known.same_as(watched):
                self._watched[name] = known
            elif known is not None:
                watched.tally = known.tally
                watched.status = replace(watched.status, counts=known.tally.counts())
        self._bases = before._bases
        self._workers = before._workers  # so that stop() also ends a check that began before
        self._snapshot = self._drawn(ready=True, checkpoint_at=before.snapshot.checkpoint_at)

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
        DataError
            If one of ``models`` is not watched any more.
        """
        self._set_aside = self._store.set_aside
        with self._hired() as worker:
            for name in models if models is not None else tuple(self._watched):
                if self._stopping:
                    raise Stopped
                yield from self._step_model(self._of(name), worker)

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
        watched = self._of(model)
        place = confined(watched.settings.batches, path)
        with self._hired() as worker:
            ask = insisting(worker.call, watched.tally.add_death)
            listed = place if isinstance(place, Listed) else only(ask(List(place)), place)
            (facts,) = inspected(ask, (listed,), watched.settings.columns.time)
            batch = alone(facts)
            request = Check(watched.context, batch, None, self._clock(), alone=True)
            return attempt(ask, request, watched.past, watched.reference_rows).run

    def plan_comparison(self, model: str, sides: tuple[Side, Side]) -> tuple[str, Plan]:
        """What is to be held against what, the current side first, and the id of its content.

        Raises
        ------
        ShiftwatchError
            If it cannot be made of what is there.
        """
        watched = self._of(model)
        with self._hired() as worker:  # starts when it is first asked
            ask = insisting(worker.call, watched.tally.add_death)
            found = pairing.planned(self._store, watched.context, sides, ask, self._bases)
        return found.id(watched.context), found

    def compare(self, planned: Plan, listener: Listener) -> Run:
        """Hold one side against the other; it enters no history.

        Raises
        ------
        ShiftwatchError
            If rows are gone or changed, or the worker fails.
        """
        watched = self._of(planned.model)
        with self._hired(listener) as worker:
            ask = insisting(worker.call, watched.tally.add_death)
            try:
                return pairing.compared(planned, watched.context, ask, watched.past, self._now())
            except WorkerError as fault:
                if not self._stopping:
                    raise
                raise WorkerError(
                    "the daemon ended before it was made", hint="ask again"
                ) from fault

    def accept(self, model: str, span: Span, remark: Remark) -> Acceptance:
        """Take the rows of judged batches as the reference from now on.

        Raises
        ------
        DataError
            If the batches are not such as can be accepted, or their rows cannot be read.
        """
        watched = self._of(model)
        proposal = acceptance.propose(self._store, model, span)
        with self._hired() as worker:
            ask = insisting(worker.call, watched.tally.add_death)
            now = round(self._clock(), 6)
            word = acceptance.accepted(proposal, watched.context, remark, ask, now)
        return self._said(watched, word)

    def undo_acceptance(self, model: str, remark: Remark) -> Acceptance:
        """Return to the configured reference; DataError if it is in force already."""
        word = acceptance.undone(self._store, model, remark, round(self._clock(), 6))
        return self._said(self._of(model), word)

    def _said(self, watched: Watched, word: Acceptance) -> Acceptance:
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
    def _hired(self, listener: Listener | None = None) -> Iterator[Worker]:
        """A worker that :meth:`stop` knows."""
        heard = listener or self._listener
        with Worker(self._settings.limits, heard, reach_of(self._settings)) as worker:
            self._workers.append(worker)
            try:
                if self._stopping:
                    worker.kill()
                yield worker
            finally:
                self._workers.remove(worker)

    def _of(self, model: str) -> Watched:
        """One that is watched; what was asked of it may have waited until it was not any more."""
        try:
            return self._watched[model]
        except KeyError:
            raise DataError(f"no model is called {model!r} any more", where=model) from None

    # --- one model -------------------------------------------------------------------------

    def _watch(self, model: ModelSettings, fingerprint: str) -> Watched:
        """Restored from the store, so a restart never resolves an alert."""
        return restored(self._store, self._settings, model, fingerprint)

    def _step_model(self, watched: Watched, worker: Worker) -> Iterator[Run]:
        """One model's share of a step; what goes wrong here stays with this model."""
        ask = insisting(worker.call, watched.tally.add_death)
        try:
            self._prepare(watched, ask)
            self._collect(watched, ask)
            self._accept(watched, ask)
            self._show(watched, fault=None, monitor_state=state_now(watched.status, self._now()))
            yield from self._work_off(watched, ask)
            self._show(watched, fault=watched.looking.fault)
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

    def _prepare(self, watched: Watched, ask: Call) -> None:
        """Load the model and the reference when they are first needed, or have changed."""
        if watched.status.reference is None:
            info: PreparedInfo = ask(Prepare(watched.context))
            self._show(watched, reference=info.reference, model=info.model, tests=info.tests)

    def _collect(self, watched: Watched, ask: Call) -> None:
        """Make batches of logged requests and responses, where that is where they come from."""
        if watched.collecting is not None:
            days = self._settings.store.keep_days
            for made in watched.collecting.step(self._store, ask, self._now(), days):
                watched.tally.add_made(made)
                self._show(watched)

    def _accept(self, watched: Watched, ask: Call) -> None:
        """Put new files in order and remember them before anything is judged."""
        name, settings = watched.settings.name, watched.settings
        looking = watched.looking
        folder, whole = looking.folder(settings.batches, ask, some_wait=bool(watched.waiting))
        found = intake.look(self._store, settings, folder, self._now(), whole=whole)
        if found.due:  # looking into thousands takes a while, and they wait meanwhile
            changed = min(file.modified_ns for file in found.due) / 1e9
            behind = max(watched.status.backlog, len(found.due))
            self._show(watched, backlog=behind, oldest_at=watched.oldest_with(changed))
        looked = looking.into(found.due, settings.columns.time, ask)
        facts = [acceptable(file, settings.window) for file in looked]
        accepted, noted = intake.take_in(self._store, settings, found, facts, self._now())
        looking.settle()
        self._note_broken(watched, noted)
        time_done = backlog.reached(self._store, name).time_done if accepted else None
        for file in accepted:
            _note(watched, file, time_done)
        watched.due = watched.due or bool(accepted)

    def _now(self) -> float:
        """The time as the store keeps it."""
        return round(self._clock(), 6)

    def _note_broken(self, watched: Watched, noted: intake.Noted) -> None:
        """Remember, count and show what is broken now."""
        watched.broken = noted.known
        watched.tally.add_quarantined(entry.reason for entry in noted.fresh)
        watched.status = with_broken(watched.status, noted.known)
        self._show(watched)

    def _work_off(self, watched: Watched, ask: Call) -> Iterator[Run]:
        if not watched.due:
            self._show_waiting(watched)
            return
        cursor = backlog.reached(self._store, watched.settings.name)
        batches, seen = self._due(watched, cursor)
        waiting = watched.waiting.values()
        since = backlog.waiting_since(self._store, watched.settings.name, batches, waiting)
        for index, batch in enumerate(batches):
            if self._stopping:
                raise Stopped
            behind = len(batches) - index + len(watched.waiting)
            self._show(watched, backlog=behind, oldest_at=since[index])
            after = replace(advance(cursor, batch), judged=frozenset())
            run = self._judge(watched, ask, (batch, after))
            if run is not None:
                cursor = after
                yield run
        if not watched.broken.postponed:
            watched.due, watched.settled = False, seen
        self._show_waiting(watched)

    def _show_waiting(self, watched: Watched) -> None:
        """All is judged but broken files that are looked at again."""
        oldest = min(watched.waiting.values(), default=None)
        self._show(watched, backlog=len(watched.waiting), oldest_at=oldest)

    def _due(self, watched: Watched, cursor: Cursor) -> tuple[tuple[Batch, ...], int]:
        """Batches to judge; and up to which file nothing will be due once they are judged."""
        settings, now = watched.settings, self._now()
        if settings.window.by != "file":
            return backlog.windows_due(self._store, settings, cursor), watched.settled
        grace = settings.window.grace_seconds
        return backlog.files_due(
            self._store,
            settings,
            watched.settled,
            lambda batch: watched.broken.rests(batch, now, grace),
        )

    def _judge(self, watched: Watched, ask: Call, due: tuple[Batch, Cursor]) -> Run | None:
        """Judge a batch and store it with the state and the cursor after it.

        None where its file broke while it was read, and is looked at again before it is given up.
        """
        batch, cursor = due
        name = watched.settings.name
        stored = self._store.state(name)
        state = stored[0] if stored is not None else None
        now = self._now()
        request = Check(watched.context, batch, state, now)
        try:
            answer = attempt(ask, request, watched.past, watched.reference_rows)
        except GivenUpError as fault:
            answer = failed(fault.request, fault, fault.cost)
        except WorkerError as fault:
            if self._stopping:
                raise Stopped from fault
            answer = failed(request, fault)
        again, noted = intake.note_check(self._store, watched.settings, watched.broken, answer.run)
        if noted.known is not watched.broken:
            self._note_broken(watched, noted)
        if again:
            return None
        position = backlog.position(cursor)
        self._store.commit(answer.run, state=answer.state, cursor=position, now=now)
        watched.tally.add_run(answer.run)
        watched.past = (*watched.past, Spent.of(answer.run))[-REMEMBERED:]
        self._show_run(watched, answer.run)
        accepted = watched.context.accepted
        if accepted is not None and any(f.code == "acceptance_ended" for f in answer.run.findings):
            self._said(watched, replace(accepted, kind="ended", note="", at=now, by=""))
        return answer.run

    # --- the snapshot ----------------------------------------------------------------------

    def _show_run(self, watched: Watched, run: Run) -> None:
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
            monitor_state=STATES[run.verdict],
            day=self._store.day_cost(run.model, run.judged_at),
        )

    def _show(
        self, watched: Watched, *, checkpoint_at: float | None = None, **changes: object
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
            set_aside=self._set_aside,
            departed=self._departed,
            ready=ready,
            ready_reason="",
        )


def _note(watched: Watched, file: AcceptedFile, time_done: float | None) -> None:
    """Count files that make no batch, or not all of one."""
    if backlog.is_duplicate(file):
        _LOG.warning("duplicate", extra={"uri": file.facts.uri, "of": file.duplicate_of})
        watched.tally.add_file("duplicate")
    elif late_rows(file.facts, time_done):
        _LOG.warning("late rows", extra={"uri": file.facts.uri})
        watched.tally.add_file("late")
