"""The comparisons that operators ask for: planned at once, made one after the other, kept.

In:    questions from the thread pool of the web.
Out:   how far each is; their documents.
Never: makes one in a request; makes the same twice; forgets over a restart what was asked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Protocol

from shiftwatch.comparison import Plan
from shiftwatch.errors import ShiftwatchError, WorkerError
from shiftwatch.progress import Listener, Progress
from shiftwatch.sides import Side
from shiftwatch.store import AskedRow, Store
from shiftwatch.values import Run

_LOG = logging.getLogger(__name__)

_MOST_WAITING = 50
"""Comparisons that may wait for their turn; more are refused, so asking costs no memory."""

_MOST_PLANNING = 4
"""Requests that may wait for a plan, each in a thread of the web's."""


class Maker(Protocol):
    """What makes a comparison; the monitor."""

    def plan_comparison(self, model: str, sides: tuple[Side, Side]) -> tuple[str, Plan]:
        """What is held against what, and the id of its content under the settings in force."""
        ...

    def compare(self, planned: Plan, listener: Listener) -> Run:
        """Make it, telling how far it is."""
        ...


class Comparisons:
    """See the card of this module.

    Parameters
    ----------
    store
        Open history.
    clock
        Unix seconds UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._planning = threading.Lock()
        self._planners = threading.BoundedSemaphore(_MOST_PLANNING)
        self._states: dict[tuple[str, str], dict[str, Any]] = {}
        """Those that wait or are being made."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="comparison")
        store.interrupt_asked()

    def ask(self, maker: Maker, model: str, current: Side, reference: Side) -> Mapping[str, Any]:
        """Plan a comparison, and queue it unless it is there, or on its way.

        Raises
        ------
        DataError
            If it cannot be made of what is there.
        WorkerError
            If too many wait.
        """
        with self._turn():
            identity, planned = maker.plan_comparison(model, (current, reference))
            with self._lock:
                known = self._known(model, identity)
                if known is not None and known["status"] != "failed":
                    return dict(known)
                if len(self._states) >= _MOST_WAITING:
                    what = f"{len(self._states)} comparisons wait already"
                    raise WorkerError(what, hint="ask again later")
                row = _row(identity, planned, self._clock())
                self._store.note_asked(row)
                state = asdict(row) | {"progress": None}
                self._states[model, identity] = state
                told = dict(state)
            self._pool.submit(self._work, maker, planned, row)
        return told

    def state(self, model: str, identity: str) -> Mapping[str, Any] | None:
        """How far a comparison is; None if it was never asked for, or is forgotten."""
        with self._lock:
            known = self._known(model, identity)
            return None if known is None else dict(known)

    def document(self, model: str, identity: str) -> dict[str, Any] | None:
        """Its report; None as long as there is none."""
        return self._store.comparison(model, identity)

    def made(self, model: str, *, limit: int, before: int | None) -> Sequence[Mapping[str, Any]]:
        """Those that were made, the newest first, with ``seq`` below ``before``."""
        return [asdict(row) for row in self._store.comparisons(model, limit, before)]

    def others(self, model: str) -> Sequence[Mapping[str, Any]]:
        """Those that wait, are being made, or could not be made, the newest first."""
        rows = self._store.asked(model)
        with self._lock:
            return [dict(self._states.get((model, row.id)) or asdict(row)) for row in rows]

    def close(self) -> None:
        """Forget those that wait, and wait for the one at hand."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- inside ----------------------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One plan at a time: each may start a worker. Few wait, so that requests have threads."""
        if not self._planners.acquire(blocking=False):
            raise WorkerError(
                f"{_MOST_PLANNING} comparisons are being planned", hint="ask again later"
            )
        try:
            with self._planning:
                yield
        finally:
            self._planners.release()

    def _known(self, model: str, identity: str) -> Mapping[str, Any] | None:
        state = self._states.get((model, identity))
        if state is not None:
            return state
        document = self._store.comparison(model, identity)
        if document is not None:
            sides = document["explanation"]["comparison"]
            told = {key: sides[key] for key in ("reference", "current", "left_out")}
            return {"id": identity, "model": model, "status": "done", "progress": None} | told
        return next((asdict(r) for r in self._store.asked(model) if r.id == identity), None)

    def _work(self, maker: Maker, planned: Plan, row: AskedRow) -> None:
        key = row.model, row.id
        self._note(key, status="running")

        def heard(progress: Progress) -> None:
            share = progress.done / progress.total if progress.total > 0 else 0.0
            told = {"what": progress.what, "share": round(min(1.0, share), 3)}
            self._note(key, progress=told)

        detail: str | None = "internal error, see the log"
        try:
            run = maker.compare(planned, heard)
            self._store.note_comparison(row.id, run)
            detail = None
        except ShiftwatchError as fault:
            detail = str(fault)
        except Exception:
            extra = {"comparison": row.id, "model": row.model}
            _LOG.exception("comparison failed", extra=extra)
            raise
        finally:
            self._end(row, detail)

    def _note(self, key: tuple[str, str], **changes: Any) -> None:
        with self._lock:
            self._states[key] |= changes

    def _end(self, row: AskedRow, detail: str | None) -> None:
        """Leave what became of it to the history."""
        try:
            if detail is not None:
                self._store.note_asked(replace(row, status="failed", detail=detail))
        finally:
            with self._lock:
                del self._states[row.model, row.id]


def _row(identity: str, planned: Plan, at: float) -> AskedRow:
    names = planned.names
    return AskedRow(identity, planned.model, at, "queued", names[0], names[1], planned.left_out)
