"""Plain MMD with one Gaussian kernel, exact, whose kernel matrix is never held.

In:    rows of both samples in random order; the width of the kernel; a generator.
Out:   MMD^2 without bias, and its p-value by permutation; sums of the kernel over blocks of rows.
Never: approximates the kernel; leaves out a row; knows columns or a level.

The matrix is made in tiles that stay in the cache, summed up over blocks of rows, and forgotten. A
permutation of whole blocks needs no more than those sums (idea: Domingo-Enrich, Dwivedi & Mackey
2023, arXiv:2301.05974, used here without compression). Rows beyond the last whole block of a sample
are permuted one by one among themselves: leaving them out moved the p-value by more than permuting
blocks did. Both together are a subgroup of all permutations, so the level is exact. The part within
the reference is summed up once and kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shiftwatch.twosample import permutation

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
Numbers = NDArray[np.floating]

_KEPT_BLOCKS = 1024
"""Blocks of the reference at most that sums are kept of; joined to larger ones by the batch."""

_FEWEST_BLOCKS = 350, 700
"""Blocks of both samples together at least, as far as there are rows: as many as permutations,
between these. Pairs of rows within a block never part, which moves all permuted values by about
1/sqrt(blocks) of their standard deviation. With 1000 the p-value should differ from that of all
permutations by 1.1 times the Monte-Carlo error of 999, and with 350 by 1.3 times, which among fewer
permutations does not matter; ``benchmarks/calibration/mmd.py`` has what was measured."""

_LEAST_BLOCKS = 16
"""Blocks of each sample at least, as far as it has rows."""

_RATIO, _RATIO_ROWS = 50, 1000
"""A batch too small for the kept blocks is compared with so many times its rows, or this number."""

_TILE_ROWS = 384
"""Rows of each side of a tile, which takes 590 kB: the second cache holds it. With 256 more time goes
between the tiles, 3 % of all."""

_STRIP = 64
"""Columns of a strip of a symmetric matrix, of which half is enough."""

_ROUNDING = 1e-6
"""Of a kernel's value in single precision; where all rows are the same there is nothing else."""

_TIE_BAND = 1e-5
"""In standard deviations of the permuted values: single precision must never help a shift."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A reference, prepared for any batch.

    Parameters
    ----------
    rows
        Shape (m, d), less ``centre``, in random order.
    centre
        Shape (d,): small numbers lose less in single precision.
    gamma
        Of the kernel exp(-gamma |x - y|^2).
    size
        Rows of a block.
    sums
        Sums of the kernel over pairs of blocks, a row with itself left out; shape (m // size,) * 2.
    """

    rows: Features
    centre: Floats
    gamma: float
    size: int
    sums: Features


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What the kernel says of two samples.

    Parameters
    ----------
    square
        MMD^2 without bias, of all rows; below 0 by chance where nothing differs.
    p_value
        (1 + permuted values not below the observed one) / (permutations + 1).
    values
        Shape (permutations + 1,): the square under the observed and the permuted labels.
    sums
        Sums of the kernel over pairs of groups of rows that are permuted as one, a row with itself
        left out; shape (groups, groups).
    sizes
        Rows of each group.
    batch
        Which groups are the batch's.
    """

    square: float
    p_value: float
    values: Floats
    sums: Features
    sizes: Floats
    batch: NDArray[np.bool_]


def keep(x: Numbers, gamma: float) -> Kept:
    """Sum up the kernel within a reference.

    Parameters
    ----------
    x
        Shape (m, d), in random order (:func:`permutation.drawn_rows`).
    gamma
        Of the kernel exp(-gamma |x - y|^2), > 0.
    """
    centre = x.mean(axis=0, dtype=np.float64)
    rows = (x - centre).astype(np.float32)
    size = max(1, -(-len(rows) // _KEPT_BLOCKS))
    return Kept(rows, centre, gamma, size, _within(rows, gamma, size))


def compare(kept: Kept, y: Numbers, permutations: int, rng: np.random.Generator) -> Compared:
    """Compare a batch with a kept reference.

    Parameters
    ----------
    kept
        Of at least 2 rows.
    y
        Shape (n, d), n >= 2, in random order.
    permutations
        Of the labels, drawn from ``rng``.
    """
    fewest = min(max(_FEWEST_BLOCKS[0], permutations), _FEWEST_BLOCKS[1])
    reference = _suited(kept, len(y), fewest)
    sums, counts = _sums(reference, (y - kept.centre).astype(np.float32))
    batch, others, single, other_singles = counts
    whole = permutation.labels(batch + others, batch, permutations, rng)
    rest = permutation.labels(single + other_singles, single, permutations, rng)
    table = np.hstack([whole, rest])
    sizes = np.repeat([reference.size, 1.0], [whole.shape[1], rest.shape[1]])
    values = _squares(sums, sizes, table)
    rounding = _ROUNDING * (1 / len(reference.rows) + 1 / len(y))
    band = _TIE_BAND * (abs(values[0]) + values.std()) + rounding
    reached = np.count_nonzero(values >= values[0] - band)
    p_value = float(reached / values.size)
    return Compared(float(values[0]), p_value, values, sums, sizes, table[0] > 0)


def at_once(
    x: Numbers, y: Numbers, gamma: float, permutations: int, rng: np.random.Generator
) -> Compared:
    """Compare two samples at once, whatever the order of their rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((400, 3)), rng.standard_normal((100, 3)) + 0.5
    >>> found = at_once(x, y, 0.2, 999, rng)
    >>> round(found.square, 4), found.p_value
    (0.1017, 0.001)
    """
    mixed = [side[permutation.drawn_rows(side, len(side), rng)] for side in (x, y)]
    return compare(keep(mixed[0], gamma), mixed[1], permutations, rng)


def _suited(kept: Kept, current: int, fewest: int) -> Kept:
    """The reference in larger blocks, but for so many of both sides; in smaller ones for few rows.

    ``current`` are the rows of the batch, ``fewest`` blocks of both sides.
    """
    rows = kept.rows
    most = min(len(rows), current) // (_LEAST_BLOCKS * kept.size)
    if most == 0 and kept.size > 1:
        rows = rows[: max(_RATIO_ROWS, _RATIO * current)]
        size = max(1, min(len(rows), current) // _LEAST_BLOCKS)
        return Kept(rows, kept.centre, kept.gamma, size, _within(rows, kept.gamma, size))
    wanted = (len(rows) + current) // (fewest * kept.size)
    joined = max(1, min(wanted, most))
    return Kept(rows, kept.centre, kept.gamma, kept.size * joined, _joined(kept.sums, joined))


def _joined(sums: Features, joined: int) -> Features:
    """Sums over blocks that are so many of the given ones; what makes no whole block is left out."""
    if joined == 1:
        return sums
    count, ones = len(sums) // joined, np.ones(joined, np.float32)
    whole = sums[: count * joined, : count * joined]
    over_rows = ones @ whole.reshape(count, joined, count * joined)
    return np.asarray(over_rows.reshape(count, count, joined) @ ones)


# ------------------------------------------------------------------------------- sums of the kernel


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Whole blocks of rows in tiles, twice: L and R, so that L R' is -gamma |x - y|^2 of two sides.

    In a tile come the first rows of all its blocks, then all second ones, so that a sum over blocks
    adds up long stretches of memory.
    """

    size: int
    left: Sequence[Features]
    right: Sequence[Features]

    @classmethod
    def of(cls, rows: Features, gamma: float, size: int) -> _Side:
        """Of as many rows as make whole blocks."""
        scaled = rows[: len(rows) // size * size] * np.float32(math.sqrt(2 * gamma))
        norms = -0.5 * np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64)
        more = np.ones((len(scaled), 2), np.float32)
        more[:, 0] = norms
        pair = (np.hstack([scaled, more]), np.hstack([scaled, more[:, ::-1]]))
        return cls(size, *(_tiles(each, size) for each in pair))


def _tiles(rows: Features, size: int) -> list[Features]:
    width = rows.shape[1]
    blocks = rows.reshape(-1, size, width)
    each = max(1, _TILE_ROWS // size)
    starts = range(0, len(blocks), each)
    return [blocks[s : s + each].transpose(1, 0, 2).reshape(-1, width) for s in starts]


def _sums(reference: Kept, batch: Features) -> tuple[Features, tuple[int, int, int, int]]:
    """Sums over pairs of groups, and how many of those there are.

    Returns
    -------
    Shape (groups, groups): blocks of the batch, of the reference, single rows of both.
    The number of each of the four.
    """
    size = reference.size
    counts = len(batch) // size, len(reference.rows) // size
    rest = [
        rows[count * size :] for count, rows in zip(counts, (batch, reference.rows), strict=True)
    ]
    y, x = (_Side.of(rows, reference.gamma, size) for rows in (batch, reference.rows))
    single = _Side.of(np.concatenate(rest), reference.gamma, 1)
    cuts = np.cumsum([0, *counts, len(rest[0]) + len(rest[1])])
    own, other, last = (slice(a, b) for a, b in itertools.pairwise(cuts))
    sums = np.empty((cuts[-1], cuts[-1]), np.float32)
    _fill(sums[own, own], y, y)
    sums[other, other] = reference.sums
    _fill(sums[last, last], single, single)
    for rows, columns, a, b in (
        (own, other, y, x),
        (last, own, single, y),
        (last, other, single, x),
    ):
        _fill(sums[rows, columns], a, b)
        sums[columns, rows] = sums[rows, columns].T
    return sums, (*counts, len(rest[0]), len(rest[1]))


def _within(rows: Features, gamma: float, size: int) -> Features:
    """Sums over pairs of blocks of one sample."""
    side = _Side.of(rows, gamma, size)
    sums = np.empty((len(rows) // size,) * 2, np.float32)
    _fill(sums, side, side)
    return sums


def _fill(sums: Features, a: _Side, b: _Side) -> None:
    """Sums over pairs of blocks, tile by tile; of one side with itself half of it, and mirrored."""
    room = np.empty(len(a.left[0]) * len(b.right[0]) if a.left and b.right else 0, np.float32)
    steps = [max(1, _TILE_ROWS // side.size) for side in (a, b)]
    for i, left in enumerate(a.left):
        rows = slice(i * steps[0], (i + 1) * steps[0])
        for j in range(i if a is b else 0, len(b.right)):
            columns = slice(j * steps[1], (j + 1) * steps[1])
            tile = room[: len(left) * len(b.right[j])].reshape(len(left), -1)
            np.exp(np.matmul(left, b.right[j].T, out=tile), out=tile)
            if a is b and i == j:
                np.fill_diagonal(tile, 0.0)
            sums[rows, columns] = _block_sums(tile, a.size, b.size)
            if a is b:
                sums[columns, rows] = sums[rows, columns].T


def _block_sums(tile: Features, size: int, other: int) -> Features:
    """Sums of a tile over blocks; few numbers of like size, so single precision does."""
    count = len(tile) // size
    if size > 1:
        tile = np.ones(size, np.float32) @ tile.reshape(size, -1)
    if other > 1:
        tile = np.ones(other, np.float32) @ tile.reshape(count, other, -1)
    return tile.reshape(count, -1)


# ------------------------------------------------------------------------------------- permutations


def _squares(sums: Features, sizes: Floats, table: Features) -> Floats:
    """MMD^2 for every row of labels, shape (permutations + 1,).

    The estimate without bias of Gretton et al. (2012), JMLR 13, Lemma 6,

        xx / (m (m - 1)) + yy / (n (n - 1)) - 2 xy / (m n),

    of sums over pairs of different rows. With labels s (1 for the batch), K the matrix of ``sums``,
    r the sums of its rows and t its sum: yy = s'Ks, xy = s'r - yy, xx = t - 2 s'r + yy. Products are
    made in single precision of the centred matrix, and of r less its mean for every row, where
    nothing large has to cancel; what centring took is added in double.
    """
    row_sums = sums.sum(axis=1, dtype=np.float64)
    total, rows = float(row_sums.sum()), float(sizes.sum())
    n = float(table[0] @ sizes)
    m = rows - n
    # Either side tells the same, as what is centred adds up to 0; fewer terms lose less.
    smaller, sign = (table, 1.0) if n <= m else (1 - table, -1.0)
    centred_rows = (row_sums - sizes * (total / rows)).astype(np.float32)
    of_batch = sign * (smaller @ centred_rows).astype(np.float64) + n * total / rows
    inner = _forms(centre(sums, sizes), smaller)
    yy = inner + 2 * n / rows * of_batch - (n / rows) ** 2 * total
    xx, xy = total - 2 * of_batch + yy, of_batch - yy
    return np.asarray(xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n))


def _forms(matrix: Features, table: Features) -> Features:
    """Quadratic forms of a symmetric matrix in every row of a table, by strips of one half of it."""
    found = np.zeros(len(table), np.float32)
    for start in range(0, len(matrix), _STRIP):
        own, right = slice(start, start + _STRIP), slice(start + _STRIP, None)
        beside = 2 * (table[:, right] @ matrix[right, own])
        beside += table[:, own] @ matrix[own, own]
        found += np.einsum("bi,bi->b", beside, table[:, own])
    return found


def centre(sums: Features, sizes: Floats) -> Features:
    """C with ``sums`` = C + w e' + e w', of which all rows add up to 0; w are the ``sizes``."""
    rows = float(sizes.sum())
    row_sums = sums.sum(axis=1, dtype=np.float64)
    excess = row_sums / rows - sizes * (float(row_sums.sum()) / (2 * rows**2))
    both = np.stack([sizes, excess]).astype(np.float32)
    return np.asarray(sums - both.T @ both[::-1])
