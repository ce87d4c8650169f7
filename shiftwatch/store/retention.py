"""What the history forgets, so that it does not grow for ever.

In:    a connection inside a transaction, how long to keep, which files are still there.
Out:   fewer rows; how many runs went.
Never: forgets a batch whose file is still in the folder, the newest run of a model, or rows that
       no batch has gone past.

Positions of row windows count from the first file ever. So rows that go are added up, each once,
by the rule of the plan: of good files with the same bytes below the same ``key=value`` folders the
first counts. Such files go together, or the next of them would count instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from shiftwatch.store import broken, comparisons, payloads
from shiftwatch.store.reading import DAY_SECONDS
from shiftwatch.store.sqlite import loaded_text, stored_text

# The history of faults and of alarms outlives that of quiet days.
_OLD_RUNS = """
    DELETE FROM runs
    WHERE judged_at < :quiet_from
        AND (
            judged_at < :notable_from
            OR NOT (flipped OR verdict IN ('shift', 'error', 'invalid_data'))
        )
        AND seq < (SELECT max(newest.seq) FROM runs AS newest WHERE newest.model = runs.model)
"""
# With its run, or the cost of a check would outlive what it was paid for.
_OLD_COSTS = """
    DELETE FROM costs
    WHERE at < :quiet_from AND NOT EXISTS (
        SELECT 1 FROM runs AS r WHERE r.model = costs.model AND r.batch_id = costs.batch_id
    )
"""
_OLD_FLIPS = "DELETE FROM flips WHERE at < :notable_from"
# A model that is not asked about has not been listed: what its folder holds is unknown. With a
# plus, as an index of the model would lead past all that is not old.
_OLD_FILES = """
    INSERT INTO old
    SELECT seq, model, sha256, folders(uri), rows, fault IS NULL AND rows > 0
        AND (duplicate_of IS NULL OR folders(duplicate_of) <> folders(uri))
    FROM files
    WHERE accepted_at < :quiet_from
        AND +model IN (SELECT model FROM listed)
        AND NOT EXISTS (
            SELECT 1 FROM present AS p WHERE p.model = files.model AND p.uri = files.uri
        )
"""
_NOT_PAST = """
    DELETE FROM old
    WHERE counts AND NOT EXISTS (
        SELECT 1 FROM progress AS p WHERE p.model = old.model AND old.seq < p.reached
    )
"""
_WITH_A_TWIN = """
    DELETE FROM old
    WHERE counts AND EXISTS (
        SELECT 1 FROM files AS twin
        WHERE twin.model = old.model AND twin.sha256 = old.sha256
            AND folders(twin.uri) = old.folders
            AND twin.fault IS NULL
            AND (twin.duplicate_of IS NULL OR folders(twin.duplicate_of) <> old.folders)
            AND twin.seq NOT IN (SELECT seq FROM old)
    )
"""
_ADD_UP = """
    UPDATE progress
    SET rows_forgotten = rows_forgotten + coalesce((
        SELECT sum(rows) FROM (SELECT DISTINCT model, sha256, folders, rows FROM old WHERE counts)
            AS once
        WHERE once.model = progress.model
    ), 0)
"""
_DELETE_FILES = "DELETE FROM files WHERE seq IN (SELECT seq FROM old)"
# A run that is kept keeps its batch judged, or the same batch could not be stored again; so does
# a file that is kept, or it would be planned again.
_OLD_JUDGED = """
    DELETE FROM judged
    WHERE at < :quiet_from
        AND +model IN (SELECT model FROM listed)
        AND NOT EXISTS (
            SELECT 1 FROM present AS p WHERE p.model = judged.model AND p.uri = judged.last_uri
        )
        AND NOT EXISTS (
            SELECT 1 FROM files AS f WHERE f.model = judged.model AND f.uri = judged.last_uri
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
    connection.execute(_OLD_COSTS, ages)
    connection.execute(_OLD_FLIPS, ages)
    _forget_files(connection, ages)
    connection.execute(_OLD_JUDGED, ages)
    broken.forget(connection, ages["quiet_from"])
    payloads.forget(connection, ages["quiet_from"])
    comparisons.forget(connection, ages["quiet_from"])
    return runs


def _forget_files(connection: sqlite3.Connection, ages: Mapping[str, float]) -> None:
    connection.create_function("folders", 1, _folders, deterministic=True)
    connection.execute("DROP TABLE IF EXISTS temp.old")
    connection.execute(
        "CREATE TEMP TABLE old (seq INTEGER PRIMARY KEY, model, sha256, folders, rows, counts)"
    )
    connection.execute(_OLD_FILES, ages)
    for statement in (_NOT_PAST, _WITH_A_TWIN, _ADD_UP, _DELETE_FILES):
        connection.execute(statement)


def _folders(uri: str | bytes | None) -> str | bytes | None:
    """The ``key=value`` folders of a path, which make the same bytes other rows."""
    if uri is None:
        return None
    parts = loaded_text(uri).split("/")[:-1]
    return stored_text("/".join(part for part in parts if "=" in part))


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
