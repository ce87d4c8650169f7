"""Isotonic regression: how often answers of a confidence are right, if never less for a higher one.

In:    numbers and outcomes.
Out:   a rising step function, with the rows behind each step.
Never: extrapolates; beyond the ends it is constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def isotonic(x: Floats, y: Floats) -> Floats:
    """Isotonic regression of y on x (pool adjacent violators), at its corners.

    Parameters
    ----------
    x, y
        Shape (rows,).

    Returns
    -------
    Shape (3, knots): ascending x, the fitted y, which is interpolated between knots, and the rows of
    the step that the knot belongs to.

    Examples
    --------
    >>> isotonic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])).tolist()
    [[1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.5, 1.0], [1.0, 2.0, 2.0, 1.0]]
    """
    order = np.argsort(x, kind="stable")
    places, starts = np.unique(x[order], return_index=True)
    sums = np.add.reduceat(y[order], starts)
    counts = np.diff(np.append(starts, x.size)).astype(np.float64)
    blocks: list[list[float]] = []  # sum, weight, first place, last place
    for place, (total, weight) in enumerate(zip(sums, counts, strict=True)):
        blocks.append([float(total), float(weight), place, place])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1][0] += last[0]
            blocks[-1][1] += last[1]
            blocks[-1][3] = last[3]
    knots = [
        (places[int(at)], block[0] / block[1], block[1])
        for block in blocks
        for at in dict.fromkeys((block[2], block[3]))
    ]
    return np.array(knots, dtype=np.float64).T


def fitted(curve: Floats, x: Floats) -> Floats:
    """Values of the curve."""
    found: Floats = np.interp(x, curve[0], curve[1])
    return found


def variance(curve: Floats, x: Floats) -> float:
    """Of the mean of the curve's values at ``x``, by the rows that each step was fitted on.

    A step's share is a proportion with half a success and half a failure added, so that one of
    nothing but successes is not beyond doubt. The steps themselves are taken as given.
    """
    nearest = np.clip(np.searchsorted(curve[0], x), 0, curve.shape[1] - 1)
    weight = np.bincount(nearest, minlength=curve.shape[1]) / x.size
    # A step has one knot or two, side by side: their weights are those of one estimate.
    step = np.concatenate([[0], np.cumsum(np.diff(curve[1]) > 0)])
    weights = np.bincount(step, weights=weight)
    first = np.searchsorted(step, np.arange(weights.size))
    rows = curve[2][first]
    share = (curve[1][first] * rows + 0.5) / (rows + 1.0)
    return float(np.sum(weights**2 * share * (1.0 - share) / rows))
