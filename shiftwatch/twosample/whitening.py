"""Columns as uncorrelated coordinates with unit variance, and their products.

In:    rows to fit on, whose labels are never asked; then rows to turn into coordinates.
Out:   Frame; coordinates of rows; sums of coordinates and products over blocks of rows.
Never: tests anything; makes a choice that depends on which rows are the batch's.

Whitening is symmetric (ZCA), C^-1/2 of the correlation matrix, so each coordinate stays with its
column and a shift in few columns stays a shift in few coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Sample
from shiftwatch.twosample import encoding
from shiftwatch.twosample.rows import text_key

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

_RIDGE = 1e-2
"""Added to every eigenvalue of the correlation matrix, whose mean is 1: directions of less variance
than this are mostly rounding or columns that repeat each other."""

_MOST_WHITENED = 400
"""Wider matrices are only standardised: the cost of a check must not grow with the cube of them,
nor its memory with the square."""

_MOST_SQUARED = 100
"""Numeric columns that are squared and multiplied; of more, a choice by name."""

_MOST_PRODUCTS = 300
"""Products of two columns: half of them the most correlated pairs, half a choice by name."""

_COLUMNS_AT_ONCE = 64
"""Columns that are held in double precision at the same time: 2.5 MB of 5000 rows."""

_BLOCKS_AT_ONCE = 128
"""Blocks whose products are held at the same time: 5 MB at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """How rows become coordinates.

    ``whitening`` is (width, width), or (0, 0) where the columns are only standardised; ``pairs``
    (q, 2) are indices of the coordinates multiplied; ``owners`` (width,) are the columns behind the
    coordinates.
    """

    facts: list[dict[str, Any]]
    centre: Features
    scale: Features
    whitening: Features
    pairs: NDArray[np.int64]
    pair_centre: Floats
    pair_scale: Floats
    owners: NDArray[np.int64]

    def to_plain(self) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]:
        """Arrays and JSON."""
        names = self.__slots__[1:]
        return {name: getattr(self, name) for name in names}, self.facts

    @classmethod
    def from_plain(cls, arrays: Mapping[str, NDArray[Any]], facts: list[dict[str, Any]]) -> Frame:
        """The inverse of :meth:`to_plain`."""
        names = cls.__slots__[1:]
        return cls(facts, *(arrays[name] for name in names))

    def standardised(self, sample: Sample) -> Features:
        """Shape (rows, width): before whitening."""
        encoded, _ = encoding.encode(self.facts, sample)
        encoded -= self.centre
        encoded /= self.scale
        return encoded

    @property
    def multiplied(self) -> NDArray[np.int64]:
        """The coordinates that are in a product, in order."""
        return np.unique(self.pairs)

    def whitened(self, standardised: Features) -> Features:
        """All coordinates, shape (rows, width): of rows, of sums of rows, or of weights."""
        return _whitened(standardised, self.whitening)

    def coordinates(self, standardised: Features) -> Features:
        """Those that are multiplied, shape (rows, p).

        The others are needed in sums only, and a sum of whitened rows is a whitened sum.
        """
        if self.whitening.size == 0:
            return np.ascontiguousarray(standardised[:, self.multiplied])
        return np.asarray(standardised @ self.whitening[:, self.multiplied])

    def block_sums(self, standardised: Features, coordinates: Features, size: int) -> Features:
        """Sums of all coordinates and of products over blocks of ``size`` consecutive rows.

        Parameters
        ----------
        standardised, coordinates
            The same rows; the latter from :meth:`coordinates`.

        Returns
        -------
        Shape (blocks, width + q).
        """
        whitened = self.whitened(_summed(standardised, size))
        return np.concatenate([whitened, self.pair_sums(coordinates, size)], axis=1)

    def pair_sums(self, coordinates: Features, size: int) -> Features:
        """Sums of standardised products over blocks, shape (blocks, q).

        All products of a block are one small matrix product, far cheaper than row by row.
        """
        left, right = np.searchsorted(self.multiplied, self.pairs).T
        count = coordinates.shape[0] // size
        shaped = coordinates[: count * size].reshape(count, size, coordinates.shape[1])
        sums = np.empty((count, len(self.pairs)), dtype=np.float32)
        for start in range(0, count, _BLOCKS_AT_ONCE):
            part = shaped[start : start + _BLOCKS_AT_ONCE]
            squares = np.matmul(part.transpose(0, 2, 1), part)
            sums[start : start + _BLOCKS_AT_ONCE] = squares[:, left, right]
        sums -= (size * self.pair_centre).astype(np.float32)
        sums /= self.pair_scale.astype(np.float32)
        return sums


def fit(sample: Sample) -> Frame:
    """Fit on rows; a test stays exact if they are not tested, or are all the rows of both sides."""
    facts = encoding.fit(sample)
    encoded, owners = encoding.encode(facts, sample)
    centre, scale = _standardise(encoded)
    whitening = _whitening(encoded)
    pairs = _pairs(sample, owners, encoded)
    pair_centre, spread = _product_moments(_whitened(encoded, whitening), pairs)
    return Frame(
        facts,
        centre.astype(np.float32),
        scale.astype(np.float32),
        whitening,
        pairs,
        pair_centre,
        np.where(spread > 1e-6, spread, 1.0),
        owners.astype(np.int64),
    )


def _standardise(encoded: Features) -> tuple[Floats, Floats]:
    """Centre and scale of each column; they are taken out of it in place.

    Few columns at a time: double precision of all of them would be fresh memory four times over,
    and the system takes longer to give that out than the arithmetic does.
    """
    rows, width = encoded.shape
    centre, scale = np.empty(width), np.empty(width)
    for start in range(0, width, _COLUMNS_AT_ONCE):
        few = slice(start, start + _COLUMNS_AT_ONCE)
        wide = encoded[:, few].astype(np.float64)
        centre[few] = wide.mean(axis=0)
        wide -= centre[few]
        # A feature that never varied here may do so later; it then counts as one row in all these.
        spread = np.sqrt(np.square(wide).mean(axis=0))
        scale[few] = np.maximum(spread, 1 / np.sqrt(rows + 2))
        encoded[:, few] = wide / scale[few]
    return centre, scale


def _shrunk(correlation: Floats, rows: int) -> Floats:
    """Correlations shrunk towards 0 by as much of their size as is noise.

    Columns that do not depend on each other are then left as they are; taking noise out of them
    would cost power. Intensity: Schäfer & Strimmer (2005), Stat. Appl. Genet. Mol. Biol. 4, 32,
    with the variance (1 - r^2)^2 / rows of a correlation.
    """
    width = correlation.shape[0]
    squares = correlation[~np.eye(width, dtype=bool)] ** 2
    noise = float(np.sum((1 - np.minimum(squares, 1.0)) ** 2)) / max(1, rows)
    intensity = min(1.0, noise / max(float(squares.sum()), 1e-300))
    return np.asarray((1 - intensity) * correlation + intensity * np.eye(width))


def _whitening(standard: Features) -> Features:
    """Inverse root of the shrunk correlations; nothing, shape (0, 0), where they are too many."""
    rows, width = standard.shape
    if width > _MOST_WHITENED:
        return np.zeros((0, 0), dtype=np.float32)
    eigenvalues, vectors = np.linalg.eigh(_shrunk(_correlations(standard), rows))
    roots = 1 / np.sqrt(np.maximum(eigenvalues, 0.0) + _RIDGE)
    return np.asarray((vectors * roots) @ vectors.T, dtype=np.float32)


def _whitened(standard: Features, whitening: Features) -> Features:
    return np.asarray(standard @ whitening) if whitening.size else np.asarray(standard)


def _correlations(standard: Features) -> Floats:
    found = (standard.T @ standard).astype(np.float64) / max(1, len(standard))
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def _product_moments(coordinates: Features, pairs: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the products of pairs, shape (q,) each.

    Two small matrix products; no product is written down row by row.
    """
    numeric, places = np.unique(pairs, return_inverse=True)
    left, right = places.reshape(pairs.shape).T
    wide = coordinates[:, numeric].astype(np.float64)
    mean = (wide.T @ wide)[left, right] / max(1, len(wide))
    wide *= wide
    square = (wide.T @ wide)[left, right] / max(1, len(wide))
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def _pairs(sample: Sample, owners: NDArray[np.intp], standard: Features) -> NDArray[np.int64]:
    """Pairs of coordinates to multiply, shape (q, 2): squares first.

    Bound to columns by their names, so that another order of columns is the same choice.
    """
    numeric = [index for index, column in enumerate(sample.columns) if column.kind == "numeric"]
    names = sample.names()
    numeric = sorted(numeric, key=lambda index: text_key(names[index]))[:_MOST_SQUARED]
    first = np.array([int(np.argmax(owners == index)) for index in sorted(numeric)], dtype=np.int64)
    squares = np.stack([first, first], axis=1)
    left, right = np.triu_indices(first.size, k=1)
    products = np.stack([first[left], first[right]], axis=1)
    if len(products) > _MOST_PRODUCTS:
        dependence = np.abs(_correlations(standard[:, first])[left, right])
        strongest = np.argsort(-dependence, kind="stable")[: _MOST_PRODUCTS // 2]
        by_name = [text_key(names[owners[i]], names[owners[j]]) for i, j in products]
        ranked = np.array(by_name, dtype=np.uint64)
        ranked[strongest] = 0  # these are in already
        products = products[np.sort(np.argsort(ranked, kind="stable")[:_MOST_PRODUCTS])]
    return np.concatenate([squares, products])


def _summed(features: Features, size: int) -> Features:
    count = features.shape[0] // size
    shaped = features[: count * size].reshape(count, size, features.shape[1])
    return np.asarray(shaped.sum(axis=1))
