"""What operators say of stretches of time, as rows.

In:    a connection.
Out:   annotations.
Never: deletes a word, or changes what it says.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
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
    (word,) = _found(connection, "id = ?", (number,))
    return word


def end(
    connection: sqlite3.Connection, model: str, number: int, by: str, at: float
) -> Annotation | None:
    """The word, taken back; None if the model has no such."""
    found = _found(connection, "model = ? AND id = ?", (model, number))
    if not found:
        return None
    if found[0].ended_at is not None:
        raise DataError(f"word {number} has ended already, by {found[0].ended_by}", where=model)
    connection.execute(
        "UPDATE annotations SET ended_at = ?, ended_by = ? WHERE id = ?",
        (at, stored_text(by), number),
    )
    return _found(connection, "id = ?", (number,))[0]


def read(
    connection: sqlite3.Connection, model: str, limit: int | None, before: int | None
) -> tuple[Annotation, ...]:
    """Words on a model, the newest first."""
    most, below = -1 if limit is None else limit, 2**63 - 1 if before is None else before
    return _found(connection, "model = ? AND id < ?", (model, below), most)


def to_come(connection: sqlite3.Connection, now: float) -> tuple[Annotation, ...]:
    """Words on any model that are not over."""
    return _found(connection, "ended_at IS NULL AND (until IS NULL OR until > ?)", (now,))


def _found(
    connection: sqlite3.Connection, condition: str, values: Iterable[Any], limit: int = -1
) -> tuple[Annotation, ...]:
    question = f"SELECT {_COLUMNS} FROM annotations WHERE {condition} ORDER BY id DESC LIMIT ?"  # noqa: S608 - ours
    return tuple(map(_word, connection.execute(question, (*values, limit))))


def _word(row: tuple[Any, ...]) -> Annotation:
    known = dict(zip(_NAMES, row, strict=True))
    texts = {name: loaded_text(known[name]) for name in ("text", "by", "ended_by")}
    return Annotation(**{**known, **texts, "scopes": tuple(json.loads(known["scopes"]))})
