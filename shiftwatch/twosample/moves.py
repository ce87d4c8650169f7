"""What the classifier went by, in words of columns: shares, and signed changes.

In:    log Bayes factors of coordinates and products; standardised rows of both sides.
Out:   columns ranked by their share of the evidence; changes of mean, spread and product.
Never: names a row; shows a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.twosample.discriminant import Sides
from shiftwatch.twosample.whitening import Frame

_MOST_MOVES = 5
_LEAST_ERRORS = 4.0
"""Standard errors from which a change is told: of hundreds looked at, hardly one exceeds it by
chance."""

_MOST_ROWS = 2000
"""Rows of each side that are looked at: enough to tell the size of a change."""


def shares(
    factors: Sequence[NDArray[Any]], frame: Frame, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Columns ranked by their share of the evidence; of a product each column gets half."""
    columns, products = (np.maximum(part, 0.0) for part in factors)
    totals = np.zeros(len(names))
    np.add.at(totals, frame.owners, columns)
    for side in (0, 1):
        np.add.at(totals, frame.owners[frame.pairs[:, side]], products / 2)
    parts = totals / (totals.sum() or 1.0)
    order = sorted(range(len(names)), key=lambda index: (-parts[index], names[index]))
    return [
        {"column": names[index], "share": round(float(parts[index]), 4)}
        for index in order
        if parts[index] > 0
    ]


def strongest(sides: Sides, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Up to five signed changes of numeric columns, the clearest first.

    Means change by so many standard deviations, and so do spreads; a product of two columns
    changes as their correlation does. Deviations are the reference's, of clipped values.
    """
    looked = Sides(sides.frame, sides.reference[:_MOST_ROWS], sides.current[:_MOST_ROWS])
    told = _means_and_spreads(looked, names) + _products(looked, names)
    clear = [entry for entry in told if abs(entry[0]) >= _LEAST_ERRORS]
    clear.sort(key=lambda entry: (-abs(entry[0]), entry[1]["column"], entry[1]["what"]))
    return [entry[1] for entry in clear[:_MOST_MOVES]]


def _means_and_spreads(sides: Sides, names: tuple[str, ...]) -> list[tuple[float, dict[str, Any]]]:
    told = []
    for index in np.unique(sides.frame.pairs).tolist():
        x, y = (side[:, index].astype(np.float64) for side in (sides.reference, sides.current))
        unit = float(x.std())
        if unit == 0:
            continue
        name = names[int(sides.frame.owners[index])]
        change = float(y.mean() - x.mean())
        errors = change / _standard_error(x, y)
        told.append((errors, _move(name, "mean", change / unit)))
        squared = ((side - side.mean()) ** 2 for side in (x, y))
        one, other = squared
        errors = float(other.mean() - one.mean()) / _standard_error(one, other)
        told.append((errors, _move(name, "spread", float(y.std()) / unit - 1)))
    return told


def _products(sides: Sides, names: tuple[str, ...]) -> list[tuple[float, dict[str, Any]]]:
    told = []
    frame = sides.frame
    moments = [
        _product_moments(side[:, frame.multiplied]) for side in (sides.reference, sides.current)
    ]
    (before, spread_before), (after, spread_after) = moments
    change = after - before
    error = np.sqrt(spread_before / len(sides.reference) + spread_after / len(sides.current))
    errors = change / np.where(error > 0, error, 1.0)
    places = np.searchsorted(frame.multiplied, frame.pairs).tolist()
    for (left, right), place in zip(frame.pairs.tolist(), map(tuple, places), strict=True):
        if left == right:
            continue
        first, second = sorted(names[int(frame.owners[side])] for side in (left, right))
        moved = _move(first, f"product with {second}", float(change[place]))
        told.append((float(errors[place]), moved))
    return told


def _product_moments(side: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and variance of the product of every two columns, each of unit variance."""
    unit = _unit(side)
    mean = unit.T @ unit / len(unit)
    return mean, np.maximum(0.0, (unit**2).T @ unit**2 / len(unit) - mean**2)


def _unit(side: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = side.astype(np.float64)
    spread = wide.std(axis=0)
    return np.asarray((wide - wide.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _standard_error(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.sqrt(x.var() / x.size + y.var() / y.size)) or 1.0


def _move(column: str, what: str, change: float) -> dict[str, Any]:
    return {"column": column, "what": what, "change_in_sd": round(change, 4)}
