"""The questions the history answers, each one statement, so that each sees one moment.

In:    a connection, a model, how many.
Out:   values; nothing is kept open.
Never: writes.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from shiftwatch.budget import Spent
from shiftwatch.document import batch_from, dumps
from shiftwatch.errors import DataError, StoreError
from shiftwatch.price import DayCost
from shiftwatch.store.rows import AcceptedFile, Flip, RunRow, TimelinePoint
from shiftwatch.store.sqlite import loaded_text, stored_text
from shiftwatch.values import Acceptance, Batch, FileFacts, Listed

DAY_SECONDS = 86_400.0

_FILES = (
    "SELECT seq, uri, size, modified_ns, sha256, rows, time_min, time_max, fault, incomplete,"
    " duplicate_of FROM files"
)
_RUNS = (
    "SELECT seq, model, batch_id, uri, verdict, alarm, rows, judged_at, event_time_start,"
    " event_time_end FROM runs"
)


def pack(document: dict[str, Any]) -> bytes:
    """The canonical text, compressed."""
    return zlib.compress(dumps(document).encode("ascii"))


def unpack(packed: bytes, batch_id: str) -> dict[str, Any]:
    """The document again.

    Raises
    ------
    StoreError
        If the bytes are not what :func:`pack` made.
    """
    try:
        document: dict[str, Any] = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as fault:
        raise StoreError(
            f"the stored document cannot be read: {fault}", where=f"batch {batch_id}"
        ) from fault
    return document


def known_files(connection: sqlite3.Connection, model: str) -> dict[str, Listed]:
    """The newest listing of each uri."""
    # With a single max() SQLite takes the other columns from the row that holds it.
    rows = connection.execute(
        "SELECT uri, size, modified_ns, max(seq) FROM files WHERE model = ? GROUP BY uri",
        (model,),
    )
    listed = (Listed(loaded_text(uri), size, modified_ns) for uri, size, modified_ns, _ in rows)
    return {file.uri: file for file in listed}


def listed_before(
    connection: sqlite3.Connection, model: str, uris: Iterable[str]
) -> dict[str, Listed]:
    """The newest listing of each of these uris that is known, each found by itself."""
    found = ((uri, newest_file(connection, model, stored_text(uri))) for uri in uris)
    return {
        uri: Listed(uri, file.facts.size, file.facts.modified_ns)
        for uri, file in found
        if file is not None
    }


def newest_file(
    connection: sqlite3.Connection, model: str, uri: str | bytes | None
) -> AcceptedFile | None:
    """The last accepted content of a uri."""
    row = connection.execute(
        f"{_FILES} WHERE model = ? AND uri = ? ORDER BY seq DESC LIMIT 1", (model, uri)
    ).fetchone()
    return None if row is None else _file(row)


def accepted_files(
    connection: sqlite3.Connection, model: str, after_seq: int, limit: int | None
) -> tuple[AcceptedFile, ...]:
    """Files in the order of acceptance, copies and replaced contents among them."""
    # By number and not by an index of the model, whose rows would have to be sorted.
    rows = connection.execute(
        f"{_FILES} WHERE +model = ? AND seq > ? ORDER BY seq LIMIT ?",
        (model, after_seq, -1 if limit is None else limit),
    )
    return tuple(_file(row) for row in rows)


def _file(row: Sequence[Any]) -> AcceptedFile:
    seq, uri, size, modified_ns, sha256, rows, time_min, time_max, fault, incomplete, copied = row
    facts = FileFacts(
        uri=loaded_text(uri),
        size=size,
        modified_ns=modified_ns,
        sha256=sha256,
        rows=rows,
        time_min=time_min,
        time_max=time_max,
        fault=None if fault is None else loaded_text(fault),
        incomplete=bool(incomplete),
    )
    return AcceptedFile(seq, facts, None if copied is None else loaded_text(copied))


def rows_forgotten(connection: sqlite3.Connection, model: str) -> int:
    """Rows that counted in files that retention has deleted."""
    question = "SELECT rows_forgotten FROM progress WHERE model = ?"
    row: tuple[int] | None = connection.execute(question, (model,)).fetchone()
    return 0 if row is None else row[0]


def is_judged(connection: sqlite3.Connection, model: str, batch_id: str) -> bool:
    """Whether the batch was judged, also if retention has dropped its run."""
    question = "SELECT 1 FROM judged WHERE model = ? AND batch_id = ?"
    return connection.execute(question, (model, batch_id)).fetchone() is not None


def judged_ids(connection: sqlite3.Connection, model: str) -> frozenset[str]:
    """Every batch that was judged and may still be there."""
    rows = connection.execute("SELECT batch_id FROM judged WHERE model = ?", (model,))
    return frozenset(batch_id for (batch_id,) in rows)


def judged_among(
    connection: sqlite3.Connection, model: str, batch_ids: Iterable[str]
) -> frozenset[str]:
    """Those of the batches that were judged."""
    return frozenset(each for each in batch_ids if is_judged(connection, model, each))


def state(connection: sqlite3.Connection, model: str) -> tuple[str, str] | None:
    """Decision state and cursor after the newest batch."""
    question = "SELECT state, cursor FROM states WHERE model = ?"
    row: tuple[str, str] | None = connection.execute(question, (model,)).fetchone()
    return row


Stretch = tuple[float | None, float | None]
"""From and until, half open, in unix seconds; None where it has no end."""


def runs(
    connection: sqlite3.Connection,
    model: str,
    limit: int,
    before: int | None,
    verdict: str | None,
    during: Stretch = (None, None),
) -> tuple[RunRow, ...]:
    """Runs, the newest first, from below ``before``; of a stretch of time by their first event.

    Where events have no time, it is the time of the check.
    """
    conditions, values = ["model = ?"], list[object]([model])
    for comparison, moment in zip((">=", "<"), during, strict=True):
        if moment is not None:
            conditions.append(f"coalesce(event_time_start, judged_at) {comparison} ?")
            values.append(moment)
    if verdict is not None:
        conditions.append("verdict = ?")
        values.append(verdict)
    if before is not None:
        conditions.append("seq < ?")
        values.append(before)
    rows = connection.execute(
        f"{_RUNS} WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?",
        (*values, max(0, limit)),
    )
    return tuple(_run_row(row) for row in rows)


def place(connection: sqlite3.Connection, model: str, batch_id: str) -> int | None:
    """Number of the run of a batch; None if it is not stored."""
    question = "SELECT seq FROM runs WHERE model = ? AND batch_id = ?"
    row: tuple[int] | None = connection.execute(question, (model, batch_id)).fetchone()
    return None if row is None else row[0]


def runs_between(
    connection: sqlite3.Connection, model: str, first: int, last: int, limit: int
) -> tuple[RunRow, ...]:
    """Runs from one number to another, both included, the oldest first."""
    rows = connection.execute(
        f"{_RUNS} WHERE model = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
        (model, first, last, limit),
    )
    return tuple(_run_row(row) for row in rows)


def runs_within(
    connection: sqlite3.Connection, model: str, start: float, until: float, limit: int
) -> tuple[RunRow, ...]:
    """Runs of which the middle of the events, or else the check, lies in a half-open stretch."""
    middle = "coalesce((event_time_start + event_time_end) / 2, judged_at)"
    rows = connection.execute(
        f"{_RUNS} WHERE model = ? AND {middle} >= ? AND {middle} < ? ORDER BY seq LIMIT ?",
        (model, start, until, limit),
    )
    return tuple(_run_row(row) for row in rows)


def batches(connection: sqlite3.Connection, seqs: Iterable[int]) -> tuple[Batch, ...]:
    """What runs were of, in the order of their numbers; those not stored any more are left out."""
    question = "SELECT batch_id, document FROM runs WHERE seq = ?"
    found = (connection.execute(question, (seq,)).fetchone() for seq in seqs)
    return tuple(_batch(packed, name) for name, packed in (row for row in found if row))


_BATCH = '"batch":'


def _batch(packed: bytes, batch_id: str) -> Batch:
    """The batch of a document without the rest of it, which takes ten times as long to read."""
    try:
        text = zlib.decompress(packed).decode()
        # Keys are sorted, and what comes before holds no text; else all of it is read below.
        told, _ = json.JSONDecoder().raw_decode(text, text.index(_BATCH) + len(_BATCH))
        return batch_from(told)
    except (zlib.error, ValueError, DataError):
        return batch_from(unpack(packed, batch_id).get("batch"))


def _run_row(row: Sequence[Any]) -> RunRow:
    seq, model, batch_id, uri, verdict, alarm, *others = row
    return RunRow(seq, model, batch_id, loaded_text(uri), verdict, bool(alarm), *others)


def document(
    connection: sqlite3.Connection, model: str, batch_id: str | None
) -> dict[str, Any] | None:
    """The document of a batch; of the newest if none is named; None if there is none."""
    question = "SELECT batch_id, document FROM runs WHERE model = ?"
    if batch_id is None:
        found = connection.execute(f"{question} ORDER BY seq DESC LIMIT 1", (model,))
    else:
        found = connection.execute(f"{question} AND batch_id = ?", (model, batch_id))
    row = found.fetchone()
    return None if row is None else unpack(row[1], row[0])


def ids_like(
    connection: sqlite3.Connection, model: str, beginning: str, limit: int
) -> tuple[str, ...]:
    """Ids of stored batches that begin so, sorted."""
    rows = connection.execute(
        "SELECT batch_id FROM runs WHERE model = ? AND batch_id >= ? AND batch_id < ?"
        " ORDER BY batch_id LIMIT ?",
        (model, beginning, beginning + "\U0010ffff", limit),
    )
    return tuple(batch_id for (batch_id,) in rows)


def flips(connection: sqlite3.Connection, model: str, limit: int) -> tuple[Flip, ...]:
    """Alarms that rose or cleared, the newest first."""
    rows = connection.execute(
        "SELECT model, scope, from_alarm, to_alarm, at, batch_id FROM flips"
        " WHERE model = ? ORDER BY seq DESC LIMIT ?",
        (model, max(0, limit)),
    )
    return tuple(
        Flip(name, scope, bool(before), bool(after), at, batch_id)
        for name, scope, before, after, at, batch_id in rows
    )


def acceptances(connection: sqlite3.Connection, model: str) -> tuple[Acceptance, ...]:
    """Every word of an operator on the reference of a model, the newest first."""
    names = [item.name for item in fields(Acceptance)]
    columns = ", ".join(names)
    question = f"SELECT {columns} FROM acceptances WHERE model = ? ORDER BY seq DESC"  # noqa: S608 - names of ours
    rows = connection.execute(question, (model,)).fetchall()
    known = (dict(zip(names, row, strict=True)) for row in rows)
    return tuple(
        Acceptance(**entry | {name: loaded_text(entry[name]) for name in ("path", "note", "by")})
        for entry in known
    )


def day_cost(connection: sqlite3.Connection, model: str, until: float) -> DayCost | None:
    """Sums over the checks of the 24 hours that end then; None where none is known."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(cpu_seconds), 0.0),"
        " coalesce(sum(energy_joules), 0.0) FROM costs WHERE model = ? AND at > ? AND at <= ?",
        (model, until - DAY_SECONDS, until),
    ).fetchone()
    return DayCost(*row) if row[0] else None


def spent(connection: sqlite3.Connection, model: str, limit: int) -> tuple[Spent, ...]:
    """What the newest checks took, the newest last."""
    rows = connection.execute(
        "SELECT spent FROM costs WHERE model = ? ORDER BY at DESC LIMIT ?", (model, limit)
    ).fetchall()
    return tuple(Spent.from_plain(json.loads(text)) for (text,) in reversed(rows))


def timeline(connection: sqlite3.Connection, model: str, limit: int) -> tuple[TimelinePoint, ...]:
    """The newest runs, the oldest of them first."""
    rows = connection.execute(
        "SELECT seq, batch_id, judged_at, verdict, alarm, evidence, event_time_start,"
        " event_time_end FROM runs"
        " WHERE model = ? ORDER BY seq DESC LIMIT ?",
        (model, max(0, limit)),
    ).fetchall()
    return tuple(
        TimelinePoint(seq, batch_id, judged_at, verdict, bool(alarm), json.loads(evidence), *times)
        for seq, batch_id, judged_at, verdict, alarm, evidence, *times in reversed(rows)
    )
