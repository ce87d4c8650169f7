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

Floats = NDArray[np.float64]

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
    names_of = [names[int(owner)] for owner in sides.frame.owners]
    columns = sides.frame.multiplied
    x, y = (
        side[:_MOST_ROWS, columns].astype(np.float64) for side in (sides.reference, sides.current)
    )
    told = _means_and_spreads(x, y, [names_of[column] for column in columns])
    left, right = np.searchsorted(columns, sides.frame.pairs).T
    places = (left[left != right], right[left != right])
    told += _products(x, y, places, [names_of[column] for column in columns])
    told.sort(key=lambda entry: (-abs(entry[0]), entry[1]["column"], entry[1]["what"]))
    return [entry[1] for entry in told[:_MOST_MOVES]]


_Told = list[tuple[float, dict[str, Any]]]
"""Standard errors, and the change."""


def _means_and_spreads(x: Floats, y: Floats, names: Sequence[str]) -> _Told:
    unit, spread = x.std(axis=0), y.std(axis=0)
    known = np.where(unit > 0, unit, 1.0)
    change = y.mean(axis=0) - x.mean(axis=0)
    squares = [np.square(side - side.mean(axis=0)) for side in (x, y)]
    grown = squares[1].mean(axis=0) - squares[0].mean(axis=0)
    means = _clear(change, _standard_error(x, y), change / known)
    spreads = _clear(grown, _standard_error(*squares), spread / known - 1)
    return [
        (errors, _move(names[place], what, moved))
        for what, found in (("mean", means), ("spread", spreads))
        for place, errors, moved in found
        if unit[place] > 0  # what never varied is no measure of a change
    ]


def _products(
    x: Floats, y: Floats, places: tuple[NDArray[np.int64], NDArray[np.int64]], names: Sequence[str]
) -> _Told:
    """Of pairs of columns; their moments are two small matrix products of all columns."""
    (mean, variance), (other_mean, other_variance) = (_moments(_unit(side)) for side in (x, y))
    change = (other_mean - mean)[places]
    error = np.sqrt(variance / len(x) + other_variance / len(y))[places]
    told = []
    for place, errors, moved in _clear(change, error, change):
        first, second = sorted(names[int(side[place])] for side in places)
        told.append((errors, _move(first, f"product with {second}", moved)))
    return told


def _moments(columns: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the product of every two columns, shape (columns, columns)."""
    mean = columns.T @ columns / len(columns)
    squares = np.square(columns)
    return mean, np.maximum(squares.T @ squares / len(columns) - mean**2, 0.0)


def _unit(side: Floats) -> Floats:
    spread = side.std(axis=0)
    return np.asarray((side - side.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _standard_error(x: Floats, y: Floats) -> Floats:
    """Of the difference of their means, by column."""
    return np.asarray(np.sqrt(x.var(axis=0) / len(x) + y.var(axis=0) / len(y)))


def _clear(change: Floats, error: Floats, shown: Floats) -> list[tuple[int, float, float]]:
    """Place, standard errors and shown size of the changes that are hardly chance."""
    errors = change / np.where(error > 0, error, 1.0)
    clear = np.flatnonzero(np.abs(errors) >= _LEAST_ERRORS)
    return [(int(place), float(errors[place]), float(shown[place])) for place in clear]


def _move(column: str, what: str, change: float) -> dict[str, Any]:
    return {"column": column, "what": what, "change_in_sd": round(change, 4)}
