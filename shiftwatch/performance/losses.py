"""What is lost on a row, by what is known of it: an additive model over cells of its columns.

In:    columns of the reference and the loss of each of its rows.
Out:   by how much the mean loss changes where the columns are distributed as in a batch, with the
       standard error of that.
Never: sees a label of a batch; extrapolates without saying so in its error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample
from shiftwatch.values import SchemaColumn

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_CELLS = 8
_TEXTS = 12
_MOST_COLUMNS = 40
_MOST_ROWS = 20_000
_FOLDS = 5
_RIDGES = np.geomspace(1.0, 1e8, 65)


def kept(column: Column) -> dict[str, Any]:
    """The cells of a column, as JSON: ``edges`` between quantiles, or the most frequent ``texts``."""
    if column.kind == "categorical":
        counts = np.bincount(column.present, minlength=len(column.categories))
        order = np.argsort(-counts, kind="stable")[:_TEXTS]
        return {"texts": [column.categories[k] for k in order if counts[k]]}
    ascending = column.ascending[np.isfinite(column.ascending)]
    if not ascending.size:
        return {"edges": []}
    at = np.arange(1, _CELLS) * ascending.size // _CELLS
    return {"edges": np.unique(ascending[at]).tolist()}


def _width(cells: Mapping[str, Any]) -> int:
    """Cells of one column: the last is null, and of a categorical one the last but one is the rest."""
    return len(cells.get("edges", cells.get("texts", ()))) + 2


def _codes(cells: Mapping[str, Any], column: Column) -> Codes:
    """The cell of each row."""
    null = _width(cells) - 1
    if "edges" in cells:
        values = np.where(column.valid, np.asarray(column.values, dtype=np.float64), 0.0)
        found = np.searchsorted(np.array(cells["edges"]), values, side="right")
        return np.where(column.valid, found, null).astype(np.int64)
    return _table(cells, column)[np.asarray(column.values, dtype=np.int64)]


def _counts(cells: Mapping[str, Any], column: Column | None, rows: int) -> Codes:
    """Rows in each cell; those of a column that is not there are null."""
    width = _width(cells)
    counts = np.zeros(width, dtype=np.int64)
    if column is None:
        counts[-1] = rows
    elif "edges" in cells:
        # In the values that the tests have sorted already.
        counts[:-1] = column.binned(np.array(cells["edges"], dtype=np.float64))
        counts[-1] = column.nulls
    else:
        own = np.bincount(np.asarray(column.values, dtype=np.int64) + 1)
        table = np.roll(_table(cells, column), 1)[: own.size]
        counts = np.bincount(table, weights=own, minlength=width).astype(np.int64)
    return counts


def _table(cells: Mapping[str, Any], column: Column) -> Codes:
    """The cell of each category of a column, and of null, which comes last."""
    null = _width(cells) - 1
    place = {text: index for index, text in enumerate(cells["texts"])}
    return np.array([*(place.get(text, null - 1) for text in column.categories), null], np.int64)


def inputs(schema: Sequence[SchemaColumn]) -> list[str]:
    """Names of the inputs that have cells."""
    own = (c for c in schema if c.role == "input" and c.derived_from is None)
    return [column.name for column in own if column.kind in ("numeric", "categorical")]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of rows: inputs by name, and more columns, one entry a row."""

    sample: Sample
    rows: Codes
    more: tuple[Column, ...]

    def columns(self, names: Sequence[str]) -> list[Column | None]:
        """Inputs of these names, None where there is none, and the further columns."""
        found = [self.sample.column(name) if self.sample.has(name) else None for name in names]
        if self.rows.size < self.sample.rows:
            found = [None if column is None else column.take(self.rows) for column in found]
        return [*found, *self.more]


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The fitted model.

    Parameters
    ----------
    names
        Inputs; their cells come first, those of further columns after them.
    cells
        As JSON, by column.
    mean, slopes
        Share of the reference's rows in each cell, and what it adds to the loss; shape (cells,).
    covariance
        Of the slopes, shape (cells, cells).
    skill
        Part of the variance of the loss that is told right by cross-validation; at most 1, below 0
        where a constant does better.
    """

    names: list[str]
    cells: list[dict[str, Any]]
    mean: Floats
    slopes: Floats
    covariance: NDArray[np.float32]
    skill: float

    def change(self, known: Known) -> tuple[float, float]:
        """By how much the mean loss differs from the reference's, and the variance of that."""
        given = zip(self.cells, known.columns(self.names), strict=True)
        counts = np.concatenate(
            [_counts(cells, column, known.rows.size) for cells, column in given]
        )
        apart = counts / known.rows.size - self.mean
        noise = float(apart @ np.asarray(self.covariance, dtype=np.float64) @ apart)
        return float(apart @ self.slopes), max(0.0, noise)

    def to_plain(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON, for the cache."""
        arrays: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "slopes": self.slopes,
            "covariance": self.covariance,
        }
        return arrays, {"inputs": self.names, "cells": self.cells, "skill": self.skill}

    @classmethod
    def from_plain(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Losses:
        """The inverse of :meth:`to_plain`."""
        mean, slopes, covariance = (arrays[name] for name in ("mean", "slopes", "covariance"))
        return cls(facts["inputs"], facts["cells"], mean, slopes, covariance, facts["skill"])


def fit(known: Known, names: Sequence[str], loss: Floats) -> Losses:
    r"""Fit the loss of rows of the reference.

    Parameters
    ----------
    known
        Of these rows.
    names
        Inputs to use; of more than 40 those that say most of the loss by themselves.
    loss
        Shape (rows,).

    Notes
    -----
    The loss is a sum of one number for each column's cell, and noise. The numbers are shrunk as
    normal random effects with one variance, chosen with that of the noise by the largest marginal
    likelihood (empirical Bayes). With shares of rows :math:`f` of the batch and :math:`\bar f` of the
    reference in the cells, the change of the mean is :math:`(f - \bar f)'\beta`, and its variance
    :math:`\sigma^2 (f - \bar f)'(X'X + \lambda)^{-1}(f - \bar f)`, which grows the further the batch
    is from what the reference has seen: direct loss estimation, with its own error.
    """
    if loss.size > _MOST_ROWS:
        some = np.arange(_MOST_ROWS) * loss.size // _MOST_ROWS
        more = tuple(column.take(some) for column in known.more)
        known, loss = Known(known.sample, known.rows[some], more), loss[some]
    names = _first(known, names, loss)
    cells = [kept(known.sample.column(n)) for n in names] + [kept(column) for column in known.more]
    codes = _places(cells, known.columns(names))
    hot = np.zeros((loss.size, sum(map(_width, cells))), dtype=np.float32)
    hot[np.arange(loss.size)[:, None], codes] = 1.0
    mean = hot.mean(axis=0, dtype=np.float64)
    centred = loss - loss.mean()
    gram = (hot.T @ hot).astype(np.float64) - loss.size * np.outer(mean, mean)
    right = hot.T.astype(np.float64) @ centred
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    along = vectors.T @ right
    ridge, noise = _chosen(values, along, float(centred @ centred), loss.size)
    inverse = (vectors / (values + ridge)) @ vectors.T
    return Losses(
        list(names),
        cells,
        mean,
        inverse @ right,
        (noise * inverse).astype(np.float32),
        _skill(hot, loss, ridge),
    )


def _places(cells: Sequence[Mapping[str, Any]], columns: Sequence[Column | None]) -> Codes:
    """Shape (rows, columns): places among the cells of all columns."""
    starts = np.concatenate([[0], np.cumsum([_width(each) for each in cells])[:-1]])
    given = zip(cells, columns, starts, strict=True)
    return np.stack([_codes(each, column) + start for each, column, start in given if column], 1)


def _first(known: Known, names: Sequence[str], loss: Floats) -> list[str]:
    """The inputs in their order, of too many those that explain most of the loss one by one."""
    if len(names) <= _MOST_COLUMNS:
        return list(names)
    explained = {}
    for name in names:
        column = known.sample.column(name).take(known.rows)
        codes = _codes(kept(column), column)
        counts = np.bincount(codes)
        used = counts > 0
        sums = np.bincount(codes, weights=loss - loss.mean())[used]
        # Each further cell explains as much as a row by chance.
        explained[name] = float(np.sum(sums**2 / counts[used])) - used.sum() * float(loss.var())
    best = set(sorted(names, key=lambda name: -explained[name])[:_MOST_COLUMNS])
    return [name for name in names if name in best]


def _chosen(values: Floats, along: Floats, total: float, rows: int) -> tuple[float, float]:
    """The ridge of largest marginal likelihood, and the variance of the noise at it."""
    best = (math.inf, float(_RIDGES[-1]), total / rows)
    for ridge in _RIDGES:
        left = max(total - float(np.sum(along**2 / (values + ridge))), 1e-12 * rows)
        deviance = rows * math.log(left / rows) + float(np.log1p(values / ridge).sum())
        if deviance < best[0]:
            best = (deviance, float(ridge), left / rows)
    return best[1:]


def _skill(hot: NDArray[np.float32], loss: Floats, ridge: float) -> float:
    """Part of the variance told right, in five folds that the fit has not seen."""
    total = float(np.sum((loss - loss.mean()) ** 2))
    if total <= 0:
        return 0.0
    missed = 0.0
    for fold in range(_FOLDS):
        out = np.arange(loss.size) % _FOLDS == fold
        seen, own = hot[~out], loss[~out]
        mean = seen.mean(axis=0, dtype=np.float64)
        gram = (seen.T @ seen).astype(np.float64) - len(seen) * np.outer(mean, mean)
        gram[np.diag_indices_from(gram)] += ridge
        slopes = np.linalg.solve(gram, seen.T.astype(np.float64) @ (own - own.mean()))
        told = own.mean() + (hot[out] - mean) @ slopes
        missed += float(np.sum((loss[out] - told) ** 2))
    return 1.0 - missed / total
