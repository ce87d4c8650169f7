"""P-values below the resolution of permutations, that own up to how they were found.

In:    a statistic under the observed and under permuted labels, on the scale of -log p.
Out:   a p-value, never 0.
Never: knows data, features or labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

P_FLOOR = 1e-300
"""No p-value is 0; below this the exponent of a double ends."""

_TIE_BAND = 1e-5
"""Band in which a permuted value counts as a tie: single precision must never help a shift."""

_UPPER_SHARE = 10
"""The tail is fitted to one in so many of the permuted values."""


def permutation_p(values: Floats) -> float:
    """P-value of ``values[0]`` among all values; beyond all of them, a fitted tail.

    Where a permutation reached the observed value, the p-value is (reached + 1)/(B + 1), exact.
    Otherwise the k largest of the B permuted values are taken as exponential above the next one,
    which a statistic on the scale of -log p is in the limit, with a mean theta that is estimated.
    The excess x of one more such value over k others has

        P(X > x) = (1 + x / (k theta_hat))^-k

    exactly, since X/theta_hat follows Fisher's F with 2 and 2k degrees of freedom (Hahn & Meeker
    1991, Statistical Intervals, 4.10). A scale that is off by a factor is thereby made good, and
    an estimate from few values is not trusted further than it goes.

    Parameters
    ----------
    values
        Shape (B + 1,), the observed one first; about exponential with mean 1 under the null.

    Examples
    --------
    >>> permutation_p(np.array([2.0, 1.0, 3.0, 0.5]))
    0.5
    """
    observed, others = float(values[0]), values[1:]
    reached = np.count_nonzero(others >= observed - _TIE_BAND * (1 + abs(observed)))
    resolution = 1.0 / values.size
    if reached:
        return float((reached + 1) * resolution)
    upper = max(2, others.size // _UPPER_SHARE)
    if others.size <= upper:
        return resolution
    highest = np.partition(others, others.size - upper - 1)[others.size - upper - 1 :]
    threshold = float(highest[0])
    mean_excess = float(np.mean(highest[1:])) - threshold
    if not mean_excess > 0:
        return resolution
    fitted = -upper * np.log1p((observed - threshold) / (upper * mean_excess))
    return max(P_FLOOR, min(resolution, float((upper + 1) * resolution * np.exp(fitted))))
