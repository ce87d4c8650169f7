"""The comparisons that operators ask for: planned at once, made one after the other, kept.

In:    questions from the thread pool of the web.
Out:   how far each is; their documents.
Never: makes one in a request; makes the same twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol

from shiftwatch.comparison import Plan, Side, plan
from shiftwatch.errors import ShiftwatchError, WorkerError
from shiftwatch.progress import Listener, Progress
from shiftwatch.store import Store
from shiftwatch.values import Run

_LOG = logging.getLogger(__name__)

_MOST_WAITING = 50
"""Comparisons that may wait for their turn; more are refused, so asking costs no memory."""

_MOST_REMEMBERED = 200
"""States of comparisons in memory; those that were made are in the history as well."""


class Maker(Protocol):
    """What makes a comparison; the monitor."""

    def comparison_id(self, planned: Plan) -> str:
        """Id of its content under the configuration in force."""
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
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._states: dict[tuple[str, str], dict[str, Any]] = {}
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="comparison")

    def ask(self, maker: Maker, model: str, current: Side, reference: Side) -> Mapping[str, Any]:
        """Plan a comparison, and queue it unless it is there, or on its way.

        Raises
        ------
        DataError
            If it cannot be made of what is stored.
        WorkerError
            If too many wait.
        """
        planned = plan(self._store, model, current, reference)
        identity = maker.comparison_id(planned)
        with self._lock:
            known = self._known(model, identity)
            if known is not None and known["status"] != "failed":
                return dict(known)
            if self._waiting >= _MOST_WAITING:
                raise WorkerError(
                    f"{self._waiting} comparisons wait already", hint="ask again later"
                )
            self._waiting += 1
            state = _state(identity, planned, "queued")
            self._remember(model, identity, state)
        self._pool.submit(self._work, maker, planned, identity)
        return dict(state)

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

    def close(self) -> None:
        """Forget those that wait, and wait for the one at hand."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- inside ----------------------------------------------------------------------------

    def _known(self, model: str, identity: str) -> Mapping[str, Any] | None:
        state = self._states.get((model, identity))
        if state is not None and state["status"] != "done":
            return state
        document = self._store.comparison(model, identity)
        if document is None:
            return None
        sides = document["explanation"]["comparison"]
        told = {key: sides[key] for key in ("reference", "current", "left_out")}
        return {"id": identity, "model": model, "status": "done", "progress": None} | told

    def _remember(self, model: str, identity: str, state: dict[str, Any]) -> None:
        self._states.pop((model, identity), None)
        self._states[model, identity] = state
        ended = [key for key, told in self._states.items() if told["status"] in ("done", "failed")]
        for key in ended[: max(0, len(self._states) - _MOST_REMEMBERED)]:
            del self._states[key]

    def _note(self, planned: Plan, identity: str, **changes: Any) -> None:
        with self._lock:
            state = self._states.get((planned.model, identity))
            if state is not None:
                state |= changes

    def _work(self, maker: Maker, planned: Plan, identity: str) -> None:
        outcome: dict[str, Any] = {"status": "failed", "detail": "internal error, see the log"}
        self._note(planned, identity, status="running")

        def heard(progress: Progress) -> None:
            share = progress.done / progress.total if progress.total > 0 else 0.0
            told = {"what": progress.what, "share": round(min(1.0, share), 3)}
            self._note(planned, identity, progress=told)

        try:
            run = maker.compare(planned, heard)
            self._store.note_comparison(identity, run)
            outcome = {"status": "done", "progress": None}
        except ShiftwatchError as fault:
            outcome = {"status": "failed", "detail": str(fault), "progress": None}
        except Exception:
            extra = {"comparison": identity, "model": planned.model}
            _LOG.exception("comparison failed", extra=extra)
            raise
        finally:
            self._note(planned, identity, **outcome)
            with self._lock:
                self._waiting -= 1


def _state(identity: str, planned: Plan, status: str) -> dict[str, Any]:
    return {
        "id": identity,
        "model": planned.model,
        "status": status,
        "progress": None,
        "reference": planned.names[0],
        "current": planned.names[1],
        "left_out": planned.left_out,
    }
