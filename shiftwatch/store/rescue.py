"""A damaged history: what can still be read goes into a new one, the old one is set aside.

In:    the path of a history that was found damaged, held under its lock.
Out:   a sound history at that path; the damaged file beside it, under a name that says so.
Never: deletes or changes a damaged file; takes a file for ours that does not say so in its first
       bytes; leaves, killed at any moment, a path without its history.

A file can be damaged by a disk, by a copy taken while it was written, by somebody's editor. Most of
its pages are sound then. Each table is read from its first row and from its last until a page
cannot be read; what is between two damaged places is lost. The new file is complete before the old
one is moved, so a kill leaves either of them, or a moved one and the new one beside its place, which
:func:`finish` puts there.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from shiftwatch.errors import StoreError
from shiftwatch.store import migrations, words
from shiftwatch.store.reading import unpack
from shiftwatch.store.sqlite import connect_reader, connect_writer, transaction

_LOG = logging.getLogger(__name__)

ASIDE = ".damaged-"
"""What is put, with a number, behind the name of a history that was set aside."""

_BEGUN, _NEW = ".rescuing", ".rescued"
_COMPANIONS = ("-wal", "-shm")
_ENDINGS = (*_COMPANIONS, "-journal")
_HEADER_BYTES = 72
_MAGIC = b"SQLite format 3\0"
_Row = Mapping[str, object]


def is_ours(path: Path) -> bool:
    """Whether the first bytes say that this is a history of ours, whatever comes after them."""
    with path.open("rb") as handle:
        header = handle.read(_HEADER_BYTES)
    owner = int.from_bytes(header[68:72], "big")
    return header.startswith(_MAGIC) and owner == migrations.APPLICATION_ID


def set_aside_before(path: Path) -> tuple[Path, ...]:
    """Damaged histories beside this one, the oldest first."""
    found = path.parent.glob(f"{path.name}{ASIDE}*")
    numbered = [file for file in found if file.name.rpartition("-")[2].isdecimal()]
    return tuple(sorted(numbered, key=lambda file: int(file.name.rpartition("-")[2])))


def rescue(path: Path, fault: StoreError) -> None:
    """Replace a damaged history by what can be read of it; see the card of this module.

    Parameters
    ----------
    path
        The history; nobody else has it open for writing.
    fault
        What was found, for the log.
    """
    begun, fresh = path.with_name(path.name + _BEGUN), path.with_name(path.name + _NEW)
    for name in (fresh, begun, *(begun.with_name(f"{begun.name}{end}") for end in _ENDINGS)):
        name.unlink(missing_ok=True)
    saved = _build(path, begun)
    begun.rename(fresh)  # from here on it is whole
    aside = _free_name(path)
    path.rename(aside)
    finish(path)
    extra = {"fault": fault.what, "set_aside": str(aside), "saved": saved}
    _LOG.error("the history was damaged; what could be read of it is in force", extra=extra)


def finish(path: Path) -> None:
    """Put a rescued history in its place where a kill came between; else do nothing."""
    fresh = path.with_name(path.name + _NEW)
    before = set_aside_before(path)
    if path.exists() or not fresh.exists() or not before:
        return
    aside = before[-1]
    for companion, ending in zip(_companions(path), _COMPANIONS, strict=True):
        # Never left behind: the log of the old file would be played into the new one.
        if companion.exists():
            companion.rename(aside.with_name(aside.name + ending))
    fresh.rename(path)
    _sync(path.parent)


def _free_name(path: Path) -> Path:
    before = set_aside_before(path)
    number = int(before[-1].name.rpartition("-")[2]) + 1 if before else 1
    return path.with_name(f"{path.name}{ASIDE}{number}")


def _companions(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + ending) for ending in _COMPANIONS)


def _build(path: Path, fresh: Path) -> dict[str, int]:
    """A new history with every row that can be read and is whole; rows by table."""
    saved: dict[str, int] = {}
    with closing(connect_writer(fresh)) as new:
        migrations.migrate(new, 0)
        with suppress(sqlite3.DatabaseError), closing(connect_reader(path)) as old:
            old.row_factory = sqlite3.Row
            for (table,) in new.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                with transaction(new):
                    saved[table] = _copy(old, new, table)
        with transaction(new):
            # A run whose mark was lost was judged all the same.
            new.execute(
                "INSERT OR IGNORE INTO judged (model, batch_id, last_uri, at)"
                " SELECT model, batch_id, uri, judged_at FROM runs"
            )
    _sync(fresh)
    return saved


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> int:
    columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
    for order in ("ASC", "DESC"):
        for row in _readable(old, table, _key(new, table), order):
            if _is_whole(table, row):
                known = [name for name in columns if name in row]
                places = ", ".join("?" * len(known))
                statement = f"INSERT OR IGNORE INTO {table} ({', '.join(known)}) VALUES ({places})"  # noqa: S608 - names of ours
                new.execute(statement, [row[name] for name in known])
    (count,) = new.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - likewise
    return int(count)


def _key(new: sqlite3.Connection, table: str) -> Sequence[str]:
    info = new.execute(f"PRAGMA table_info({table})").fetchall()
    return [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]


def _readable(
    old: sqlite3.Connection, table: str, key: Sequence[str], order: str
) -> Iterator[_Row]:
    """Rows by their key, walked along the table itself, until a page cannot be read."""
    by = ", ".join(f"{name} {order}" for name in key)
    with suppress(sqlite3.Error):
        for row in old.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY {by}"):  # noqa: S608 - names of ours
            yield dict(row)


def _is_whole(table: str, row: _Row) -> bool:
    """Whether what a row holds can be used: a later start must not fail of it."""
    try:
        if table in _TRIED:
            _TRIED[table](row)
    except (StoreError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _try_run(row: _Row) -> None:
    unpack(row["document"], str(row["batch_id"]))  # type: ignore[arg-type] # or it is caught
    json.loads(str(row["evidence"]))


def _try_state(row: _Row) -> None:
    for text in (str(row["state"]), str(row["cursor"])):
        if text.startswith("{"):  # what it means is the monitor's; that it is whole is ours
            json.loads(text)


_TRIED: Mapping[str, Callable[[_Row], object]] = {
    "runs": _try_run,
    "states": _try_state,
    "costs": lambda row: json.loads(str(row["spent"])),
    "comparisons": lambda row: unpack(row["document"], str(row["id"])),  # type: ignore[arg-type]
    "annotations": words.of_row,
}
"""By table, what is done with a row later; it fails of one that is not whole."""


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
