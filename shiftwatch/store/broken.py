"""The quarantine in the history: statements on broken files.

In:    a connection; entries; which files of a folder are still there.
Out:   entries; rows.
Never: begins or ends a transaction; decides when a file is given up (``quarantine`` does).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, fields

from shiftwatch.quarantine import Broken
from shiftwatch.store.sqlite import loaded_text, stored_text

_NAMES = tuple(item.name for item in fields(Broken))

# What is written here goes with the files of a folder that nobody has seen there for long.
_OLD = """
    DELETE FROM broken
    WHERE looked_at < ?
        AND model IN (SELECT model FROM listed)
        AND NOT EXISTS (
            SELECT 1 FROM present AS p WHERE p.model = broken.model AND p.uri = broken.uri
        )
"""


def read(connection: sqlite3.Connection, model: str) -> dict[str, Broken]:
    """Every entry of a model by uri, in the order of uris."""
    question = f"SELECT {', '.join(_NAMES)} FROM broken WHERE model = ? ORDER BY uri"  # noqa: S608 - names of ours
    found = (_entry(row) for row in connection.execute(question, (model,)))
    return {entry.uri: entry for entry in found}


def _entry(row: Iterable[object]) -> Broken:
    known = dict(zip(_NAMES, row, strict=True))
    for name in ("uri", "fault"):
        known[name] = loaded_text(known[name])  # type: ignore[arg-type] # TEXT, or bytes of a name
    known["in_check"] = bool(known["in_check"])
    return Broken(**known)  # type: ignore[arg-type] # as it was written


def note(
    connection: sqlite3.Connection, model: str, entries: Iterable[Broken], whole: Iterable[str]
) -> None:
    """Write entries in place of those before, and end those of whole files."""
    places = ", ".join(f":{name}" for name in _NAMES)
    statement = (
        f"INSERT OR REPLACE INTO broken (model, {', '.join(_NAMES)})"  # noqa: S608 - names of ours
        f" VALUES (:model, {places})"
    )
    values = (
        asdict(entry)
        | {"model": model, "uri": stored_text(entry.uri), "fault": stored_text(entry.fault)}
        for entry in entries
    )
    connection.executemany(statement, values)
    connection.executemany(
        "DELETE FROM broken WHERE model = ? AND uri = ?",
        [(model, stored_text(uri)) for uri in whole],
    )


def end_retries(connection: sqlite3.Connection, model: str, uri: str) -> None:
    """A batch of this file was judged: it is not retried any more."""
    connection.execute(
        "DELETE FROM broken WHERE model = ? AND uri = ? AND quarantined_at IS NULL",
        (model, stored_text(uri)),
    )


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Forget files that are gone; the tables of ``retention`` say which are there."""
    connection.execute(_OLD, (before,))
