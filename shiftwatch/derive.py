"""Columns that are computed from others, where the values themselves tell nothing.

In:    a sample with its schema; roles.
Out:   schema entries of derived columns, decided once from the reference; their values of a sample.
Never: looks at a batch to decide what is derived; replaces a column that exists.

- Texts of many categories: ``NAME.length`` (characters), ``NAME.digits`` and ``NAME.non_ascii``
  (shares of the characters that are 0 to 9, and beyond ASCII).
- Timestamps: ``NAME.hour`` of the day and ``NAME.weekday``, in UTC; of a date its weekday only.
- Event and arrival time together: ``ARRIVAL.lag``, seconds from event to arrival.

A derived column is tested as every other one of its kind, so its tests are as exact. Which columns
are derived is decided by the reference alone, before any batch is seen. Nulls and unseen
categories are looked at in the source only, and joint tests leave derived columns out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shiftwatch.errors import DataError
from shiftwatch.sample import Column, Floats, Mask, Sample
from shiftwatch.values import Kind, SchemaColumn

MANY = 1000
"""Distinct texts of the reference above which length and characters are watched: there chi-square
sees hash buckets only."""

MOSTLY_UNIQUE = 0.5
"""Share of distinct among present texts from which the same is done, if there are 50 or more."""

_ENOUGH = 50
_CHUNK = 20_000
_DAY = 86_400.0
_WEEK = 7 * _DAY
_HOURS = tuple(f"{hour:02d}" for hour in range(24))
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPANS = {"hour": _DAY, "weekday": _WEEK}
_SOURCE_ROLES = ("input", "prediction")


def entries(sample: Sample, schema: Sequence[SchemaColumn]) -> tuple[SchemaColumn, ...]:
    """What is derived from the reference's columns.

    Parameters
    ----------
    sample
        The reference, with the columns of :func:`to_read` and predictions.
    schema
        All its columns with their roles.

    Returns
    -------
    tuple of SchemaColumn
        Entries with the role of their source (a lag is an input), named with a dot. Left out are
        names that a real column has, and hours (weekdays) of a reference that spans less than a
        day (a week).

    Raises
    ------
    DataError
        If the event or arrival time is no timestamp.
    """
    taken = {column.name for column in schema}
    found = [
        SchemaColumn(f"{column.name}.{part}", kind, column.role, type_, column.name)
        for column in schema
        if column.role in _SOURCE_ROLES and sample.has(column.name)
        for part, kind, type_ in _parts(sample.column(column.name))
    ]
    return tuple(entry for entry in (*found, *_lag(schema)) if entry.name not in taken)


def to_read(schema: Sequence[SchemaColumn]) -> tuple[SchemaColumn, ...]:
    """The columns to read from a file: the real ones, and for a lag both of its times as well.

    Times that are read get the role input; it is the schema's role, not the sample's, that says
    what is tested.
    """
    times = ("time", "arrival") if _with_role(schema, "arrival") else ()
    return tuple(
        SchemaColumn(c.name, c.kind, "input", c.type) if c.role in times else c
        for c in schema
        if c.derived_from is None
    )


def with_derived(sample: Sample, schema: Sequence[SchemaColumn]) -> Sample:
    """The sample with its derived columns, as far as their sources are there and long enough.

    Examples
    --------
    >>> from shiftwatch.sample import categorical
    >>> names = Sample(2, (categorical("id", ["a-17", None]),))
    >>> entry = SchemaColumn("id.digits", "numeric", "input", "double", "id")
    >>> with_derived(names, [entry]).column("id.digits").values.tolist()
    [0.5, nan]
    """
    made = (_derived(sample, schema, entry) for entry in schema if entry.derived_from is not None)
    return sample.with_columns(column for column in made if column is not None)


def absence(entry: SchemaColumn, sample: Sample, reasons: Mapping[str, str]) -> str:
    """Why a derived column is not in a sample: by its source's reason, or for its short span.

    Parameters
    ----------
    entry
        A derived column that :func:`with_derived` has not added.
    sample
        The sample without it.
    reasons
        Skip reasons by name, of columns that are missing themselves.
    """
    source = entry.derived_from or entry.name
    if sample.has(source) and _part(entry) in _SPANS:
        return "span_too_short"
    return reasons.get(source, "missing_column")


# What is derived --------------------------------------------------------------------------------


def _parts(column: Column) -> Iterator[tuple[str, Kind, str]]:
    if column.kind == "timestamp":
        for part, span in _SPANS.items():
            hour_of_a_date = part == "hour" and column.type.startswith("date")
            if not hour_of_a_date and _covered(column, span) is not None:
                yield part, "categorical", "string"
    elif column.kind == "categorical" and "string" in column.type and _of_many(column):
        yield "length", "numeric", "int64"
        yield "digits", "numeric", "double"
        yield "non_ascii", "numeric", "double"


def _of_many(column: Column) -> bool:
    distinct = int(np.count_nonzero(np.bincount(column.present.astype(np.int64), minlength=1)))
    mostly_unique = distinct >= max(_ENOUGH, MOSTLY_UNIQUE * (column.rows - column.nulls))
    return distinct > MANY or mostly_unique


def _lag(schema: Sequence[SchemaColumn]) -> Iterator[SchemaColumn]:
    for arrival in _with_role(schema, "arrival"):
        for column in (arrival, *_with_role(schema, "time")):
            if column.kind != "timestamp":
                text = f"a lag needs Arrow timestamps, column {column.name!r} is {column.type}"
                raise DataError(text, hint="leave out `columns: {arrival: ...}`")
        yield SchemaColumn(f"{arrival.name}.lag", "numeric", "input", "double", arrival.name)


def _with_role(schema: Sequence[SchemaColumn], role: str) -> list[SchemaColumn]:
    return [column for column in schema if column.role == role]


# Their values -----------------------------------------------------------------------------------


def _part(entry: SchemaColumn) -> str:
    return entry.name.rpartition(".")[2]


def _derived(sample: Sample, schema: Sequence[SchemaColumn], entry: SchemaColumn) -> Column | None:
    source = entry.derived_from
    if source is None or not sample.has(source):
        return None
    column, part = sample.column(source), _part(entry)
    if part == "lag":
        events = [c.name for c in _with_role(schema, "time") if sample.has(c.name)]
        if not events:
            return None
        return _numeric(entry, _floats(column) - _floats(sample.column(events[0])))
    if part in _SPANS:
        covered = _covered(column, _SPANS[part])
        return None if covered is None else _calendar(entry, column, covered)
    shares = _TEXT_FACTS[part](_Texts.of(column.categories))
    return _numeric(entry, np.append(shares, np.nan)[column.values])


def _floats(column: Column) -> Floats:
    return column.values.astype(np.float64, copy=False)


def _numeric(entry: SchemaColumn, values: Floats) -> Column:
    return Column(entry.name, "numeric", entry.role, entry.type, values, ~np.isnan(values))


def _calendar(entry: SchemaColumn, column: Column, covered: Mask) -> Column:
    """Hours or weekdays of the covered rows; the others are null."""
    times = np.where(covered, column.values, 0.0)
    if _part(entry) == "hour":
        codes, names = np.floor(times / 3600) % 24, _HOURS
    else:
        codes, names = (np.floor(times / _DAY) + 3) % 7, _WEEKDAYS  # 1970 began on a Thursday
    values = np.where(covered, codes, -1).astype(np.int32)
    return Column(entry.name, "categorical", entry.role, entry.type, values, covered, names)


def _covered(column: Column, span: float) -> Mask | None:
    """The rows of the last whole days (weeks); None where there is not one.

    A batch of 30 hours holds some hours twice and would differ from every reference, so only its
    last 24 are looked at. Times are points: a batch of one day ends a little before midnight. So
    the longest silence within it is added to the span. A few wild times, such as the zero of a
    clock, make no day: all but the outermost hundredths must span a third of one.
    """
    times = np.sort(column.present)
    if times.size == 0:
        return column.valid
    silence = float(np.diff(times).max()) if times.size > 1 else 0.0
    last = float(times[-1])
    whole = np.floor((last - float(times[0]) + silence) / span)
    beside = times.size // 100
    if whole < 1 or times[-1 - beside] - times[beside] < span / 3:
        return None
    return np.asarray(column.valid & (column.values > last - whole * span))


@dataclass(frozen=True, slots=True, eq=False)
class _Texts:
    """Code points of texts, one after the other, in pieces that bound the memory."""

    pieces: tuple[tuple[NDArray[np.uint32], NDArray[np.int64]], ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Texts:
        starts = range(0, len(texts), _CHUNK)
        return cls(tuple(_code_points(texts[start : start + _CHUNK]) for start in starts))

    def lengths(self) -> Floats:
        return np.concatenate([np.zeros(0), *(lengths for _, lengths in self.pieces)])

    def share(self, wanted: Callable[[NDArray[np.uint32]], Mask]) -> Floats:
        """Share of the characters of each text that are wanted; 0 of an empty text."""
        counts = [np.zeros(0)]
        for points, lengths in self.pieces:
            upto = np.concatenate([[0], np.cumsum(wanted(points))])
            ends = np.cumsum(lengths)
            counts.append(upto[ends] - upto[ends - lengths])
        return np.concatenate(counts) / np.maximum(1, self.lengths())


def _code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    return np.frombuffer(joined, dtype="<u4"), lengths


_TEXT_FACTS: Mapping[str, Callable[[_Texts], Floats]] = {
    "length": _Texts.lengths,
    "digits": lambda texts: texts.share(lambda points: (points >= 48) & (points <= 57)),
    "non_ascii": lambda texts: texts.share(lambda points: points > 127),
}
