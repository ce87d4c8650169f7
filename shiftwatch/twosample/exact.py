"""Plain MMD with one Gaussian kernel, exact, whose kernel matrix is never held.

In:    rows of both samples in random order; the width of the kernel; a generator.
Out:   MMD^2 without bias, and its p-value by permutation; sums of the kernel over blocks of rows.
Never: approximates the kernel; knows columns or a level.

The matrix is made in tiles that stay in the cache, summed up over blocks of rows, and forgotten. A
permutation of whole blocks needs no more than those sums, and is one of a subgroup of all
permutations, so the level is exact (idea: Domingo-Enrich, Dwivedi & Mackey 2023, arXiv:2301.05974,
used here without compression). The part within the reference is summed up once and kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shiftwatch.twosample import permutation

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
Numbers = NDArray[np.floating]

_KEPT_BLOCKS = 768
"""Blocks of the reference at most that sums are kept of; joined to larger ones by the batch."""

_FEWEST_BLOCKS = 384
"""Blocks of both samples together at least, as far as there are rows: from 350 on the p-value is
that of all permutations to Monte-Carlo error (``benchmarks/calibration/mmd.py``)."""

_LEAST_BLOCKS = 16
"""Blocks of each sample at least, as far as it has rows."""

_RATIO, _RATIO_ROWS = 50, 1000
"""A batch too small for the kept blocks is compared with so many times its rows, or this number."""

_TILE_ROWS = 384
"""Rows of each side of a tile, which takes 590 kB: the second cache holds it. Half of it is slower by
a tenth, as more time goes between the tiles."""

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
    total
        Its sum over all pairs of different rows, those beyond the last whole block included.
    """

    rows: Features
    centre: Floats
    gamma: float
    size: int
    sums: Features
    total: float


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What the kernel says of two samples.

    Parameters
    ----------
    square
        MMD^2 without bias, over all rows; below 0 by chance where nothing differs.
    p_value
        (1 + permuted values not below the observed one) / (permutations + 1).
    values
        Shape (permutations + 1,): the same estimate over the rows of whole blocks, observed first.
    sums
        Sums of the kernel over pairs of blocks, a row with itself left out; those of the batch
        come first.
    current
        Blocks of the batch.
    size
        Rows of a block.
    """

    square: float
    p_value: float
    values: Floats
    sums: Features
    current: int
    size: int

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the reference and of the batch that are permuted."""
        return (len(self.sums) - self.current) * self.size, self.current * self.size


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
    sums, total = _within(rows, gamma, size)
    return Kept(rows, centre, gamma, size, sums, total)


def compare(kept: Kept, y: Numbers, permutations: int, rng: np.random.Generator) -> Compared:
    """Compare a batch with a kept reference.

    Parameters
    ----------
    kept
        Of at least 2 rows.
    y
        Shape (n, d), n >= 2, in random order.
    permutations
        Of the labels of blocks, drawn from ``rng``.
    """
    rows = (y - kept.centre).astype(np.float32)
    reference = _suited(kept, len(rows))
    size, x = reference.size, reference.rows
    yy, total_yy = _within(rows, kept.gamma, size)
    yx, total_yx = _across(rows, x, kept.gamma, size)
    sums = np.block([[yy, yx], [yx.T, reference.sums]])
    square = float(_unbiased(reference.total, total_yy, total_yx, len(x), len(rows)))
    values = _permuted(sums, len(yy), size, permutations, rng)
    return Compared(square, _share_reached(values), values, sums, len(yy), size)


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


def _suited(kept: Kept, current: int) -> Kept:
    """The reference in blocks that suit so many rows of the batch: larger ones, or smaller ones."""
    rows = len(kept.rows)
    if min(rows, current) < _LEAST_BLOCKS * kept.size:
        few = kept.rows[: max(_RATIO_ROWS, _RATIO * current)]
        size = max(1, min(len(few), current) // _LEAST_BLOCKS)
        sums, total = _within(few, kept.gamma, size)
        return Kept(few, kept.centre, kept.gamma, size, sums, total)
    most = min(rows, current) // (_LEAST_BLOCKS * kept.size)
    joined = max(1, min((rows + current) // (_FEWEST_BLOCKS * kept.size), most))
    sums = _joined(kept.sums, joined)
    return Kept(kept.rows, kept.centre, kept.gamma, kept.size * joined, sums, kept.total)


def _joined(sums: Features, joined: int) -> Features:
    """Sums over blocks that are so many of the given ones; what makes no whole block is left out."""
    count, ones = len(sums) // joined, np.ones(joined, np.float32)
    whole = sums[: count * joined, : count * joined]
    over_rows = ones @ whole.reshape(count, joined, count * joined)
    return np.asarray(over_rows.reshape(count, count, joined) @ ones)


# ------------------------------------------------------------------------------- sums of the kernel


def _within(rows: Features, gamma: float, size: int) -> tuple[Features, float]:
    """Sums over pairs of blocks of one sample, and over all pairs of different rows."""
    left, right = _exponents(rows, gamma)
    count = len(rows) // size
    sums = np.empty((count, count), np.float32)
    _add_tiles(sums, _tiles(left, size), _tiles(right, size), size, symmetric=True)
    used = count * size
    total = float(sums.sum(dtype=np.float64)) + 2 * _total(left[used:], right[:used])
    return sums, total + _total(left[used:], right[used:]) - (len(rows) - used)


def _across(a: Features, b: Features, gamma: float, size: int) -> tuple[Features, float]:
    """Sums over a block of each sample, and over all pairs of rows."""
    left, right = _exponents(a, gamma)[0], _exponents(b, gamma)[1]
    counts = len(a) // size, len(b) // size
    sums = np.empty(counts, np.float32)
    _add_tiles(sums, _tiles(left, size), _tiles(right, size), size, symmetric=False)
    used = counts[0] * size, counts[1] * size
    total = float(sums.sum(dtype=np.float64)) + _total(left[used[0] :], right)
    return sums, total + _total(left[: used[0]], right[used[1] :])


def _exponents(rows: Features, gamma: float) -> tuple[Features, Features]:
    """Two matrices L and R of which L R' is -gamma |x - y|^2, for one product to make it all."""
    scaled = rows * np.float32(math.sqrt(2 * gamma))
    norms = -0.5 * np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64)
    norms, ones = norms.astype(np.float32)[:, None], np.ones((len(rows), 1), np.float32)
    return np.hstack([scaled, norms, ones]), np.hstack([scaled, ones, norms])


def _tiles(rows: Features, size: int) -> list[Features]:
    """Whole blocks, as many as make a tile; in it the first rows of all, then all second ones.

    So the sum over a block adds up long stretches of memory.
    """
    width = rows.shape[1]
    blocks = rows[: len(rows) // size * size].reshape(-1, size, width)
    each = max(1, _TILE_ROWS // size)
    starts = range(0, len(blocks), each)
    return [blocks[s : s + each].transpose(1, 0, 2).reshape(-1, width) for s in starts]


def _add_tiles(
    sums: Features,
    left: Sequence[Features],
    right: Sequence[Features],
    size: int,
    *,
    symmetric: bool,
) -> None:
    """Fill in the sums tile by tile; of a symmetric matrix one half is made and mirrored."""
    room = np.empty(max(map(len, left), default=0) * max(map(len, right), default=0), np.float32)
    each = max(1, _TILE_ROWS // size)
    for i, a in enumerate(left):
        rows = slice(i * each, i * each + len(a) // size)
        for j in range(i if symmetric else 0, len(right)):
            b = right[j]
            columns = slice(j * each, j * each + len(b) // size)
            tile = room[: len(a) * len(b)].reshape(len(a), len(b))
            np.exp(np.matmul(a, b.T, out=tile), out=tile)
            if symmetric and i == j:
                np.fill_diagonal(tile, 0.0)
            sums[rows, columns] = _block_sums(tile, size)
            if symmetric:
                sums[columns, rows] = sums[rows, columns].T


def _block_sums(tile: Features, size: int) -> Features:
    """Sums of a tile over its blocks; few numbers of like size, so single precision does."""
    if size == 1:
        return tile
    ones = np.ones(size, np.float32)
    over_rows = ones @ tile.reshape(size, -1)
    return np.asarray(ones @ over_rows.reshape(len(tile) // size, size, -1))


def _total(left: Features, right: Features) -> float:
    """Sum of the kernel over all pairs; one side is less than a block."""
    return float(np.exp(left @ right.T).sum(dtype=np.float64))


# ------------------------------------------------------------------------------------- permutations


def _unbiased(
    xx: Numbers | float, yy: Numbers | float, xy: Numbers | float, m: int, n: int
) -> Numbers | float:
    """MMD^2 of Gretton et al. (2012), JMLR 13, Lemma 6, from sums over pairs of different rows."""
    return xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n)


def _permuted(
    sums: Features, current: int, size: int, permutations: int, rng: np.random.Generator
) -> Floats:
    """MMD^2 under the observed and permuted labels of blocks, shape (permutations + 1,).

    With labels s (1 for the batch), r the sums of the rows of the matrix K of ``sums`` and t its
    sum: yy = s'Ks, xy = s'r - yy, xx = t - 2 s'r + yy. The product is made in single precision of
    the centred matrix, in which nothing large has to cancel, and what centring took is added in
    double.
    """
    count = len(sums)
    table = permutation.labels(count, current, permutations, rng)
    row_sums = sums.sum(axis=1, dtype=np.float64)
    total = float(row_sums.sum())
    excess = row_sums / count - total / count**2 / 2
    centred = sums - excess.astype(np.float32)[:, None]
    centred -= excess.astype(np.float32)
    inner = np.einsum("bi,bi->b", table @ centred, table).astype(np.float64)
    of_batch = table.astype(np.float64) @ row_sums
    yy = inner + 2 * current / count * of_batch - (current / count) ** 2 * total
    xx, xy = total - 2 * of_batch + yy, of_batch - yy
    m, n = (count - current) * size, current * size
    return np.asarray(_unbiased(xx, yy, xy, m, n))


def _share_reached(values: Floats) -> float:
    band = _TIE_BAND * (abs(values[0]) + values.std()) + 1e-12
    return float(np.count_nonzero(values >= values[0] - band) / values.size)
