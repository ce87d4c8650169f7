"""Gaussian kernels of several widths, as random Fourier features.

In:    encoded rows; a generator.
Out:   which bandwidths suit the rows, frequencies, features whose inner products are the kernels.
Never: tests anything; looks at which sample a row is from.

Which widths and ridges help was measured (``benchmarks/calibration/mmd.py``): wide kernels see
means, spreads and correlations of many columns; narrow ones see ripples and clusters of few. In
many columns a narrow kernel holds every row to be equally far from every other and would only
dilute the others, so the ladder is chosen by how much of a kernel is left off its diagonal. With
150 runs a cell (standard error .04) the fine ladder found ripples in two columns (a=.6) with power
.47; five bandwidths with six ridges each .36, five plain kernels .26. Laplace kernels, tried at the
same cost, were below the best Gaussian one in every cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Features = NDArray[np.float32]
Floats = NDArray[np.float64]

PLAIN = math.inf
"""The ridge of plain MMD: so large that no direction is preferred."""

DISTANCE_ROWS = 500
"""Rows whose pairwise distances set the bandwidths."""

_LEAST_KERNEL = 0.005
"""Mean of a kernel over pairs below which it tells rows apart and nothing else."""

_ROWS_AT_ONCE = 256
"""Rows expanded together: their features stay in the second cache until they are done."""

_QUASI_RANDOM_WIDTH = 8
"""Up to this many encoded columns frequencies are spread evenly instead of at random."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One bandwidth: ``multiple`` of 1/median squared distance, and the ridges it is used with."""

    multiple: float
    ridges: tuple[float, ...]


Ladder = tuple[Rung, ...]

# Plain MMD at the median distance is left out where narrow kernels see: it took .01 to .03 from the
# power against ripples, and means of few columns are what the tests by column find best.
_FINE: Ladder = (Rung(1, (1e-2,)), Rung(4, (1e-3,)), Rung(16, (0.3,)), Rung(64, (1e-4,)))
# A ladder in between, from 1 to 16, was tried with four columns: a correlation was found with .54
# instead of .83, and nothing better.
_COARSE: Ladder = (Rung(0.25, (PLAIN, 1e-2)), Rung(1, (PLAIN, 1e-2)), Rung(4, (PLAIN,)))
_SINGLE: Ladder = (Rung(1, (PLAIN,)),)


@dataclass(frozen=True, slots=True)
class Bandwidths:
    """``gamma`` of exp(-gamma |x - y|^2) at the median distance, and which ladder is around it.

    ``fine`` is None where the median itself is all there is.
    """

    gamma: float
    fine: bool | None

    @property
    def ladder(self) -> Ladder:
        """The bandwidths with their ridges, the narrowest last."""
        return {True: _FINE, False: _COARSE, None: _SINGLE}[self.fine]

    @property
    def median(self) -> int:
        """Index of the rung at the median distance; every ladder has one."""
        return [rung.multiple for rung in self.ladder].index(1)


def bandwidths(encoded: Features) -> Bandwidths:
    """Bandwidths that suit the rows, from the distances of at most 500 of them.

    Parameters
    ----------
    encoded
        Shape (n, width), rows in random order; the first are used.
    """
    rows = encoded[:DISTANCE_ROWS].astype(np.float64)
    norms = np.sum(rows**2, axis=1)
    squared = norms[:, None] + norms - 2 * (rows @ rows.T)
    pairs = np.maximum(squared[np.triu_indices(len(rows), k=1)], 0.0)
    positive = pairs[pairs > 1e-9]
    gamma = 1.0 / float(np.median(positive)) if positive.size else 1.0
    narrow = np.exp(-gamma * _FINE[-1].multiple * pairs)
    return Bandwidths(gamma, fine=bool(narrow.mean() >= _LEAST_KERNEL))


def frequencies(
    chosen: Bandwidths, width: int, features: int, rng: np.random.Generator
) -> Features:
    """Frequencies of random Fourier features, shape (bandwidths, width, features / 2).

    Normal with standard deviation sqrt(2 gamma) per coordinate gives exp(-gamma |x - y|^2)
    (Rahimi & Recht 2007). With few columns they are normal scores of a quasi-random sequence, which
    follow the kernel more closely (Yang, Sindhwani, Avron & Mahoney 2014): with two columns and
    256 features the power of one statistic against ripples rose from .88 to .92 (Sobol points).

    Each bandwidth has a draw of its own. One for all, doubled from each to the next, would make
    :func:`expand` cost half, as angles double with it, but would be another statistic.
    """
    half = features // 2
    scales = [math.sqrt(2 * chosen.gamma * rung.multiple) for rung in chosen.ladder]
    return np.stack([scale * _normal(width, half, rng) for scale in scales]).astype(np.float32)


def _normal(width: int, count: int, rng: np.random.Generator) -> Floats:
    if width > _QUASI_RANDOM_WIDTH:
        return rng.standard_normal((width, count))
    points = (np.outer(_steps(width), np.arange(count)) + rng.random((width, 1))) % 1.0
    return np.asarray(special.ndtri(np.clip(points, 1e-9, 1 - 1e-9)))


def _steps(width: int) -> Floats:
    """Steps of a Kronecker sequence: powers of the root below 1 of 1 = x^width + x^(width + 1).

    The golden ratio and what generalises it (Roberts 2018, "The unreasonable effectiveness of
    quasirandom sequences").

    Examples
    --------
    >>> round(float(_steps(1)[0]), 6)
    0.618034
    """
    root = 0.5
    for _ in range(60):
        root = (1 + root) ** (-1 / width)
    return np.asarray(root ** np.arange(1, width + 1))


def expand(encoded: Features, drawn: Features) -> Features:
    """Features of every bandwidth side by side, shape (n, bandwidths * features); norm 1 each.

    Examples
    --------
    >>> row = np.zeros((1, 2), np.float32)
    >>> features = expand(row, np.ones((3, 2, 4), np.float32))
    >>> features.shape, round(float((features**2).sum()), 6)
    ((1, 24), 3.0)
    """
    half = drawn.shape[2]
    features = np.empty((encoded.shape[0], len(drawn), 2, half), dtype=np.float32)
    for start in range(0, len(encoded), _ROWS_AT_ONCE):
        part = features[start : start + _ROWS_AT_ONCE]
        for index, matrix in enumerate(drawn):
            angles = encoded[start : start + _ROWS_AT_ONCE] @ matrix
            np.cos(angles, out=part[:, index, 0])
            np.sin(angles, out=part[:, index, 1])
        part *= np.float32(1 / math.sqrt(half))
    return features.reshape(len(encoded), -1)


def parts(width: int, bandwidths_: int) -> tuple[slice, ...]:
    """Columns of each bandwidth among ``width`` features."""
    each = width // bandwidths_
    return tuple(slice(index * each, (index + 1) * each) for index in range(bandwidths_))
