"""Windows of a reference: runs of rows in their order, of about a batch's length.

In:    rows in order; the cycle (day, week) each belongs to, where only part of each is there.
Out:   places of windows at a few lengths; whether rows in runs are more alike than rows anywhere.
Never: knows a test of two samples; sees a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from shiftwatch.sample import Column

Floats = NDArray[np.float64]
Cycles = NDArray[np.int64]
Bounds = tuple[tuple[int, int], ...]
"""First row and the row after the last, of each window."""

FEWEST = 10
"""Windows below which an inflation is not measured."""

MOST = 32
"""Windows of one length: then the inflation is known to a fifth or so."""

SHORTEST = 30
LONGEST = 50_000
_STEPS = (100, 500, 2500, 12_500)
_ROWS_READ = 300_000
_BLOCKS = (20, 200, 2000)
LOOKED_AT = 100_000
"""Rows in which likeness and seasons are looked for, where their order is that of time."""

GLANCED_AT = 40_000
"""Rows in which likeness is looked for, where their order may mean nothing."""

_CHUNK = 2000
_SHARES = 8
_RAREST = 0.05


def lengths(rows: int, cycles: Cycles | None = None) -> tuple[int, ...]:
    """Lengths of window at which to measure: 100, 500, 2500 and so on, and the longest possible.

    That is a tenth of the reference, or the rows of a cycle where it is in cycles. Empty where
    not even 30 rows make a tenth.

    Examples
    --------
    >>> lengths(20_000), lengths(200)
    ((100, 500, 2000), ())
    """
    longest = min(LONGEST, rows // FEWEST)
    if cycles is not None:
        longest = min(longest, int(np.median(np.unique(cycles, return_counts=True)[1])))
    if longest < SHORTEST:
        return ()
    return (*(step for step in _STEPS if 2 * step <= longest), longest)


def bounds(rows: int, length: int, cycles: Cycles | None = None, most: int | None = None) -> Bounds:
    """Where windows of a length lie: end to end, or spread evenly where fewer are wanted.

    Parameters
    ----------
    rows
        Of the reference.
    length
        Of a window. A cycle with at least half of that many rows is a window as a whole.
    cycles
        Cycle of each row, in order, shape (rows,); a window lies within one. None: all rows are
        one run.
    most
        Windows at most; None for all.

    Examples
    --------
    >>> bounds(10, 4), bounds(10, 2, most=2)
    (((0, 4), (4, 8)), ((0, 2), (8, 10)))
    """
    found = [
        (start, stop)
        for first, last in _runs(rows, cycles)
        for start, stop in _cut(first, last, length, whole=cycles is not None)
    ]
    if most is None or len(found) <= most:
        return tuple(found)
    return tuple(found[place] for place in np.linspace(0, len(found) - 1, most).astype(int))


def affordable(length: int) -> int:
    """Windows of a length that are looked at: 32, and fewer of long ones, but 10."""
    return min(MOST, max(FEWEST, _ROWS_READ // length))


def _runs(rows: int, cycles: Cycles | None) -> Iterator[tuple[int, int]]:
    if cycles is None:
        yield 0, rows
        return
    ends = [*np.flatnonzero(np.diff(cycles)) + 1, rows]
    yield from zip([0, *ends[:-1]], ends, strict=True)


def _cut(first: int, last: int, length: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    count = (last - first) // length
    if count == 0 and whole and 2 * (last - first) >= length:
        yield int(first), int(last)
    for place in range(count):
        yield int(first) + place * length, int(first) + (place + 1) * length


def chunks(rows: int, most: int = LOOKED_AT) -> NDArray[np.int64]:
    """Rows to look at for likeness: all, or where there are more evenly spread runs of 2000."""
    if rows <= most:
        return np.arange(rows)
    starts = np.linspace(0, rows - _CHUNK, most // _CHUNK).astype(np.int64)
    return np.asarray((starts[:, None] + np.arange(_CHUNK)).ravel())


def spread(rows: int) -> NDArray[np.int64]:
    """Rows to look at for seasons: all, or of more than 100 000 every second, third, ..."""
    return np.arange(0, rows, max(1, -(-rows // LOOKED_AT)))


def scores(column: Column) -> list[Floats]:
    """Numbers in which dependence would show, each of mean 0; rows with a null have 0.

    Ranks and their distance from the middle of a numeric column; of a categorical one, which of
    its most frequent categories a row has; of either, whether a row is null, if that is not rare.
    """
    found = [_centred(~column.valid)] if _common(column.nulls / max(1, column.rows)) else []
    if column.kind == "numeric" and column.nulls < column.rows:
        ranks = _ranks(np.asarray(column.present, dtype=np.float64))
        if column.nulls:
            ranks = _spread_out(ranks, column.valid)
        found += [ranks, _centred(np.abs(ranks))]
    if column.kind == "categorical" and column.rows:
        counts = np.bincount(column.present.astype(np.int64), minlength=1)
        for code in np.argsort(-counts, kind="stable")[:_SHARES]:
            if _common(counts[code] / column.rows):
                found.append(_centred(column.values == code))
    return [each for each in found if each.any()]


def _common(share: float) -> bool:
    return _RAREST <= share <= 1 - _RAREST


def _centred(numbers: NDArray[np.bool_] | Floats) -> Floats:
    plain: Floats = numbers.astype(np.float64)
    plain -= plain.mean()
    return plain


def _spread_out(numbers: Floats, valid: NDArray[np.bool_]) -> Floats:
    """The numbers in the rows that have one, 0 in the others."""
    filled = np.zeros(valid.size)
    filled[valid] = numbers
    return filled


def _ranks(values: Floats) -> Floats:
    """Ranks over their number, minus a half; equal values have equal ranks.

    From one sort: looking up 100 000 unsorted values in their sorted copy takes ten times as long.
    """
    order = np.argsort(values)
    ordered = values[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    ties = np.diff(ends, prepend=0)
    ranks = np.empty(values.size)
    ranks[order] = np.repeat((2 * ends - ties) / (2 * values.size) - 0.5, ties)
    return ranks


def alike(columns: Iterable[Column], cycles: Cycles | None = None) -> dict[str, float]:
    """Whether rows in runs are more alike than rows taken anywhere: a p-value for each column.

    Parameters
    ----------
    columns
        Of the reference, their rows in order; one is held at a time.
    cycles
        As in :func:`bounds`.

    Returns
    -------
    dict
        By column, corrected (Bonferroni) for the scores and lengths of blocks looked at.

    Notes
    -----
    H = sum over blocks of size * mean^2 / variance, as of Kruskal and Wallis (1952), at blocks of
    20, 200 and 2000 rows and, with cycles, of whole cycles. If the order of rows is random, H has
    the mean B - covered/m with B blocks, and variance 2 (B - 1) + the excess kurtosis of the
    scores times sum 1/size; its law is taken as gamma with these moments.
    """
    blocks: list[NDArray[np.int64]] | None = None
    found: dict[str, float] = {}
    for column in columns:
        blocks = _blocks(column.rows, cycles) if blocks is None else blocks
        p_values = [p for numbers in scores(column) for p in _block_p(numbers, blocks)]
        found[column.name] = min(1.0, len(p_values) * min(p_values)) if p_values else 1.0
    return found


def _blocks(rows: int, cycles: Cycles | None) -> list[NDArray[np.int64]]:
    """Places of blocks by their length, shape (blocks, 2) each, where there are enough of them."""
    places = [bounds(rows, size, cycles) for size in _BLOCKS if size * FEWEST <= rows]
    if cycles is not None:
        places.append(tuple((int(a), int(b)) for a, b in _runs(rows, cycles)))
    return [np.asarray(where) for where in places if len(where) >= FEWEST]


def _block_p(numbers: Floats, blocks: Sequence[NDArray[np.int64]]) -> Iterator[float]:
    """P-value of each way to cut the rows, of scores with mean 0."""
    squares = np.square(numbers)
    variance = float(np.mean(squares))
    excess = float(np.mean(np.square(squares))) / variance**2 - 3
    for places in blocks:
        sizes = places[:, 1] - places[:, 0]
        statistic = float(np.sum(_totals(numbers, places) ** 2 / sizes)) / variance
        mean = len(places) - float(sizes.sum()) / numbers.size
        spread = max(0.1 * mean, 2 * (len(places) - 1) + excess * float(np.sum(1 / sizes)))
        yield float(gammaincc(mean**2 / spread, statistic * mean / spread))


def _totals(numbers: Floats, places: NDArray[np.int64]) -> Floats:
    """Sum of each block; the sums between them, every second one, are not asked for."""
    ends = places.ravel()
    if ends[-1] == numbers.size:  # the last block goes on to the last row
        ends = ends[:-1]
    return np.asarray(np.add.reduceat(numbers, ends)[::2])
