"""What is written into the history, statement by statement.

In:    a connection inside a transaction; facts of files; a judged run.
Out:   rows.
Never: begins or ends a transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict

from shiftwatch.budget import Spent
from shiftwatch.errors import StoreError
from shiftwatch.store.reading import is_judged, newest_file
from shiftwatch.store.rows import AcceptedFile
from shiftwatch.store.sqlite import loaded_text, stored_text
from shiftwatch.values import Acceptance, FileFacts, Run


def accept_file(
    connection: sqlite3.Connection, model: str, facts: FileFacts, now: float
) -> AcceptedFile:
    """Note a file: a new row, unless the newest of its uri says the same but for the dates."""
    newest = newest_file(connection, model, stored_text(facts.uri))
    if newest is not None and _content(newest.facts) == _content(facts):
        connection.execute(
            "UPDATE files SET size = ?, modified_ns = ? WHERE seq = ?",
            (facts.size, facts.modified_ns, newest.seq),
        )
        return AcceptedFile(newest.seq, facts, newest.duplicate_of)
    duplicate_of = _same_bytes(connection, model, facts)
    seq = _insert_file(connection, model, facts, duplicate_of, now)
    return AcceptedFile(seq, facts, duplicate_of)


def _content(facts: FileFacts) -> tuple[object, ...]:
    # What was found in the file counts too: one that could not be read and now can is news.
    found = (facts.rows, facts.time_min, facts.time_max, facts.fault, facts.incomplete)
    return (facts.sha256, *found)


def _same_bytes(connection: sqlite3.Connection, model: str, facts: FileFacts) -> str | None:
    if facts.fault is not None or facts.incomplete:
        return None  # two broken files are two faults to report, not a file and its copy
    row = connection.execute(
        "SELECT uri FROM files WHERE model = ? AND sha256 = ? AND uri <> ?"
        " AND fault IS NULL AND NOT incomplete ORDER BY seq LIMIT 1",
        (model, facts.sha256, stored_text(facts.uri)),
    ).fetchone()
    return None if row is None else loaded_text(row[0])


def _insert_file(
    connection: sqlite3.Connection,
    model: str,
    facts: FileFacts,
    duplicate_of: str | None,
    now: float,
) -> int:
    values = {
        "model": model,
        "uri": stored_text(facts.uri),
        "size": facts.size,
        "modified_ns": facts.modified_ns,
        "sha256": facts.sha256,
        "rows": facts.rows,
        "time_min": facts.time_min,
        "time_max": facts.time_max,
        "fault": stored_text(facts.fault),
        "incomplete": facts.incomplete,
        "duplicate_of": stored_text(duplicate_of),
        "accepted_at": now,
    }
    return _insert(connection, "files", values)


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, object]) -> int:
    places = ", ".join(f":{name}" for name in values)
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"  # noqa: S608 - names of ours
    return connection.execute(statement, values).lastrowid or 0


def note_judged(connection: sqlite3.Connection, run: Run, now: float) -> None:
    """Note the batch for good.

    Raises
    ------
    StoreError
        If it was judged before.
    """
    if is_judged(connection, run.model, run.batch.id):
        raise StoreError(
            "already judged",
            where=f"batch {run.batch.id} of {run.model}",
            hint="nothing was changed; each batch is judged once",
        )
    last_uri = stored_text(run.batch.pieces[-1].uri)
    values = {"model": run.model, "batch_id": run.batch.id, "last_uri": last_uri, "at": now}
    _insert(connection, "judged", values)


def note_reached(connection: sqlite3.Connection, run: Run) -> None:
    """Note the last file of the batch: good files accepted before it are done with.

    The file of a fault does not count, as faults are judged before the rows that wait.
    """
    if run.batch.fault is not None:
        return
    piece = run.batch.pieces[-1]
    connection.execute(
        "INSERT INTO progress (model, reached, rows_forgotten)"
        # The first of equal contents of a file is the one that is planned.
        " SELECT model, min(seq), 0 FROM files WHERE model = ? AND uri = ? AND sha256 = ?"
        " GROUP BY model"
        " ON CONFLICT (model) DO UPDATE SET reached = max(reached, excluded.reached)",
        (run.model, stored_text(piece.uri), piece.sha256),
    )


def note_flips(connection: sqlite3.Connection, run: Run, now: float) -> bool:
    """Note each alarm that differs from the last known one of its scope; whether any does."""
    known = dict(
        connection.execute(
            "SELECT scope, alarm FROM alarms WHERE model = ?", (run.model,)
        ).fetchall()
    )
    flipped = [d for d in run.decisions if d.alarm != bool(known.get(d.scope, 0))]
    for decision in flipped:
        connection.execute(
            "INSERT INTO flips (model, scope, from_alarm, to_alarm, at, batch_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (run.model, decision.scope, not decision.alarm, decision.alarm, now, run.batch.id),
        )
        connection.execute(
            "INSERT OR REPLACE INTO alarms (model, scope, alarm) VALUES (?, ?, ?)",
            (run.model, decision.scope, decision.alarm),
        )
    return bool(flipped)


def insert_run(connection: sqlite3.Connection, run: Run, *, flipped: bool, document: bytes) -> None:
    """The run with its columns for listing; the verdict it came to is never changed again."""
    strongest = {d.scope: d.evidence.strongest for d in run.decisions}
    evidence = {scope: ratio for scope, ratio in strongest.items() if ratio is not None}
    values = {
        "model": run.model,
        "batch_id": run.batch.id,
        "uri": stored_text(run.batch.uri),
        "verdict": run.verdict,
        "alarm": run.alarm,
        "flipped": flipped,
        "rows": run.batch.rows,
        "judged_at": run.judged_at,
        "event_time_start": run.batch.event_time_start,
        "event_time_end": run.batch.event_time_end,
        "evidence": json.dumps(evidence),
        "document": document,
    }
    _insert(connection, "runs", values)


def note_cost(connection: sqlite3.Connection, run: Run) -> None:
    """What the check took: for the sum of a day, and for the limit of the next one."""
    values = {
        "model": run.model,
        "at": run.judged_at,
        "batch_id": run.batch.id,
        "rows": run.batch.rows,
        "cpu_seconds": run.cost.cpu_seconds,
        "energy_joules": run.cost.energy_joules,
        "spent": json.dumps(asdict(Spent.of(run))),
    }
    _insert(connection, "costs", values)


def note_acceptance(connection: sqlite3.Connection, word: Acceptance) -> None:
    """Append a word of an operator; those before stay as they were said."""
    texts = {name: stored_text(getattr(word, name)) for name in ("path", "note", "by")}
    _insert(connection, "acceptances", asdict(word) | texts)


def put_state(
    connection: sqlite3.Connection, run: Run, *, state: str, cursor: str, now: float
) -> None:
    """The decision state and the cursor after this run, in place of those before."""
    connection.execute(
        "INSERT OR REPLACE INTO states (model, state, cursor, batch_id, at) VALUES (?, ?, ?, ?, ?)",
        (run.model, state, cursor, run.batch.id, now),
    )
