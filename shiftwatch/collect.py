"""From a log of requests and responses to batches, exactly once. Light.

In:    a folder or prefix of a log, what the history knows of it, a worker.
Out:   Parquet files in a folder of ours, which the rest of the house watches like any other.
Never: opens an object (the worker does); makes a batch that is not planned in the history first.

A batch is planned, then made, then its making is noted. A crash between any two of these leaves a
plan, from which the very same file is made again; no object belongs to two plans.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from shiftwatch.attempt import Call
from shiftwatch.errors import DataError
from shiftwatch.look import Looking, parts
from shiftwatch.payload import segments
from shiftwatch.payload.plan import Counted, Made, Plan, cut
from shiftwatch.places import is_remote
from shiftwatch.requests import CountPayloads, MakePayloads
from shiftwatch.settings import ModelSettings
from shiftwatch.store import Store
from shiftwatch.values import Listed

_LOG = logging.getLogger(__name__)


def watched_settings(model: ModelSettings, store_path: str) -> ModelSettings:
    """The model as the rest of the house sees it: its batches are the files made of its log."""
    if model.source != "kserve":
        return model
    return replace(model, batches=str(_spool(store_path, model.name) / "batches"))


def _spool(store_path: str, name: str) -> Path:
    return Path(store_path).with_suffix(".payloads") / name


@dataclass(slots=True)
class Collecting:
    """The log of one model, from look to look.

    Parameters
    ----------
    model
        Its settings as configured: ``batches`` is the log.
    store_path
        The history, beside which batches lie.
    """

    model: ModelSettings
    store_path: str
    _counted: dict[Listed, Counted] = field(default_factory=dict)
    _looking: Looking = field(default_factory=Looking)

    def step(self, store: Store, ask: Call, now: float, keep_days: float) -> Iterator[Made]:
        """Make what is due, yielding what each batch came to once that is noted.

        Raises
        ------
        DataError
            If the log cannot be listed, or has files of another format and none of ours; nothing is
            lost.
        """
        settings = self.model.payloads
        (self._folder / "batches").mkdir(parents=True, exist_ok=True)
        for plan in store.unmade_payloads(self.model.name):
            yield self._make(store, ask, plan)
        pending = self._pending(store, ask)
        number, last = store.last_payloads(self.model.name)
        if not pending and not number:
            _check_format(self.model.batches)
        patience = (settings.wait_seconds, settings.join_seconds)
        while (objects := cut(pending, last, now, settings.rows, patience)) is not None:
            number += 1
            plan = Plan(self.model.name, number, now, objects)
            store.plan_payloads(plan)
            last = self._make(store, ask, plan)
            taken = frozenset(objects)
            pending = [each for each in pending if each.listed not in taken]
            yield last
            self._prune(now - keep_days * 86_400)

    @property
    def _folder(self) -> Path:
        return _spool(self.store_path, self.model.name)

    def _make(self, store: Store, ask: Call, plan: Plan) -> Made:
        folder = str(self._folder / "batches")
        made: Made = ask(MakePayloads(plan, self.model.payloads, folder))
        store.note_payloads(plan, made)
        facts = {"model": plan.model, "number": plan.number, "rows": made.rows}
        told = {**made.counts, **made.malformed}
        _LOG.info("batch of a log", extra=facts | {key: n for key, n in told.items() if n})
        self._clear(plan)
        return made

    def _clear(self, plan: Plan) -> None:
        """Take away what the plan was made of and nobody needs again: our own segments."""
        before = self._folder / "waiting" / f"{plan.number - 1:08}{segments.SUFFIX}"
        own = [Path(each.uri) for each in plan.objects if segments.is_segment(each.uri)]
        for path in (before, *own):
            path.unlink(missing_ok=True)

    def _pending(self, store: Store, ask: Call) -> Sequence[Counted]:
        """Objects of no plan, with their requests."""
        # Names of objects are random, so what is new does not sort behind what is known.
        listing, _ = self._looking.folder(self.model.batches, ask, some_wait=True)
        files = [*listing.files, *self._segments()]
        known = store.known_payloads(self.model.name, (each.uri for each in files))
        new = [each for each in files if known.get(each.uri) != each]
        # Of plans that are made, where a crash came before the end; never what was not read yet.
        for each in files:
            if known.get(each.uri) == each and segments.is_segment(each.uri):
                Path(each.uri).unlink(missing_ok=True)
        self._counted = {each: self._counted[each] for each in new if each in self._counted}
        for part in parts([each for each in new if each not in self._counted]):
            found: Sequence[Counted] = ask(CountPayloads(part))
            self._counted.update({each.listed: each for each in found})
        return [self._counted[each] for each in new]

    def _segments(self) -> Iterator[Listed]:
        """Closed segments of received events."""
        if is_remote(self.model.batches):
            return
        for path in sorted(Path(self.model.batches).glob(f"*{segments.SUFFIX}")):
            with suppress(FileNotFoundError):
                facts = path.stat()
                yield Listed(str(path), facts.st_size, facts.st_mtime_ns)

    def _prune(self, before: float) -> None:
        """Take away batches older than the history is kept."""
        for path in (self._folder / "batches").glob("*.parquet"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _check_format(log: str) -> None:
    """DataError if a folder without a Parquet file holds logs as KServe writes them by default."""
    if is_remote(log):
        return
    for ending in ("json", "csv"):
        found = next(Path(log).rglob(f"*-re*.{ending}"), None)  # ...-request, ...-response
        if found is not None:
            raise DataError(
                "is a payload log in another format than Parquet, which alone is read",
                where=str(found),
                hint="write `storage: {parameters: {format: parquet}}` into the service's logger",
            )
