"""The reference of a batch's season: its rows of the same hours of the day or the week.

In:    a model's reference; the event times of a batch.
Out:   the same with only the rows of the batch's hours, prepared once for each set of hours.
Never: sees a value of the batch; keeps more than a bounded number of prepared references.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shiftwatch import cache, season
from shiftwatch.dependence import Order, measure
from shiftwatch.reference import Reference, generator, prepare
from shiftwatch.season import Arc
from shiftwatch.source import parquet
from shiftwatch.values import Batch
from shiftwatch.watch import Watch, event_times, reference_rows

MOST_KEPT = 32
"""Prepared references of one model on disk: one for each hour of a day, and some to spare."""

WHOLE = "all"
"""Stratum of a batch that is compared with all rows of the reference."""

_OUTERMOST = (0.01, 0.99)


Span = tuple[float | None, float | None]
"""Unix seconds; None where they are not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a batch is to be compared with."""

    watched: Watch
    span: float | None
    """Seconds that the batch covers; None where its event times are not known."""
    stratum: str
    """Batches of one stratum are held against the same rows, and so against each other."""
    doubt: str = ""
    """Why the season could not be taken into account."""


def fitted(watched: Watch, span: Span) -> Fitted:
    """Choose the reference rows a batch is compared with.

    Parameters
    ----------
    watched
        The model with its whole reference.
    span
        Event times of the batch, see :func:`span_of`.

    Returns
    -------
    Fitted
        With the whole reference where no season is configured, the batch covers most of the
        period, or its hours were seen in fewer than ten days or weeks of the reference.

    Raises
    ------
    DataError
        If the reference is no longer there.
    """
    start, end = span
    period = watched.context.model.season
    seconds = None if start is None or end is None else end - start
    whole = Fitted(watched, seconds, WHOLE)
    if period is None:
        return whole
    if start is None or end is None:
        return replace(whole, doubt="the batch has no event times, so its season is not known")
    arc = season.arc(period, start, end)
    if arc is None:
        return whole
    seen = _seen(watched.reference, arc)
    if seen < season.CYCLES:
        text = (
            f"the hours of this batch were seen in {seen} {period}s of the reference, and a season "
            f"needs {season.CYCLES}: it was compared with all rows"
        )
        return replace(whole, doubt=text)
    return replace(whole, watched=replace(watched, reference=_of(watched, arc)), stratum=arc.name)


def span_of(watched: Watch, batch: Batch) -> Span:
    """Event times of a batch's first and last row; read from it where a season is configured.

    One row in a hundred at either end is left out then: a few that come late must not make a night
    a whole day.

    Raises
    ------
    DataError
        If the batch cannot be read.
    """
    settings = watched.context.model
    clock = settings.columns.time
    if settings.season is None or batch.fault is not None:
        return batch.event_time_start, batch.event_time_end
    schema = [replace(c, role="input") for c in watched.reference.schema if c.name == clock]
    reading = parquet.read_pieces(
        batch.pieces,
        schema,
        root=settings.batches,
        max_rows=settings.window.max_rows,
        rng=generator(watched.context.seed, batch.id, "times"),
        time_column=clock,
    )
    times = event_times(reading.sample, clock)
    known = times[~np.isnan(times)] if times is not None else np.zeros(0)
    if known.size == 0:
        return None, None
    low, high = np.quantile(known, _OUTERMOST)
    return float(low), float(high)


def _seen(reference: Reference, arc: Arc) -> int:
    by_hour = reference.order["cycles"].get(arc.season)
    return season.cycles_of(arc, by_hour) if by_hour is not None else 0


def _of(watched: Watch, arc: Arc) -> Reference:
    """The reference of an arc, from the cache or prepared now."""
    if not watched.context.cache:
        return _prepared(watched, arc)
    root = Path(watched.context.cache) / watched.context.model.name
    folder = root / f"{watched.fingerprint}-{arc.name}"
    stored = cache.read(folder)
    if stored is None:
        reference = _prepared(watched, arc)
        if parquet.reference_sha256(watched.context.model.reference) != watched.reference_sha256:
            # Replaced meanwhile. The next worker prepares all of it anew; this answer is not kept.
            return reference
        cache.write(folder, *reference.to_plain())
        cache.evict(root, keep=_newest(root, watched.fingerprint))
        stored = cache.read(folder)
    return Reference.from_plain(*stored) if stored is not None else _prepared(watched, arc)


def _newest(root: Path, fingerprint: str) -> list[str]:
    """Folders to keep: the whole reference, and the hours that were prepared last."""
    arcs = [entry for entry in root.iterdir() if entry.name.startswith(f"{fingerprint}-")]
    arcs.sort(key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
    return [fingerprint, *(entry.name for entry in arcs[:MOST_KEPT])]


def _prepared(watched: Watch, arc: Arc) -> Reference:
    seed = watched.root
    rows = reference_rows(watched.context, watched.model)
    times = rows.times if rows.times is not None else np.zeros(0)
    chosen = np.flatnonzero(arc.holds(times))
    sample, own = rows.sample.take(chosen), times[chosen]
    reference = prepare(sample, rows.schema, watched.plan, seed)
    reference = measure(reference, sample, Order(own, arc.cycles(own)), watched.plan, seed)
    return replace(reference, sampled=rows.sampled)
