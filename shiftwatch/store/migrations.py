"""The tables, and how a file of an older release gets them.

In:    an open connection to a history of any earlier version, or to an empty file.
Out:   the same file at the newest version, each step in one transaction with its number.
Never: changes a step that was released; goes back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from shiftwatch.store.sqlite import transaction

APPLICATION_ID = 0x73777463
"""Marks a SQLite file as ours ("swtc"), so that no other program's file is taken over."""

_FIRST_TABLES = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    # AUTOINCREMENT: a number is never used again, so a cursor stays true after retention.
    """CREATE TABLE files (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        uri TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        rows INTEGER NOT NULL,
        time_min REAL,
        time_max REAL,
        fault TEXT,
        incomplete INTEGER NOT NULL,
        duplicate_of TEXT,
        accepted_at REAL NOT NULL
    )""",
    "CREATE INDEX files_by_uri ON files (model, uri, seq)",
    "CREATE INDEX files_by_content ON files (model, sha256, seq)",
    # What was judged outlives its run: forgetting it would judge a file twice.
    """CREATE TABLE judged (
        model TEXT NOT NULL,
        batch_id TEXT NOT NULL,
        last_uri TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (model, batch_id)
    ) WITHOUT ROWID""",
    # The document is last, so that listings do not walk over its pages.
    """CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        batch_id TEXT NOT NULL,
        uri TEXT NOT NULL,
        verdict TEXT NOT NULL,
        alarm INTEGER NOT NULL,
        flipped INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        judged_at REAL NOT NULL,
        event_time_start REAL,
        event_time_end REAL,
        evidence TEXT NOT NULL,
        document BLOB NOT NULL,
        UNIQUE (model, batch_id)
    )""",
    "CREATE INDEX runs_by_model ON runs (model, seq)",
    "CREATE INDEX runs_by_verdict ON runs (model, verdict, seq)",
    """CREATE TABLE states (
        model TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        cursor TEXT NOT NULL,
        batch_id TEXT NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID""",
    # The last known alarm of each scope: a run without decisions (an error) does not clear it.
    """CREATE TABLE alarms (
        model TEXT NOT NULL,
        scope TEXT NOT NULL,
        alarm INTEGER NOT NULL,
        PRIMARY KEY (model, scope)
    ) WITHOUT ROWID""",
    """CREATE TABLE flips (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL,
        scope TEXT NOT NULL,
        from_alarm INTEGER NOT NULL,
        to_alarm INTEGER NOT NULL,
        at REAL NOT NULL,
        batch_id TEXT NOT NULL
    )""",
    "CREATE INDEX flips_by_model ON flips (model, seq)",
)


def lay_first_tables(connection: sqlite3.Connection) -> None:
    """Version 1: files, judged, runs, states, alarms, flips."""
    for statement in _FIRST_TABLES:
        connection.execute(statement)


_PROGRESS = """CREATE TABLE progress (
    model TEXT PRIMARY KEY,
    reached INTEGER NOT NULL,
    rows_forgotten INTEGER NOT NULL
) WITHOUT ROWID"""


def lay_progress(connection: sqlite3.Connection) -> None:
    """Version 2: the last file that batches have reached, and the rows forgotten before it."""
    connection.execute(_PROGRESS)


_ACCEPTANCES = """CREATE TABLE acceptances (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    from_batch TEXT NOT NULL,
    to_batch TEXT NOT NULL,
    rows INTEGER NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    configured_sha256 TEXT NOT NULL,
    note TEXT NOT NULL,
    at REAL NOT NULL
)"""


def lay_acceptances(connection: sqlite3.Connection) -> None:
    """What operators have accepted as the new normal; the newest word on a model holds."""
    connection.execute(_ACCEPTANCES)
    connection.execute("CREATE INDEX acceptances_by_model ON acceptances (model, seq)")


_COSTS = """CREATE TABLE costs (
    model TEXT NOT NULL,
    at REAL NOT NULL,
    batch_id TEXT NOT NULL,
    rows INTEGER NOT NULL,
    cpu_seconds REAL NOT NULL,
    energy_joules REAL,
    spent TEXT NOT NULL,
    PRIMARY KEY (model, at, batch_id)
) WITHOUT ROWID"""


def lay_costs(connection: sqlite3.Connection) -> None:
    """What each check took, beside the runs: a day is added up without their documents."""
    connection.execute(_COSTS)


_AGES = (
    "CREATE INDEX runs_by_age ON runs (judged_at)",
    "CREATE INDEX files_by_age ON files (accepted_at)",
    "CREATE INDEX judged_by_age ON judged (at)",
    "CREATE INDEX costs_by_age ON costs (at)",
)


def lay_ages(connection: sqlite3.Connection) -> None:
    """Ways to what is old, so that retention does not walk over what is not."""
    for statement in _AGES:
        connection.execute(statement)


_BROKEN = """CREATE TABLE broken (
    model TEXT NOT NULL,
    uri TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reason TEXT NOT NULL,
    fault TEXT NOT NULL,
    looks INTEGER NOT NULL,
    first_at REAL NOT NULL,
    looked_at REAL NOT NULL,
    quarantined_at REAL,
    in_check INTEGER NOT NULL,
    PRIMARY KEY (model, uri)
) WITHOUT ROWID"""


def lay_broken(connection: sqlite3.Connection) -> None:
    """Broken files: those that are retried, and those in quarantine."""
    connection.execute(_BROKEN)


def lay_payloads(connection: sqlite3.Connection) -> None:
    """Batches made of logged records: each planned before it is made, each object in one of them."""
    connection.execute(
        "CREATE TABLE payload_plans (model TEXT NOT NULL, number INTEGER NOT NULL,"
        " planned_at REAL NOT NULL, made TEXT, PRIMARY KEY (model, number)) WITHOUT ROWID"
    )
    connection.execute(
        "CREATE TABLE payload_objects (model TEXT NOT NULL, uri TEXT NOT NULL,"
        " size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, number INTEGER NOT NULL,"
        " PRIMARY KEY (model, uri)) WITHOUT ROWID"
    )
    connection.execute("CREATE INDEX payload_objects_of ON payload_objects (model, number)")


_ANNOTATIONS = """CREATE TABLE annotations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    start REAL NOT NULL,
    until REAL,
    by TEXT NOT NULL,
    at REAL NOT NULL,
    scopes TEXT NOT NULL,
    ended_at REAL,
    ended_by TEXT NOT NULL
)"""


def lay_annotations(connection: sqlite3.Connection) -> None:
    """What operators say of stretches of time, and who accepted what."""
    connection.execute(_ANNOTATIONS)
    connection.execute("CREATE INDEX annotations_by_model ON annotations (model, id)")
    connection.execute("ALTER TABLE acceptances ADD COLUMN by TEXT NOT NULL DEFAULT ''")


def lay_comparisons(connection: sqlite3.Connection) -> None:
    """Comparisons that were asked for; they are no part of the history."""
    connection.execute(
        "CREATE TABLE comparisons (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,"
        " model TEXT NOT NULL, at REAL NOT NULL, verdict TEXT NOT NULL, reference TEXT NOT NULL,"
        " current TEXT NOT NULL, document BLOB NOT NULL, UNIQUE (model, id))"
    )


def lay_asked(connection: sqlite3.Connection) -> None:
    """Comparisons that wait, and those that could not be made: a restart must not lose them."""
    connection.execute(
        "CREATE TABLE asked (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,"
        " model TEXT NOT NULL, at REAL NOT NULL, status TEXT NOT NULL, reference TEXT NOT NULL,"
        " current TEXT NOT NULL, left_out INTEGER NOT NULL, detail TEXT, UNIQUE (model, id))"
    )


Migration = Callable[[sqlite3.Connection], None]

MIGRATIONS: tuple[Migration, ...] = (
    lay_first_tables,
    lay_progress,
    lay_acceptances,
    lay_costs,
    lay_ages,
    lay_broken,
    lay_payloads,
    lay_annotations,
    lay_comparisons,
    lay_asked,
)
"""In order; the version of a file is how many of them it has."""


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Take the steps that a file of this version lacks, each with its number or not at all."""
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        with transaction(connection):
            step(connection)
            connection.execute(f"PRAGMA user_version = {number}")
