"""Counts by category, and draws of them under the null: what chi-square and unseen share.

In:    a categorical column; pooled counts and a generator.
Out:   counts in a stable order; stable hashes; a sequential Monte-Carlo p-value.
Never: knows a statistic; compares with a level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Prepared

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

EXCEEDANCES = 20
"""Draws at least as extreme as the data after which drawing stops (h of Besag and Clifford)."""

_FIRST_CHUNK = 128
_CHUNK_CELLS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Categories that occur, the most frequent first and then by text, with their counts."""

    categories: tuple[str, ...]
    counts: Counts

    @property
    def rows(self) -> int:
        """Rows that are not null."""
        return int(self.counts.sum())


def tally(column: Column) -> Tally:
    """Count a categorical column's present values; the order of rows does not matter.

    Examples
    --------
    >>> from shiftwatch.sample import categorical
    >>> tally(categorical("plan", ["b", "a", None, "b"])).categories
    ('b', 'a')
    """
    counts = np.bincount(column.present.astype(np.int64), minlength=len(column.categories))
    held = np.flatnonzero(counts).tolist()
    order = sorted(held, key=lambda code: (-int(counts[code]), column.categories[code]))
    names = tuple(column.categories[code] for code in order)
    return Tally(names, counts[np.asarray(order, dtype=np.int64)].astype(np.int64))


def unfit(rows_reference: int, rows_current: int) -> NotTested | None:
    """Why present rows do not suffice for a test of categories, or None."""
    if min(rows_reference, rows_current) == 0:
        side = "of the reference" if rows_reference == 0 else "of the batch"
        return NotTested("all_null", side)
    if min(rows_reference, rows_current) < MIN_ROWS:
        return NotTested("too_few_rows", f"{rows_reference} reference, {rows_current} current")
    return None


def hashes(categories: Sequence[str]) -> NDArray[np.uint64]:
    """The first 8 bytes of BLAKE2b of each text in UTF-8: the same on every machine.

    Examples
    --------
    >>> int(hashes(["basic"])[0]) % 64
    40
    """
    digests = (int.from_bytes(blake2b(text.encode()).digest()[:8]) for text in categories)
    return np.fromiter(digests, dtype=np.uint64, count=len(categories))


def hashed(counted: Tally) -> Prepared:
    """Hashes of the categories, ascending, with their counts, and the rows as a fact."""
    keys = hashes(counted.categories)
    order = np.argsort(keys)
    arrays = {"hashes": keys[order], "counts": counted.counts[order]}
    return Prepared(arrays, {"rows": counted.rows})


def find(keys: NDArray[np.uint64], categories: Sequence[str]) -> tuple[NDArray[np.bool_], Counts]:
    """Which categories are among the ascending keys, and where; at least one key."""
    wanted = hashes(categories)
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1).astype(np.int64)
    return keys[place] == wanted, place


def pool(prepared: Prepared, counted: Tally) -> tuple[Counts, NDArray[np.bool_]]:
    """Pooled counts: of the reference's categories, then of those it lacks; and which it knows.

    Parameters
    ----------
    prepared
        As made by :func:`hashed`.
    counted
        Of the batch.
    """
    known, place = find(np.asarray(prepared.arrays["hashes"]), counted.categories)
    pooled = np.asarray(prepared.arrays["counts"], dtype=np.int64).copy()
    np.add.at(pooled, place[known], counted.counts[known])
    return np.concatenate([pooled, counted.counts[~known]]), known


def bucketed(counted: Tally, buckets: int) -> Counts:
    """Counts by bucket of the hash, shape (buckets,); labels play no part, so tests stay exact."""
    place = (hashes(counted.categories) % np.uint64(buckets)).astype(np.int64)
    totals = np.zeros(buckets, dtype=np.int64)
    np.add.at(totals, place, counted.counts)
    return totals


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What a sequential Monte-Carlo run saw; ``p_value`` is valid at every level."""

    statistics: Floats
    exceedances: int
    p_value: float


def sequential_p_value(
    draw: Callable[[int], Floats],
    threshold: float,
    max_draws: int,
    enough: Callable[[Floats], bool],
    cells: int,
) -> Draws:
    """Monte-Carlo p-value that stops at the 20th draw that reaches ``threshold``.

    Parameters
    ----------
    draw
        Gives that many statistics drawn under the null.
    threshold
        Draws at or above it count as exceedances.
    max_draws
        Draws at most.
    enough
        Asked between chunks while there is no exceedance at all; True stops.
    cells
        Memory of one draw in numbers; it bounds the size of a chunk.

    Notes
    -----
    Besag and Clifford (1991): h / L if the h-th exceedance came at draw L, else (S+1) / (B+1)
    with S exceedances in B draws. Under the null about h (1 + ln(B/h)) draws are made, 160 of
    20 000.
    """
    seen: list[Floats] = []
    made, exceedances, chunk = 0, 0, _FIRST_CHUNK
    while made < max_draws:
        size = min(chunk, max_draws - made, max(1, _CHUNK_CELLS // cells))
        fresh = draw(size)
        seen.append(fresh)
        hits = np.flatnonzero(fresh >= threshold)
        if exceedances + hits.size >= EXCEEDANCES:
            last = made + int(hits[EXCEEDANCES - exceedances - 1]) + 1
            return Draws(np.concatenate(seen), EXCEEDANCES, EXCEEDANCES / last)
        made, exceedances, chunk = made + size, exceedances + hits.size, chunk * 2
        if exceedances == 0 and enough(np.concatenate(seen)):
            break
    return Draws(np.concatenate(seen), exceedances, (exceedances + 1) / (made + 1))


def draw_counts(totals: Counts, rows: int, size: int, rng: np.random.Generator) -> Counts:
    """Counts of ``rows`` rows drawn from the pooled sample, shape (size, cells).

    The law of the batch's counts given the pooled ones, if nothing has shifted: multivariate
    hypergeometric. Of numpy's two ways the faster is taken: by row when rows are few, else by cell.
    """
    pooled = int(totals.sum())
    by_row = min(rows, pooled - rows) < 10 * totals.size and pooled <= 2_000_000
    method: Literal["count", "marginals"] = "count" if by_row else "marginals"
    return rng.multivariate_hypergeometric(totals, rows, size=size, method=method)
