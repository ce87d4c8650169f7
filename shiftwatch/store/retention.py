"""What the history forgets, so that it does not grow for ever.

In:    a connection inside a transaction, how long to keep, which files are still there.
Out:   fewer rows; how many runs went.
Never: forgets a batch whose file is still in the folder, or the newest run of a model.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from shiftwatch.store.sqlite import stored_text

DAY_SECONDS = 86_400.0

# The history of faults and of alarms outlives that of quiet days.
_OLD_RUNS = """
    DELETE FROM runs
    WHERE judged_at < CASE
            WHEN flipped OR verdict IN ('shift', 'error', 'invalid_data') THEN :notable_from
            ELSE :quiet_from
        END
        AND seq NOT IN (SELECT max(seq) FROM runs GROUP BY model)
"""
_OLD_FLIPS = "DELETE FROM flips WHERE at < :notable_from"
# A model that is not asked about has not been listed: what its folder holds is unknown.
_OLD_FILES = """
    DELETE FROM files
    WHERE accepted_at < :quiet_from
        AND model IN (SELECT model FROM listed)
        AND NOT EXISTS (
            SELECT 1 FROM present AS p WHERE p.model = files.model AND p.uri = files.uri
        )
"""
# A run that is kept keeps its batch judged, or the same batch could not be stored again.
_OLD_JUDGED = """
    DELETE FROM judged
    WHERE at < :quiet_from
        AND model IN (SELECT model FROM listed)
        AND NOT EXISTS (
            SELECT 1 FROM present AS p WHERE p.model = judged.model AND p.uri = judged.last_uri
        )
        AND NOT EXISTS (
            SELECT 1 FROM runs AS r
            WHERE r.model = judged.model AND r.batch_id = judged.batch_id
        )
"""


def forget(
    connection: sqlite3.Connection,
    keep_days: float,
    present: Mapping[str, Collection[str]],
    now: float,
) -> int:
    """Delete what is old enough; the number of runs deleted."""
    _note_present(connection, present)
    ages = {
        "quiet_from": now - keep_days * DAY_SECONDS,
        "notable_from": now - 2 * keep_days * DAY_SECONDS,
    }
    runs = connection.execute(_OLD_RUNS, ages).rowcount
    for statement in (_OLD_FLIPS, _OLD_FILES, _OLD_JUDGED):
        connection.execute(statement, ages)
    return runs


def _note_present(connection: sqlite3.Connection, present: Mapping[str, Collection[str]]) -> None:
    # TEMP tables live in memory and are seen by this connection alone.
    connection.execute("DROP TABLE IF EXISTS temp.listed")
    connection.execute("DROP TABLE IF EXISTS temp.present")
    connection.execute("CREATE TEMP TABLE listed (model TEXT PRIMARY KEY)")
    connection.execute("CREATE TEMP TABLE present (model TEXT, uri TEXT, PRIMARY KEY (model, uri))")
    connection.executemany("INSERT INTO listed VALUES (?)", [(model,) for model in present])
    connection.executemany(
        "INSERT OR IGNORE INTO present VALUES (?, ?)",
        [(model, stored_text(uri)) for model, uris in present.items() for uri in uris],
    )
