"""Which rows make which batch: pure arithmetic over file facts.

In:    facts of files in accepted order, window settings, how far judging has come.
Out:   batches that are due, in the order to judge them; the cursor after each.
Never: opens a file; reads a clock; imports numpy or pyarrow.

The caller keeps the accepted order: a file that arrives later stands later, whatever its event
time, so rows that were counted once are never counted again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from shiftwatch.settings import ByRows, ByTime, WindowSettings
from shiftwatch.values import Batch, FileFacts, Piece

MAX_WINDOWS_PER_FILE = 10_000
"""Time windows one file may span. Beyond, one of its event times is wrong (1970, or 2262)."""

MAX_BATCHES_PER_FILE = 100_000
"""Batches of rows one file may make. Beyond, its footer lies, or ``window.rows`` is a mistake; the
plan would fill the daemon's memory."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far judging has come.

    ``judged`` holds batch ids. ``rows_done`` counts rows over the good files in accepted order,
    from the first that was ever accepted; the first ``rows_forgotten`` of them belong to files
    that are no longer in the list. ``time_done`` is the end of the last judged time window in unix
    seconds, None before the first.
    """

    judged: frozenset[str] = frozenset()
    rows_done: int = 0
    time_done: float | None = None
    rows_forgotten: int = 0


def order(facts: Sequence[FileFacts]) -> tuple[FileFacts, ...]:
    """Sort newly found files: by event time where there is one, else by path.

    Files without event times come after those with one.
    """
    return tuple(sorted(facts, key=_rank))


def _rank(facts: FileFacts) -> tuple[bool, float, str]:
    return facts.time_min is None, facts.time_min or 0.0, facts.uri


def batch_id(pieces: Sequence[Piece]) -> str:
    """First 16 hex digits of the SHA-256 over the pieces' bytes and cuts.

    The name of a file does not matter, except for what it adds to the bytes: ``key=value`` folders
    are columns. A file whose bytes could not be read is known by its path and size; planned
    batches of faulty files have other ids, see :func:`plan`.

    Examples
    --------
    >>> here, there = Piece("a/x.parquet", 9, "ab", 0, 5), Piece("b/y.parquet", 9, "ab", 0, 5)
    >>> batch_id([here]) == batch_id([there])
    True
    """
    canonical = [
        [
            piece.sha256 or piece.uri,
            piece.size,
            piece.first_row,
            piece.rows,
            piece.time_from,
            piece.time_to,
            [part for part in piece.uri.split("/")[:-1] if "=" in part],
        ]
        for piece in pieces
    ]
    return _digest(canonical)


def _digest(canonical: object) -> str:
    text = json.dumps(canonical, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fault_id(facts: FileFacts) -> str:
    """A fault is one of this file at this time: equal bytes elsewhere are another fault."""
    return _digest(["fault", facts.uri, facts.size, facts.modified_ns, facts.sha256])


def acceptable(facts: FileFacts, window: WindowSettings) -> FileFacts:
    """The file as it is to be accepted: with a fault where it has too many rows for the window.

    To be asked before a file is remembered: what counts later is whether it had a fault then.

    Examples
    --------
    >>> lie = FileFacts("a.parquet", 9, 1, "ab", rows=2**40)
    >>> acceptable(lie, WindowSettings(by=ByRows(500))).fault
    '1099511627776 rows are more than 100000 batches of 500'
    """
    if facts.fault is not None or not isinstance(window.by, ByRows):
        return facts
    fault = _rows_fault(window.by.rows, facts)
    return facts if fault is None else replace(facts, rows=0, fault=fault)


def plan(files: Sequence[FileFacts], window: WindowSettings, cursor: Cursor) -> tuple[Batch, ...]:
    """Batches that are due.

    Parameters
    ----------
    files
        All accepted files of a model that may still matter, in accepted order. Of files that
        were dropped from the list, row windows need ``cursor.rows_forgotten``, their rows that
        would have counted; all of these must have been judged.
    window
        What makes a batch: a file, a number of consecutive rows (a batch may span files; the
        incomplete tail waits), or an interval of event time.
    cursor
        How far judging has come.

    Returns
    -------
    tuple[Batch, ...]
        In the order in which they are to be judged; no id occurs twice, none was judged. Of files
        with the same bytes the first counts; reporting the others is the caller's. A file with a
        fault is a batch of its own with ``fault`` set, whatever its bytes, and another one as soon
        as it is replaced or touched. A time window is due when it is closed: its
        end is not after the start of the window that holds the latest event time of all files.
        ``rows`` of a time window is the sum over the files that overlap it, an upper bound;
        windows no file overlaps make no batch.
    """
    distinct = _distinct(files)
    if isinstance(window.by, ByRows):
        good, faulty = _sorted_out(distinct, partial(_rows_fault, window.by.rows))
        done = max(0, cursor.rows_done - cursor.rows_forgotten)
        due = [*map(_faulty_batch, faulty), *_by_rows(good, window.by.rows, done)]
    elif isinstance(window.by, ByTime):
        good, faulty = _sorted_out(distinct, partial(_time_fault, window.by.seconds))
        grid = _Grid(window.by.seconds)
        due = [*map(_faulty_batch, faulty), *_by_time(good, grid, cursor.time_done)]
    else:
        due = [_file_batch(each) for each in distinct]
    return tuple(each for each in due if each.id not in cursor.judged)


def advance(cursor: Cursor, batch: Batch) -> Cursor:
    """The cursor after a batch was judged."""
    judged = cursor.judged | {batch.id}
    if batch.fault is not None:
        return replace(cursor, judged=judged)
    if batch.pieces[0].time_to is not None:
        return replace(cursor, judged=judged, time_done=batch.pieces[0].time_to)
    done = max(cursor.rows_done, cursor.rows_forgotten) + batch.rows
    return replace(cursor, judged=judged, rows_done=done)


def late_rows(facts: FileFacts, time_done: float | None) -> bool:
    """Whether a file has rows of a time window that was judged already; those are not judged.

    Examples
    --------
    >>> late_rows(FileFacts("a.parquet", 9, 1, "ab", 5, time_min=3599.0, time_max=3601.0), 3600.0)
    True
    """
    return time_done is not None and facts.time_min is not None and facts.time_min < time_done


def _distinct(files: Iterable[FileFacts]) -> list[FileFacts]:
    first: dict[str, FileFacts] = {}
    for facts in files:
        identity = _fault_id(facts) if facts.fault is not None else batch_id([_piece(facts)])
        first.setdefault(identity, facts)
    return list(first.values())


def _sorted_out(
    files: Iterable[FileFacts], fault_of: Callable[[FileFacts], str | None]
) -> tuple[list[FileFacts], list[FileFacts]]:
    """Good files and faulty ones; rows that no window can hold are a fault as well."""
    good: list[FileFacts] = []
    faulty: list[FileFacts] = []
    for facts in files:
        fault = facts.fault or fault_of(facts)
        (good if fault is None else faulty).append(replace(facts, fault=fault))
    return good, faulty


def _rows_fault(each: int, facts: FileFacts) -> str | None:
    if facts.rows <= MAX_BATCHES_PER_FILE * each:
        return None
    return f"{facts.rows} rows are more than {MAX_BATCHES_PER_FILE} batches of {each}"


def _time_fault(length: float, facts: FileFacts) -> str | None:
    if facts.rows == 0:
        return None
    if facts.time_min is None or facts.time_max is None:
        return "no row has an event time, so none belongs to a time window"
    if facts.time_max - facts.time_min > MAX_WINDOWS_PER_FILE * length:
        days = (facts.time_max - facts.time_min) / 86400
        return f"event times span {days:.0f} days, more than {MAX_WINDOWS_PER_FILE} time windows"
    return None


def _batch(
    pieces: Sequence[Piece],
    start: float | None,
    end: float | None,
) -> Batch:
    rows = sum(piece.rows for piece in pieces)
    return Batch(batch_id(pieces), tuple(pieces), rows, start, end)


def _piece(facts: FileFacts, first_row: int = 0, rows: int | None = None) -> Piece:
    rows = facts.rows if rows is None else rows
    return Piece(facts.uri, facts.size, facts.sha256, first_row, rows)


def _file_batch(facts: FileFacts) -> Batch:
    batch = _batch([_piece(facts)], facts.time_min, facts.time_max)
    if facts.fault is None:
        return batch
    return replace(batch, id=_fault_id(facts), fault=facts.fault)


def _faulty_batch(facts: FileFacts) -> Batch:
    return _file_batch(replace(facts, rows=0))


def _by_rows(good: Sequence[FileFacts], rows: int, done: int) -> Iterator[Batch]:
    """Batches of exactly ``rows`` rows from row ``done`` on, counted over the files in order."""
    pieces: list[Piece] = []
    parts: list[FileFacts] = []
    held = 0
    for facts in good:
        first = min(done, facts.rows)
        done -= first
        while first < facts.rows:
            taken = min(rows - held, facts.rows - first)
            pieces.append(_piece(facts, first, taken))
            parts.append(facts)
            held += taken
            first += taken
            if held == rows:
                yield _batch(pieces, *_span(parts))
                pieces, parts, held = [], [], 0


def _span(parts: Sequence[FileFacts]) -> tuple[float | None, float | None]:
    starts = [facts.time_min for facts in parts if facts.time_min is not None]
    ends = [facts.time_max for facts in parts if facts.time_max is not None]
    return min(starts, default=None), max(ends, default=None)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Windows [k * length, (k + 1) * length) of unix seconds.

    Both edges of a neighbouring pair are the same float, so no rounding opens a gap.
    """

    length: float

    def edge(self, index: int) -> float:
        return index * self.length

    def index(self, time: float) -> int:
        """The window that holds a time, by the edges themselves and not by a rounded quotient."""
        guess = math.floor(time / self.length)
        if self.edge(guess) > time:
            return guess - 1
        return guess + 1 if self.edge(guess + 1) <= time else guess


def _by_time(good: Sequence[FileFacts], grid: _Grid, done: float | None) -> Iterator[Batch]:
    """Closed windows that some file overlaps and that end after ``done``."""
    timed = [(f, f.time_min, f.time_max) for f in good if f.time_min is not None]
    spans = [(f, grid.index(low), grid.index(high)) for f, low, high in timed if high is not None]
    open_window = max((last for _, _, last in spans), default=0)
    overlapping: dict[int, list[FileFacts]] = {}
    for facts, first, last in spans:
        for index in range(first, min(last + 1, open_window)):
            overlapping.setdefault(index, []).append(facts)
    for index in sorted(overlapping):
        if done is None or grid.edge(index + 1) > done:
            yield _time_batch(overlapping[index], grid, index, done)


def _time_batch(files: Sequence[FileFacts], grid: _Grid, index: int, done: float | None) -> Batch:
    # A window that was begun under another length starts where judging stopped.
    start = grid.edge(index) if done is None else max(grid.edge(index), done)
    end = grid.edge(index + 1)
    return _batch(
        [replace(_piece(facts), time_from=start, time_to=end) for facts in files], start, end
    )
