"""What operators say of stretches of time, as rows.

In:    a connection.
Out:   annotations.
Never: deletes a word, or changes what it says.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from shiftwatch.annotation import Draft
from shiftwatch.errors import DataError
from shiftwatch.store.sqlite import loaded_text, stored_text
from shiftwatch.values import Annotation

_NAMES = tuple(item.name for item in fields(Annotation))
_COLUMNS = ", ".join(_NAMES)


def note(
    connection: sqlite3.Connection, model: str, draft: Draft, by: str, at: float
) -> Annotation:
    """A new word, with the number it got."""
    number = connection.execute(
        "INSERT INTO annotations (model, kind, text, start, until, by, at, scopes, ended_by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '') RETURNING id",
        (
            model,
            draft.kind,
            stored_text(draft.text),
            draft.start,
            draft.until,
            stored_text(by),
            at,
            json.dumps(draft.scopes),
        ),
    ).fetchone()[0]
    return _found(connection, "id = :id", {"id": number})[0]


def end(
    connection: sqlite3.Connection, model: str, number: int, by: str, at: float
) -> Annotation | None:
    """The word, taken back; None if the model has no such."""
    found = _found(connection, "model = :model AND id = :id", {"model": model, "id": number})
    if not found:
        return None
    if found[0].ended_at is not None:
        raise DataError(f"word {number} has ended already, by {found[0].ended_by}", where=model)
    connection.execute(
        "UPDATE annotations SET ended_at = ?, ended_by = ? WHERE id = ?",
        (at, stored_text(by), number),
    )
    return _found(connection, "id = :id", {"id": number})[0]


_IN_FORCE = (
    "start <= :now AND (until IS NULL OR until > :now) AND (ended_at IS NULL OR ended_at > :now)"
)
"""As ``Annotation.in_force``."""


def read(
    connection: sqlite3.Connection,
    model: str,
    limit: int | None,
    before: int | None,
    in_force_at: float | None,
) -> tuple[Annotation, ...]:
    """Words on a model, the newest first."""
    condition = "model = :model AND id < :before"
    if in_force_at is not None:
        condition += f" AND {_IN_FORCE}"
    below = 2**63 - 1 if before is None else before
    values = {"model": model, "before": below, "now": in_force_at}
    return _found(connection, condition, values, -1 if limit is None else limit)


def to_come(connection: sqlite3.Connection, now: float) -> tuple[Annotation, ...]:
    """Words on any model that are not over."""
    condition = "ended_at IS NULL AND (until IS NULL OR until > :now)"
    return _found(connection, condition, {"now": now})


def _found(
    connection: sqlite3.Connection, condition: str, values: Mapping[str, Any], limit: int = -1
) -> tuple[Annotation, ...]:
    question = f"SELECT {_COLUMNS} FROM annotations WHERE {condition} ORDER BY id DESC LIMIT :most"  # noqa: S608 - ours
    found = connection.execute(question, {**values, "most": limit})
    return tuple(of_row(dict(zip(_NAMES, row, strict=True))) for row in found)


def of_row(row: Mapping[str, Any]) -> Annotation:
    """The word that a row holds.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the row is none of ours.
    """
    texts = {name: loaded_text(row[name]) for name in ("text", "by", "ended_by")}
    word = Annotation(**{**row, **texts, "scopes": tuple(json.loads(row["scopes"]))})
    word.in_force(word.at)  # times that are none fail here
    return word
