"""The face of the history: what the monitor, the web pages and the commands call.

In:    a path and a clock; files, runs, questions.
Out:   answers; a commit that is whole and on the disk when it returns.
Never: is opened for writing twice; lets a reader wait for the writer or the writer for a reader.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shiftwatch.annotation import Draft
from shiftwatch.budget import Spent
from shiftwatch.document import from_document, to_document
from shiftwatch.errors import StoreDamagedError, StoreError
from shiftwatch.payload.plan import Made, Plan
from shiftwatch.price import DayCost
from shiftwatch.quarantine import Broken
from shiftwatch.store import (
    broken,
    comparisons,
    migrations,
    payloads,
    reading,
    rescue,
    retention,
    sqlite,
    words,
    writing,
)
from shiftwatch.store.rows import AcceptedFile, Flip, RunRow, TimelinePoint
from shiftwatch.values import Acceptance, Annotation, Batch, FileFacts, Listed, Run


class Store:
    """A history that is open.

    Made by :meth:`open` (the daemon: one at a time, reads and writes) or :meth:`read` (anybody,
    also beside a running daemon). Methods may be called from any thread. Every method raises
    :class:`StoreError` with the message of SQLite and a hint where the disk or the file fails;
    what was stored before is then unharmed, nothing of the failed call is stored, and the store
    stays usable.

    Examples
    --------
    >>> import tempfile, time
    >>> folder = tempfile.TemporaryDirectory()
    >>> with folder as name, Store.open(f"{name}/history.db", clock=time.time) as store:
    ...     store.state("churn") is None, store.runs("churn")
    (True, ())
    """

    def __init__(
        self, path: Path, clock: Callable[[], float], writer: sqlite3.Connection | None, held: int
    ) -> None:
        self._path = path
        self._clock = clock
        self._writer = writer
        self._held = held
        self._write_lock = threading.Lock()
        self._readers = sqlite.Readers(path)

    @classmethod
    def open(cls, path: str, *, clock: Callable[[], float]) -> Self:
        """Open for writing, after a check of every page and any migration that is due.

        The folder and the file are made if they are missing. ``clock`` gives unix seconds UTC. A
        history of ours that is damaged is set aside with its name, and what can be read of it is
        taken over; :attr:`set_aside` counts these, the log names them.

        Raises
        ------
        StoreError
            If another process has it open (named), the file is another program's or does not even
            begin as ours, it was written by a newer release, or the folder cannot be written.
        """
        there = Path(path).resolve()
        _make_folder(there.parent)
        held = sqlite.lock(there)
        try:
            return cls(there, clock, _sound_writer(there), held)
        except BaseException:
            os.close(held)
            raise

    @classmethod
    def read(cls, path: str) -> Self:
        """Open for questions only; takes no lock and changes nothing.

        Raises
        ------
        StoreError
            If there is no history, it is damaged or another program's, or its version is not
            the one this release reads.
        """
        there = Path(path).resolve()
        if not there.is_file():
            raise StoreError("there is no history yet", where=str(there), hint="check `store:`")
        store = cls(there, _no_clock, None, -1)
        with store._reading() as connection:
            version = _version(connection, there)
        if version < len(migrations.MIGRATIONS):
            hint = "start `shiftwatch run` once, which brings it up to date"
            raise StoreError(f"its version is {version}, too old", where=str(there), hint=hint)
        return store

    def close(self) -> None:
        """Close every connection and give up the lock; closing twice is harmless."""
        self._readers.close()
        with self._write_lock, sqlite.worded(self._path):
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                os.close(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The file, with links resolved."""
        return str(self._path)

    @property
    def set_aside(self) -> int:
        """Damaged histories that lie beside this one and nobody has taken away yet."""
        return len(rescue.set_aside_before(self._path))

    # --- files -----------------------------------------------------------------------------

    def accept_files(
        self,
        model: str,
        facts: Sequence[FileFacts],
        *,
        noted: Iterable[Broken] = (),
        whole: Iterable[str] = (),
    ) -> tuple[AcceptedFile, ...]:
        """Append files in this order, all or none; one answer for each.

        Where the newest content of a uri is the same but for size and times, its row is updated
        and its old ``seq`` answered; changed content is a new row. Bytes accepted before under
        another uri are marked ``duplicate_of`` it, unless the file was faulty or incomplete.

        With them entries of broken files are written, and those of ``whole`` uris end: a file that
        is given up is accepted and put into quarantine at once, or neither.
        """
        now = self._clock()
        with self._writing() as connection:
            broken.note(connection, model, noted, whole)
            return tuple(writing.accept_file(connection, model, file, now) for file in facts)

    def known_files(self, model: str) -> Mapping[str, Listed]:
        """By uri, the newest accepted listing: what is equal to it has not changed."""
        with self._reading() as connection:
            return reading.known_files(connection, model)

    def listed_before(self, model: str, uris: Iterable[str]) -> Mapping[str, Listed]:
        """As :meth:`known_files`, of these uris only: what it takes does not grow with the past."""
        with self._reading() as connection:
            return reading.listed_before(connection, model, uris)

    def accepted_files(
        self, model: str, after_seq: int = 0, limit: int | None = None
    ) -> tuple[AcceptedFile, ...]:
        """Files accepted after this number, in order, with duplicates and replaced contents."""
        with self._reading() as connection:
            return reading.accepted_files(connection, model, after_seq, limit)

    def rows_forgotten(self, model: str) -> int:
        """Rows of good, distinct files that :meth:`forget` dropped from :meth:`accepted_files`.

        All of them were judged: what counts rows from the first file ever begins after these.
        """
        with self._reading() as connection:
            return reading.rows_forgotten(connection, model)

    # --- logged records --------------------------------------------------------------------

    def plan_payloads(self, plan: Plan) -> None:
        """Remember which objects of a log make a batch, before it is made."""
        with self._writing() as connection:
            payloads.note_plan(connection, plan)

    def note_payloads(self, plan: Plan, made: Made) -> None:
        """Remember what a plan came to."""
        with self._writing() as connection:
            payloads.note_made(connection, plan, made)

    def unmade_payloads(self, model: str) -> tuple[Plan, ...]:
        """Plans that nothing was made of yet, in order."""
        with self._reading() as connection:
            return payloads.unmade(connection, model)

    def known_payloads(self, model: str, uris: Iterable[str]) -> Mapping[str, Listed]:
        """Of these objects, those that belong to a plan, as they were then."""
        with self._reading() as connection:
            return payloads.known(connection, model, uris)

    def last_payloads(self, model: str) -> tuple[int, Made | None]:
        """Number of the newest plan; what the newest that was made came to."""
        with self._reading() as connection:
            return payloads.last(connection, model)

    def broken(self, model: str) -> Mapping[str, Broken]:
        """Broken files by uri: in quarantine, or still retried; also some that are gone."""
        with self._reading() as connection:
            return broken.read(connection, model)

    # --- runs ------------------------------------------------------------------------------

    def commit(self, run: Run, *, state: str, cursor: str, now: float) -> None:
        """Store a run with the decision state and the cursor after it, in one transaction.

        On return all of it is on the disk. An alarm that differs from the last one known of its
        scope is noted as a flip at ``now`` (unix seconds UTC).

        Raises
        ------
        StoreError
            If the batch was judged before, or the disk refuses; nothing is changed then.
        DataError
            If the run cannot be written as JSON.
        """
        packed = reading.pack(to_document(run))
        with self._writing() as connection:
            writing.note_judged(connection, run, now)
            writing.note_reached(connection, run)
            broken.end_retries(connection, run.model, run.batch.uri)
            flipped = writing.note_flips(connection, run, now)
            writing.insert_run(connection, run, flipped=flipped, document=packed)
            writing.note_cost(connection, run)
            writing.put_state(connection, run, state=state, cursor=cursor, now=now)

    def state(self, model: str) -> tuple[str, str] | None:
        """Decision state and cursor of the newest commit; None before the first."""
        with self._reading() as connection:
            return reading.state(connection, model)

    def has_run(self, model: str, batch_id: str) -> bool:
        """Whether the batch was judged, also where retention has dropped its run."""
        with self._reading() as connection:
            return reading.is_judged(connection, model, batch_id)

    def judged_ids(self, model: str) -> frozenset[str]:
        """Ids of the batches judged, but for those whose files went long ago."""
        with self._reading() as connection:
            return reading.judged_ids(connection, model)

    def judged_among(self, model: str, batch_ids: Iterable[str]) -> frozenset[str]:
        """Those of these batches that were judged."""
        with self._reading() as connection:
            return reading.judged_among(connection, model, batch_ids)

    def runs(
        self,
        model: str,
        *,
        limit: int = 50,
        before: int | None = None,
        verdict: str | None = None,
        during: reading.Stretch = (None, None),
    ) -> tuple[RunRow, ...]:
        """Runs, the newest first; the next page is ``before`` the last ``seq`` of this one."""
        with self._reading() as connection:
            return reading.runs(connection, model, limit, before, verdict, during)

    def ids_like(self, model: str, beginning: str, limit: int = 5) -> tuple[str, ...]:
        """Ids of stored batches that begin so, sorted."""
        with self._reading() as connection:
            return reading.ids_like(connection, model, beginning, limit)

    def place(self, model: str, batch_id: str) -> int | None:
        """``seq`` of the run of a batch; None if it is not stored."""
        with self._reading() as connection:
            return reading.place(connection, model, batch_id)

    def runs_between(self, model: str, first: int, last: int, limit: int) -> tuple[RunRow, ...]:
        """Runs from one ``seq`` to another, both included, the oldest first."""
        with self._reading() as connection:
            return reading.runs_between(connection, model, first, last, limit)

    def runs_within(self, model: str, start: float, until: float, limit: int) -> tuple[RunRow, ...]:
        """Runs whose events have their middle, or else that were judged, in that time; oldest first."""
        with self._reading() as connection:
            return reading.runs_within(connection, model, start, until, limit)

    def batches(self, seqs: Iterable[int]) -> tuple[Batch, ...]:
        """What runs were of; those not stored any more are left out."""
        with self._reading() as connection:
            return reading.batches(connection, seqs)

    def document(self, model: str, batch_id: str | None = None) -> dict[str, Any] | None:
        """The JSON document of a batch, of the newest if none is named; None if unknown."""
        with self._reading() as connection:
            return reading.document(connection, model, batch_id)

    def run(self, model: str, batch_id: str | None = None) -> Run | None:
        """The run of a batch, the newest if none is named; None if unknown."""
        document = self.document(model, batch_id)
        return None if document is None else from_document(document)

    def flips(self, model: str, limit: int = 50) -> tuple[Flip, ...]:
        """Alarms that rose or cleared, the newest first."""
        with self._reading() as connection:
            return reading.flips(connection, model, limit)

    def timeline(self, model: str, limit: int = 200) -> tuple[TimelinePoint, ...]:
        """The newest runs in the order they were committed, without their documents."""
        with self._reading() as connection:
            return reading.timeline(connection, model, limit)

    # --- what it costs -----------------------------------------------------------------------

    def day_cost(self, model: str, until: float) -> DayCost | None:
        """What the checks of the 24 hours that end then (unix seconds UTC) took together.

        None where there were none, or they were judged by a release that did not note it.
        """
        with self._reading() as connection:
            return reading.day_cost(connection, model, until)

    def spent(self, model: str, limit: int) -> tuple[Spent, ...]:
        """What the newest checks took, the newest last: by it the next is kept within its limit."""
        with self._reading() as connection:
            return reading.spent(connection, model, limit)

    # --- what is normal ----------------------------------------------------------------------

    def note_acceptance(self, word: Acceptance) -> None:
        """Note what an operator has accepted as the reference, or that it no longer is."""
        with self._writing() as connection:
            writing.note_acceptance(connection, word)

    def acceptances(self, model: str) -> tuple[Acceptance, ...]:
        """All that was said on a model's reference, the newest first; never forgotten."""
        with self._reading() as connection:
            return reading.acceptances(connection, model)

    def acceptance(self, model: str) -> Acceptance | None:
        """What is accepted now; None where the configured reference is in force."""
        newest = next(iter(self.acceptances(model)), None)
        return newest if newest is not None and newest.kind == "accepted" else None

    def note_annotation(self, model: str, draft: Draft, by: str, at: float) -> Annotation:
        """Keep what an operator says of a stretch of time."""
        with self._writing() as connection:
            return words.note(connection, model, draft, by, at)

    def end_annotation(self, model: str, number: int, by: str, at: float) -> Annotation | None:
        """Take a word back: it stays, and says when and by whom. None if there is no such.

        Raises
        ------
        DataError
            If it was taken back before.
        """
        with self._writing() as connection:
            return words.end(connection, model, number, by, at)

    def annotations(
        self,
        model: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        in_force_at: float | None = None,
    ) -> tuple[Annotation, ...]:
        """What was said of a model, the newest first, with numbers below ``before``.

        Only what is in force at a moment (unix seconds UTC), where one is given.
        """
        with self._reading() as connection:
            return words.read(connection, model, limit, before, in_force_at)

    def annotations_to_come(self, now: float) -> tuple[Annotation, ...]:
        """Of all models, what is in force at a moment or will be."""
        with self._reading() as connection:
            return words.to_come(connection, now)

    def note_comparison(self, identity: str, run: Run) -> None:
        """Keep a comparison by the id of its content; the newest hundred of a model are kept."""
        with self._writing() as connection:
            comparisons.note(connection, identity, run)

    def note_asked(self, row: comparisons.AskedRow) -> None:
        """Keep that a comparison was asked for, or that it could not be made."""
        with self._writing() as connection:
            comparisons.note_asked(connection, row)

    def asked(self, model: str) -> tuple[comparisons.AskedRow, ...]:
        """Comparisons that wait or could not be made, the newest first."""
        with self._reading() as connection:
            return comparisons.asked(connection, model)

    def interrupt_asked(self) -> None:
        """To be called once at the start: what waited then has failed by the end before it."""
        with self._writing() as connection:
            comparisons.interrupt(connection)

    def comparison(self, model: str, identity: str) -> dict[str, Any] | None:
        """The document of a comparison; None if it is not kept."""
        with self._reading() as connection:
            return comparisons.document(connection, model, identity)

    def comparisons(
        self, model: str, limit: int, before: int | None = None
    ) -> tuple[comparisons.ComparisonRow, ...]:
        """Comparisons that are kept, the newest first."""
        with self._reading() as connection:
            return comparisons.read(connection, model, limit, before)

    def forget(self, keep_days: float, present: Mapping[str, Collection[str]], now: float) -> int:
        """Delete what is older than ``keep_days``; the number of runs deleted.

        Kept twice as long: runs with verdict shift, error or invalid_data or on which an alarm
        changed, and the flips. Kept always: the newest run of a model, what is known of files
        that are in ``present`` (uris by model) or of a model that is not in it, and good files
        with rows that no batch has gone past yet.
        """
        with self._writing() as connection:
            return retention.forget(connection, keep_days, present, now)

    # --- doors -----------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with sqlite.worded(self._path), self._readers.lend() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            if self._writer is None:
                raise StoreError("the history is not open for writing", where=self.path)
            with sqlite.worded(self._path), sqlite.transaction(self._writer):
                yield self._writer


def _no_clock() -> float:
    raise StoreError("the history is not open for writing")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StoreError(
            f"cannot make the folder: {fault.strerror}",
            where=str(folder),
            hint="set `store: {path: ...}` to a folder this user may write in",
        ) from fault


def _sound_writer(path: Path) -> sqlite3.Connection:
    """A connection to the history, or to what could be rescued of it."""
    with sqlite.worded(path):
        rescue.finish(path)
        try:
            return _worded_writer(path)
        except StoreDamagedError as fault:
            if not rescue.is_ours(path):
                raise
            rescue.rescue(path, fault)
            return _open_writer(path)


def _worded_writer(path: Path) -> sqlite3.Connection:
    with sqlite.worded(path):
        return _open_writer(path)


def _open_writer(path: Path) -> sqlite3.Connection:
    connection = sqlite.connect_writer(path)
    try:
        version = _version(connection, path)
        sqlite.check_sound(connection, path)
        sqlite.write_ahead(connection, path)
        migrations.migrate(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """How many migrations the file has; refuses files of others and of the future."""
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != migrations.APPLICATION_ID and (tables or owner):
        hint = "set `store: {path: ...}` to a file of its own"
        raise StoreError("is a database of another program", where=str(path), hint=hint)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = len(migrations.MIGRATIONS)
    if version > newest:
        raise StoreError(
            f"its version is {version}, written by a newer release; this one knows {newest}",
            where=str(path),
            hint="run the newer release again, or give this one another `store: {path: ...}`",
        )
    return version
