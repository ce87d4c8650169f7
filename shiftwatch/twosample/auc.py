"""Area under the curve of held-out scores, and which rows stand out: what both learners share.

In:    scores of batch and reference rows by a rule that has not seen their labels.
Out:   AUC with an interval, positions of extreme rows.
Never: trains anything; sees what a row holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPLAIN_BELOW = 0.01
"""Columns, rows and moves are named from this p-value down: above, they would be noise."""

_MOST_ROWS = 10

P_FLOOR = 1e-300
"""No p-value is 0; below this the exponent of a double ends."""

Numbers = NDArray[Any]


def auc(batch: Numbers, reference: Numbers) -> float:
    """Mann-Whitney probability that a batch row scores higher, ties counting half.

    Examples
    --------
    >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    ordered = np.sort(reference)
    batch = np.sort(batch)  # a sorted look-up goes through memory in order
    below = np.searchsorted(ordered, batch, side="left")
    upto = np.searchsorted(ordered, batch, side="right")
    return float(np.mean(below + upto) / (2 * reference.size))


def interval(value: float, m: int, n: int) -> tuple[float, float]:
    """95 % interval by the standard error of Hanley & McNeil (1982), Radiology 143, 29-36.

    Parameters
    ----------
    value
        AUC.
    m, n
        Rows of reference and batch that were scored.

    Examples
    --------
    >>> [round(bound, 3) for bound in interval(0.5, 100, 100)]
    [0.42, 0.58]
    """
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    variance = value * (1 - value) + (n - 1) * (q1 - value**2) + (m - 1) * (q2 - value**2)
    margin = 1.96 * np.sqrt(max(variance, 0.0) / (m * n))
    return max(0.0, float(value - margin)), min(1.0, float(value + margin))


def effects(value: float, m: int, n: int) -> dict[str, float]:
    """The effect 2 AUC - 1 and its interval, none below 0, as fields of an ``Outcome``."""
    low, high = interval(value, m, n)
    named = {"effect": value, "effect_low": low, "effect_high": high}
    return {name: max(0.0, 2 * number - 1) for name, number in named.items()}


def highest(scores: Numbers, positions: NDArray[np.int64]) -> list[int]:
    """Positions of the rows with the highest scores, at most ten, the highest first."""
    order = np.argsort(-scores, kind="stable")[:_MOST_ROWS]
    return [int(positions[index]) for index in order]
