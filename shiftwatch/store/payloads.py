"""Batches made of logged records, in the history: statements on plans.

In:    a connection; plans; what they came to.
Out:   plans that are not made yet; objects that belong to one; the last one made.
Never: begins or ends a transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict

from shiftwatch.payload.plan import Made, Plan
from shiftwatch.payload.segments import SUFFIX
from shiftwatch.values import Listed


def note_plan(connection: sqlite3.Connection, plan: Plan) -> None:
    """Remember a plan, before anything is made of it."""
    connection.execute(
        "INSERT INTO payload_plans (model, number, planned_at) VALUES (?, ?, ?)",
        (plan.model, plan.number, plan.at),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO payload_objects (model, uri, size, modified_ns, number)"
        " VALUES (?, ?, ?, ?, ?)",
        [(plan.model, o.uri, o.size, o.modified_ns, plan.number) for o in plan.objects],
    )


def note_made(connection: sqlite3.Connection, plan: Plan, made: Made) -> None:
    """Remember what a plan came to."""
    connection.execute(
        "UPDATE payload_plans SET made = ? WHERE model = ? AND number = ?",
        (json.dumps(asdict(made)), plan.model, plan.number),
    )


def unmade(connection: sqlite3.Connection, model: str) -> tuple[Plan, ...]:
    """Plans that nothing was made of yet, in order."""
    plans = connection.execute(
        "SELECT number, planned_at FROM payload_plans WHERE model = ? AND made IS NULL"
        " ORDER BY number",
        (model,),
    ).fetchall()
    return tuple(
        Plan(model, number, at, _objects(connection, model, number)) for number, at in plans
    )


def _objects(connection: sqlite3.Connection, model: str, number: int) -> tuple[Listed, ...]:
    found = connection.execute(
        "SELECT uri, size, modified_ns FROM payload_objects WHERE model = ? AND number = ?"
        " ORDER BY modified_ns, uri",
        (model, number),
    )
    return tuple(Listed(*row) for row in found)


def known(connection: sqlite3.Connection, model: str, uris: Iterable[str]) -> dict[str, Listed]:
    """Of these objects, those that belong to a plan, as they were then."""
    found = {}
    for uri in uris:
        row = connection.execute(
            "SELECT uri, size, modified_ns FROM payload_objects WHERE model = ? AND uri = ?",
            (model, uri),
        ).fetchone()
        if row is not None:
            found[uri] = Listed(*row)
    return found


def last(connection: sqlite3.Connection, model: str) -> tuple[int, Made | None]:
    """Number of the newest plan, 0 if there is none; what the newest that was made came to."""
    (number,) = connection.execute(
        "SELECT coalesce(max(number), 0) FROM payload_plans WHERE model = ?", (model,)
    ).fetchone()
    row = connection.execute(
        "SELECT made FROM payload_plans WHERE model = ? AND made IS NOT NULL"
        " ORDER BY number DESC LIMIT 1",
        (model,),
    ).fetchone()
    return number, Made(**json.loads(row[0])) if row is not None else None


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Forget plans of long ago but the newest of each model.

    Their objects stay known: one that still lies in the log would be taken for new otherwise. Not so
    segments of received events, of which there is one each few seconds: they are taken away once
    they are used, and none comes back.
    """
    connection.execute(
        "DELETE FROM payload_objects WHERE uri LIKE ? AND EXISTS"
        " (SELECT 1 FROM payload_plans AS p WHERE p.model = payload_objects.model"
        " AND p.number = payload_objects.number AND p.planned_at < ? AND p.made IS NOT NULL)",
        (f"%{SUFFIX}", before),
    )
    connection.execute(
        "DELETE FROM payload_plans WHERE planned_at < ? AND made IS NOT NULL AND number <"
        " (SELECT max(number) FROM payload_plans AS p WHERE p.model = payload_plans.model)",
        (before,),
    )
