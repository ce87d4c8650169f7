"""Stored batches held against the reference, against others, or against the same time before.

In:    what is to be compared, in an operator's words; the history; a way to ask the worker.
Out:   a Plan with both sides and an id of its content; the Run of a plan.
Never: enters a history, raises an alarm, or asks a slow layer: one check, at its level.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from shiftwatch import __version__
from shiftwatch.attempt import Call, attempt
from shiftwatch.budget import Spent
from shiftwatch.document import from_document
from shiftwatch.errors import DataError
from shiftwatch.report import visible
from shiftwatch.report.phrase import plural, when
from shiftwatch.requests import Check, Context, Keep, Kept
from shiftwatch.settings.fields import duration_seconds
from shiftwatch.source.plan import batch_id
from shiftwatch.store import RunRow, Store
from shiftwatch.values import Batch, Piece, Run, Verdict

MIN_ROWS = 30
"""Rows of a side that stands in for the reference; fewer say nothing."""

MOST_BATCHES = 2000
"""Batches of a side."""

USABLE: frozenset[Verdict] = frozenset({"shift", "no_shift", "insufficient_data"})
"""Verdicts on batches whose rows can be read as the reference's."""

_PAGE = 500
_ID = re.compile(r"[0-9A-Za-z_-]{1,200}")


@dataclass(frozen=True, slots=True)
class Side:
    """One side, as it is asked for: batches from the first to the last, or a stretch of time.

    ``first`` and ``last`` are ids, ``last`` None for the first alone. ``start`` and ``until`` are
    unix seconds (half open) of the batches' events, or of their checks where events have no time.
    ``earlier`` is for the reference only: the other side's stretch, so many seconds before. A side
    of which nothing is said is the model's own reference, or, of the current side, the newest batch.
    """

    first: str | None = None
    last: str | None = None
    start: float | None = None
    until: float | None = None
    earlier: float | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing is said."""
        return self == Side()


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

    def id(self, context: Context, reference_sha256: str | None) -> str:
        """By content: the same bytes on both sides under the same configuration have the same id."""
        told = {
            "model": self.model,
            "current": batch_id(pieces_of(self.current)),
            "reference": batch_id(pieces_of(self.reference))
            if self.reference
            else reference_sha256,
            "config": context.config_sha256,
            "accepted": asdict(context.accepted) if context.accepted is not None else None,
            "seed": context.seed,
            "shiftwatch": __version__,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def pieces_of(batches: Sequence[Batch]) -> tuple[Piece, ...]:
    """All pieces in their order."""
    return tuple(piece for batch in batches for piece in batch.pieces)


def plan(store: Store, model: str, current: Side, reference: Side) -> Plan:
    """Find the batches of both sides.

    Raises
    ------
    DataError
        If a batch is unknown, a side has no batch that could be read, is too small, is too long, or
        both sides share a batch.
    """
    if current.earlier is not None:
        raise DataError("only the reference can be so much earlier", where="current")
    rows = _found(store, model, current if not current.is_blank else _newest(store, model))
    others = _found(store, model, _shifted(reference, rows)) if not reference.is_blank else []
    shared = {row.batch_id for row in rows} & {row.batch_id for row in others}
    if shared:
        raise DataError(f"both sides hold batch {min(shared)}", where=model)
    sides = [[row for row in side if row.verdict in USABLE] for side in (rows, others)]
    for side, kept, name in zip((rows, others), sides, ("current", "reference"), strict=True):
        if side and not kept:
            raise DataError(f"no batch of the {name} side could be read", where=model)
    if sides[1] and sum(row.rows for row in sides[1]) < MIN_ROWS:
        raise DataError(f"the reference has fewer than {MIN_ROWS} rows", where=model)
    batches = [tuple(_batch(store, row) for row in side) for side in sides]
    names = (_name(sides[1]) if sides[1] else "the reference", _name(sides[0]))
    dropped = len(rows) + len(others) - len(sides[0]) - len(sides[1])
    return Plan(model, batches[0], batches[1], names, dropped)


def _newest(store: Store, model: str) -> Side:
    row = next(iter(store.runs(model, limit=1)), None)
    if row is None:
        raise DataError("no batch has been judged yet", where=model)
    return Side(first=row.batch_id)


def _shifted(reference: Side, current: Sequence[RunRow]) -> Side:
    """A stretch of time so much earlier as a stretch of its own."""
    if reference.earlier is None:
        return reference
    times = [span for row in current for span in _times(row)]
    # The end of a stretch belongs to it where it is a moment something was judged.
    return Side(
        start=min(times) - reference.earlier,
        until=max(times) - reference.earlier + (0.0 if min(times) < max(times) else 1.0),
    )


def _times(row: RunRow) -> tuple[float, float]:
    if row.event_time_start is not None and row.event_time_end is not None:
        return row.event_time_start, row.event_time_end
    return row.judged_at, row.judged_at


def _found(store: Store, model: str, side: Side) -> list[RunRow]:
    """Rows of a side, the oldest first."""
    by_time = side.start is not None or side.until is not None
    if by_time and side.first is not None:
        raise DataError("say batches or times, not both", where=model)
    if not by_time and side.first is None:
        raise DataError("say which batch it begins with", where=model)
    rows = list(_between(store, model, side) if not by_time else _within(store, model, side))
    if not rows:
        raise DataError("no batch was judged in that time", where=model)
    if len(rows) > MOST_BATCHES:
        raise DataError(
            f"{len(rows)} batches are too many; take {MOST_BATCHES} at most", where=model
        )
    return rows[::-1]


def _between(store: Store, model: str, side: Side) -> Iterator[RunRow]:
    """From the last batch back to the first, as they were judged."""
    last = side.last or side.first
    for name in (side.first, last):
        if name is not None and (_ID.fullmatch(name) is None or not store.has_run(model, name)):
            raise DataError(f"no batch {visible(name)[:60]!r} is stored", where=model)
    inside = False
    for row in _all(store, model):
        inside = inside or row.batch_id == last
        if inside:
            yield row
        if row.batch_id == side.first:
            if not inside:
                raise DataError(f"batch {side.first} came after {last}", where=model)
            return


def _within(store: Store, model: str, side: Side) -> Iterator[RunRow]:
    start = side.start if side.start is not None else float("-inf")
    until = side.until if side.until is not None else float("inf")
    if start >= until:
        raise DataError("the stretch of time is empty or backwards", where=model)
    return (row for row in _all(store, model) if start <= _times(row)[0] < until)


def _all(store: Store, model: str) -> Iterator[RunRow]:
    """The history, the newest first."""
    before: int | None = None
    while page := store.runs(model, limit=_PAGE, before=before):
        yield from page
        before = page[-1].seq


def _batch(store: Store, row: RunRow) -> Batch:
    document = store.document(row.model, row.batch_id)
    if document is None:
        raise DataError(f"batch {row.batch_id} is not stored any more", where=row.model)
    return from_document(document).batch


def _name(rows: Sequence[RunRow]) -> str:
    times = [moment for row in rows for moment in _times(row)]
    first, last = when(min(times)), when(max(times))
    if len(rows) == 1:
        return f"batch {rows[0].batch_id} ({first})"
    return f"{plural(len(rows), 'batch').removesuffix('s')}es from {first} to {last}"


def side_of(text: str) -> Side:
    """A side as it is written on a command line.

    Parameters
    ----------
    text
        ``ID``, ``ID..ID``, a duration such as ``7d`` (the other side's time, so much earlier),
        ``last-week``, or ``reference``.

    Raises
    ------
    DataError
        If it is none of these.

    Examples
    --------
    >>> side_of("aa..bb"), side_of("last-week").earlier, side_of("reference").is_blank
    (Side(first='aa', last='bb', start=None, until=None, earlier=None), 604800.0, True)
    """
    if text in {"", "reference"}:
        return Side()
    if text == "last-week":
        return Side(earlier=duration_seconds("7d"))
    first, mark, last = text.partition("..")
    if mark and _ID.fullmatch(first) and _ID.fullmatch(last):
        return Side(first=first, last=last)
    try:
        return Side(earlier=duration_seconds(text))
    except ValueError:
        pass
    if mark or _ID.fullmatch(text) is None:
        raise DataError(
            f"{visible(text)[:60]!r} is no side",
            hint="write ID, ID..ID, 7d, last-week or reference",
        )
    return Side(first=text)


def compared(planned: Plan, context: Context, call: Call, past: Sequence[Spent], now: float) -> Run:
    """The run of a plan.

    Parameters
    ----------
    planned
        What is held against what.
    context
        Of the model, as its checks use it. Rows that stand in for the reference are written beside
        its cache while the comparison lasts.
    call
        How the worker is asked.
    past
        What checks of the model took.
    now
        Unix seconds UTC.

    Raises
    ------
    DataError, ModelError
        If rows are gone or have other bytes than were judged, or cannot be used.
    WorkerError
        If the worker fails, or time runs out at every step.
    """
    batch = _merged(planned.current)
    if not planned.reference:
        return _named(_checked(context, batch, call, past, now), planned)
    folder = Path(context.cache).with_suffix(".compared") / context.model.name
    kept: Kept = call(Keep(context, planned.reference, str(folder)))
    stand_in = replace(context.model, reference=kept.path)
    own = replace(context, model=stand_in, accepted=None, cache="")
    try:
        return _named(_checked(own, batch, call, past, now), planned)
    finally:
        Path(kept.path).unlink(missing_ok=True)


def _checked(context: Context, batch: Batch, call: Call, past: Sequence[Spent], now: float) -> Run:
    return attempt(call, Check(context, batch, None, now, alone=True), past).run


def _merged(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    pieces = pieces_of(batches)
    starts = [b.event_time_start for b in batches if b.event_time_start is not None]
    ends = [b.event_time_end for b in batches if b.event_time_end is not None]
    rows = sum(batch.rows for batch in batches)
    return Batch(batch_id(pieces), pieces, rows, min(starts, default=None), max(ends, default=None))


def _named(run: Run, planned: Plan) -> Run:
    told = {
        "reference": planned.names[0],
        "current": planned.names[1],
        "reference_batches": [batch.id for batch in planned.reference],
        "current_batches": [batch.id for batch in planned.current],
        "left_out": planned.left_out,
    }
    return replace(run, explanation={**run.explanation, "comparison": told})
