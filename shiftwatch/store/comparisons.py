"""Comparisons that were asked for, as rows: the newest of each model, beside the history.

In:    a connection; an id of the content; how far it is; the run.
Out:   documents, what was compared, and what became of what was asked.
Never: touches the history.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from shiftwatch.document import to_document
from shiftwatch.store.reading import pack, unpack
from shiftwatch.values import Run, Verdict

MOST = 100
"""Of a model; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A comparison as a listing shows it; ``at`` is unix seconds UTC."""

    seq: int
    id: str
    model: str
    at: float
    verdict: Verdict
    reference: str
    current: str


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A comparison that is not made: ``status`` is ``queued`` or ``failed``."""

    id: str
    model: str
    at: float
    status: str
    reference: str
    current: str
    left_out: int
    detail: str | None = None


INTERRUPTED = "the daemon ended before it was made: ask again"


def note_asked(connection: sqlite3.Connection, row: AskedRow) -> None:
    """Keep that a comparison was asked for, or what became of it."""
    connection.execute("DELETE FROM asked WHERE model = ? AND id = ?", (row.model, row.id))
    connection.execute(
        "INSERT INTO asked (id, model, at, status, reference, current, left_out, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.id,
            row.model,
            row.at,
            row.status,
            row.reference,
            row.current,
            row.left_out,
            row.detail,
        ),
    )
    connection.execute(
        "DELETE FROM asked WHERE model = ? AND seq NOT IN"
        " (SELECT seq FROM asked WHERE model = ? ORDER BY seq DESC LIMIT ?)",
        (row.model, row.model, MOST),
    )


def asked(connection: sqlite3.Connection, model: str) -> tuple[AskedRow, ...]:
    """Comparisons that are not made, the newest first."""
    rows = connection.execute(
        "SELECT id, model, at, status, reference, current, left_out, detail FROM asked"
        " WHERE model = ? ORDER BY seq DESC",
        (model,),
    )
    return tuple(AskedRow(*row) for row in rows)


def interrupt(connection: sqlite3.Connection) -> None:
    """What waited when the daemon ended has failed by that."""
    connection.execute(
        "UPDATE asked SET status = 'failed', detail = ? WHERE status = 'queued'", (INTERRUPTED,)
    )


def note(connection: sqlite3.Connection, identity: str, run: Run) -> None:
    """Keep a comparison, in place of one of the same content."""
    sides = run.explanation["comparison"]
    values = (identity, run.model, run.judged_at, run.verdict, sides["reference"], sides["current"])
    connection.execute(
        "INSERT OR REPLACE INTO comparisons (id, model, at, verdict, reference, current, document)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*values, pack(to_document(run))),
    )
    connection.execute("DELETE FROM asked WHERE model = ? AND id = ?", (run.model, identity))
    connection.execute(
        "DELETE FROM comparisons WHERE model = ? AND seq NOT IN"
        " (SELECT seq FROM comparisons WHERE model = ? ORDER BY seq DESC LIMIT ?)",
        (run.model, run.model, MOST),
    )


def document(connection: sqlite3.Connection, model: str, identity: str) -> dict[str, Any] | None:
    """The document of a comparison; None if it is not kept."""
    row = connection.execute(
        "SELECT document FROM comparisons WHERE model = ? AND id = ?", (model, identity)
    ).fetchone()
    return None if row is None else unpack(row[0], identity)


def read(
    connection: sqlite3.Connection, model: str, limit: int, before: int | None
) -> tuple[ComparisonRow, ...]:
    """Comparisons of a model, the newest first."""
    rows = connection.execute(
        "SELECT seq, id, model, at, verdict, reference, current FROM comparisons"
        " WHERE model = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
        (model, 2**63 - 1 if before is None else before, limit),
    )
    return tuple(ComparisonRow(*row) for row in rows)


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Delete those that are older."""
    for table in ("comparisons", "asked"):
        connection.execute(f"DELETE FROM {table} WHERE at < ?", (before,))  # noqa: S608 - names of ours
