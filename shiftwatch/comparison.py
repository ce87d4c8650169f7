"""What is held against what: stored batches, a stretch of time, files, or the model's reference.

In:    two sides as they were asked for; the history; a way to find files.
Out:   a Plan with both sides and an id of its content.
Never: makes the comparison.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median

from shiftwatch import __version__
from shiftwatch.errors import DataError
from shiftwatch.report import visible
from shiftwatch.report.phrase import plural, when
from shiftwatch.requests import Context
from shiftwatch.sides import Side, checked
from shiftwatch.source.plan import batch_id
from shiftwatch.store import RunRow, Store
from shiftwatch.values import Batch, Piece, Verdict

MIN_ROWS = 30
"""Rows of a side that stands in for the reference; fewer say nothing."""

MOST_BATCHES = 2100
"""Batches of a side: those of a week that come every five minutes, and some to spare. The daemon
reads what each is made of before it answers: half a millisecond each."""

USABLE: frozenset[Verdict] = frozenset({"shift", "no_shift", "insufficient_data"})
"""Verdicts on batches whose rows can be read as the reference's."""

_LONGEST_NAME = 60

Find = Callable[[Sequence[str]], tuple[Batch, ...]]
"""Finds files below the model's batches, each as a batch of its own."""


@dataclass(frozen=True, slots=True)
class Basis:
    """SHA-256 of what a comparison rests on besides its rows, as it was when it was planned."""

    reference_sha256: str | None = None
    model_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is held against what: batches as they were judged; no batch: the model's reference."""

    model: str
    current: tuple[Batch, ...]
    reference: tuple[Batch, ...]
    names: tuple[str, str]
    """Of the reference and of the current side, for people."""
    left_out: int = 0
    """Batches in between that could not be read when they were judged."""
    basis: Basis = Basis()

    def id(self, context: Context) -> str:
        """By content: the same bytes on both sides under the same configuration have the same id."""
        told = {
            "model": self.model,
            "current": batch_id(pieces_of(self.current)),
            "reference": batch_id(pieces_of(self.reference)) if self.reference else None,
            "basis": asdict(self.basis),
            "config": context.config_sha256,
            "accepted": asdict(context.accepted) if context.accepted is not None else None,
            "seed": context.seed,
            "shiftwatch": __version__,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Half:
    """One side as it was found.

    ``spans`` are first and last time of each batch, ``gap`` is the usual time from one to the next,
    in seconds.
    """

    batches: tuple[Batch, ...]
    spans: tuple[tuple[float, float], ...]
    name: str
    left_out: int = 0
    gap: float = 0.0


_OWN = _Half((), (), "the reference")


def pieces_of(batches: Sequence[Batch]) -> tuple[Piece, ...]:
    """All pieces in their order."""
    return tuple(piece for batch in batches for piece in batch.pieces)


def plan(store: Store, model: str, sides: tuple[Side, Side], find: Find) -> Plan:
    """Find the batches of both sides, the current one first.

    Raises
    ------
    DataError
        If a batch or file is unknown, a side has no batch that could be read, is too small, is too
        long, or both sides share rows.
    """
    asked = checked(sides[0], name="current"), checked(sides[1], name="reference")
    now = _found(store, model, asked[0] if not asked[0].is_blank else _newest(store, model), find)
    earlier = _shifted(asked[1], now)
    then = _OWN if earlier.is_blank else _found(store, model, earlier, find)
    _refuse_shared(model, now, then)
    for half, name in ((now, "current"), (then, "reference")):
        if half is not _OWN and not half.batches:
            raise DataError(f"no batch of the {name} side could be read", where=model)
    if then is not _OWN and sum(batch.rows for batch in then.batches) < MIN_ROWS:
        raise DataError(f"the reference has fewer than {MIN_ROWS} rows", where=model)
    dropped = now.left_out + then.left_out
    return Plan(model, now.batches, then.batches, (then.name, now.name), dropped)


def _newest(store: Store, model: str) -> Side:
    row = next(iter(store.runs(model, limit=1)), None)
    if row is None:
        raise DataError("no batch has been judged yet", where=model)
    return Side(first=row.batch_id)


def _shifted(reference: Side, current: _Half) -> Side:
    """A stretch of time so much earlier as a stretch of its own."""
    if reference.earlier is None:
        return reference
    if not current.spans:
        raise DataError(
            "the current side has no event times, so nothing is so much earlier",
            hint="name the batches, times or files of the reference",
        )
    middles = [(start + end) / 2 for start, end in current.spans]
    # From half a gap before the first middle to half a gap after the last: batches of which every
    # one comes a little sooner or later than a week before are found all the same.
    low = min(*(start for start, _ in current.spans), min(middles) - current.gap / 2)
    high = max(*(end for _, end in current.spans), max(middles) + current.gap / 2)
    return Side(start=low - reference.earlier, until=max(high, low + 1.0) - reference.earlier)


def _refuse_shared(model: str, now: _Half, then: _Half) -> None:
    """Rows on both sides would be held against themselves."""
    seen: dict[str, list[Piece]] = {}
    for piece in pieces_of(then.batches):
        seen.setdefault(piece.sha256, []).append(piece)
    for batch in now.batches:
        for piece in batch.pieces:
            if piece.sha256 and any(_meet(piece, other) for other in seen.get(piece.sha256, ())):
                what = f"both sides hold rows of {_shown(piece.uri)}, of batch {batch.id}"
                raise DataError(what, where=model, hint="take sides that share no rows")


def _meet(one: Piece, other: Piece) -> bool:
    """Whether two cuts of the same bytes share rows."""
    times = (one.time_from, one.time_to, other.time_from, other.time_to)
    if not any(moment is None for moment in times):
        return bool(times[0] < times[3] and times[2] < times[1])  # type: ignore[operator] # not None
    return (
        one.first_row < other.first_row + other.rows and other.first_row < one.first_row + one.rows
    )


# --- one side --------------------------------------------------------------------------------


def _found(store: Store, model: str, side: Side, find: Find) -> _Half:
    if side.files:
        return _of_files(model, side.files, find(side.files))
    rows = _rows(store, model, side)
    kept = [row for row in rows if row.verdict in USABLE]
    batches = store.batches([row.seq for row in kept])
    if len(batches) < len(kept):
        raise DataError("a batch is not stored any more", where=model, hint="ask again")
    spans = tuple(_times(row) for row in kept)
    left_out = len(rows) - len(kept)
    return _Half(batches, spans, _name(kept, spans), left_out, _gap(store, rows))


def _gap(store: Store, rows: Sequence[RunRow]) -> float:
    """Usual seconds from one batch to the next; 0 where there is one alone."""
    before = store.runs(rows[0].model, limit=1, before=rows[0].seq) if len(rows) == 1 else ()
    middles = sorted(sum(_times(row)) / 2 for row in (*before, *rows))
    gaps = [after - one for one, after in pairwise(middles)]
    return median(gaps) if gaps else 0.0


def _of_files(model: str, paths: Sequence[str], found: tuple[Batch, ...]) -> _Half:
    good = tuple(batch for batch in found if batch.fault is None)
    if not good:
        fault = next((batch.fault for batch in found), None) or "no Parquet file is there"
        raise DataError(fault, where=_shown(paths[0]) if paths else model)
    spans = tuple(
        (batch.event_time_start, batch.event_time_end)
        for batch in good
        if batch.event_time_start is not None and batch.event_time_end is not None
    )
    named = f"file {_shown(good[0].uri)}"
    if len(good) > 1:
        named = f"{plural(len(good), 'file')} from {_shown(good[0].uri)} to {_shown(good[-1].uri)}"
    return _Half(good, spans, named, len(found) - len(good))


def _shown(uri: str) -> str:
    """The end of a path, which says most, with what hides in it shown."""
    name = "/".join(uri.rstrip("/").split("/")[-2:])
    return visible(name if len(name) <= _LONGEST_NAME else f"...{name[-_LONGEST_NAME:]}")


def _rows(store: Store, model: str, side: Side) -> tuple[RunRow, ...]:
    """Rows of a side, the oldest first."""
    rows = _between(store, model, side) if side.first is not None else _within(store, model, side)
    if not rows:
        raise DataError("no batch was judged in that time", where=model)
    if len(rows) > MOST_BATCHES:
        raise DataError(f"more than {MOST_BATCHES} batches are too many for a side", where=model)
    return rows


def _between(store: Store, model: str, side: Side) -> tuple[RunRow, ...]:
    first, last = side.first or "", side.last or side.first or ""
    places = [store.place(model, name) for name in (first, last)]
    for name, place in zip((first, last), places, strict=True):
        if place is None:
            raise DataError(f"no batch {name[:60]!r} is stored", where=model)
    low, high = places
    if low > high:  # type: ignore[operator] # both are there
        raise DataError(f"batch {first} came after {last}", where=model)
    return store.runs_between(model, low or 0, high or 0, MOST_BATCHES + 1)


def _within(store: Store, model: str, side: Side) -> tuple[RunRow, ...]:
    start = side.start if side.start is not None else float("-inf")
    until = side.until if side.until is not None else float("inf")
    if start >= until:
        raise DataError("the stretch of time is empty or backwards", where=model)
    return store.runs_within(model, start, until, MOST_BATCHES + 1)


def _times(row: RunRow) -> tuple[float, float]:
    if row.event_time_start is not None and row.event_time_end is not None:
        return row.event_time_start, row.event_time_end
    return row.judged_at, row.judged_at


def _name(rows: Sequence[RunRow], spans: Sequence[tuple[float, float]]) -> str:
    if not rows:
        return "no batch"
    first, last = when(min(start for start, _ in spans)), when(max(end for _, end in spans))
    if len(rows) == 1:
        return f"batch {rows[0].batch_id} ({first})"
    return f"{plural(len(rows), 'batch').removesuffix('s')}es from {first} to {last}"
