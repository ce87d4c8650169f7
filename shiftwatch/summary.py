"""What remains of a batch when its rows are gone: counts over cells that the reference has fixed.

In:    the reference sample once; the sample of a batch.
Out:   Layout (which value falls in which cell) and Summary (how many did); summaries add up.
Never: keeps a row; chooses a cell by looking at a batch.

A numeric column is cut at quantiles of the reference, or at its distinct values where these are
few. A category has a cell of its own where the reference has few of them; a category the reference
lacks falls, by its hash, into one of these cells, so that no cell can be filled by the batch alone.
More categories are hashed into a fixed number of cells. Nulls are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.values import SchemaColumn

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_BINS = 128
"""Bins of a numeric column: a shift hidden within one moves less than 1/128 of the rows."""

LEAST_BINS = 16
"""Bins of a numeric column where there are very many columns."""

ALL_BINS = 8192
"""Bins of all numeric columns together, which bounds what is stored after every batch."""

MOST_CELLS = 64
"""Cells of a categorical column; with more categories they are hashed into as many."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Which value falls in which cell.

    Parameters
    ----------
    numeric, categorical
        Names of the columns, in the order of the schema.
    edges
        Shape (numeric columns, bins - 1), padded with infinity; a bin holds its lower edge.
    categories
        By categorical column: its categories in the order of their cells; empty where hashed.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    edges: Floats
    categories: tuple[tuple[str, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, numeric first: the order of ``Summary.nulls``."""
        return (*self.numeric, *self.categorical)

    def summarise(self, sample: Sample) -> Summary:
        """Count a sample; a column it lacks counts no rows."""
        numeric = np.zeros((len(self.numeric), self.edges.shape[1] + 1), dtype=np.int64)
        cells = np.zeros((len(self.categorical), MOST_CELLS), dtype=np.int64)
        nulls = np.zeros((len(self.columns), 2), dtype=np.int64)
        held = {column.name: column for column in sample.columns}
        for place, name in enumerate(self.columns):
            column = held.get(name)
            if column is not None:
                nulls[place] = column.nulls, column.rows - column.nulls
        for place, name in enumerate(self.numeric):
            if name in held:
                numeric[place] = held[name].binned(self.edges[place])
        for place, name in enumerate(self.categorical):
            if name in held:
                cells[place] = _cells(held[name], self.categories[place])
        return Summary(numeric, cells, nulls)

    def to_plain(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """Arrays and JSON facts, for the cache."""
        facts = {
            "numeric": list(self.numeric),
            "categorical": list(self.categorical),
            "categories": [list(texts) for texts in self.categories],
        }
        return {"edges": self.edges}, facts

    @classmethod
    def from_plain(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Layout:
        """The inverse of :meth:`to_plain`; other keys are ignored."""
        return cls(
            tuple(facts["numeric"]),
            tuple(facts["categorical"]),
            np.asarray(arrays["edges"]),
            tuple(tuple(texts) for texts in facts["categories"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Counts of one sample.

    Parameters
    ----------
    numeric
        Shape (numeric columns, bins): present rows by bin.
    cells
        Shape (categorical columns, :data:`MOST_CELLS`): present rows by cell.
    nulls
        Shape (columns, 2): rows that are null, and rows that are not.

    Examples
    --------
    >>> from shiftwatch.sample import numeric
    >>> sample = Sample(4, (numeric("x", [1.0, 2.0, 2.0, float("nan")]),))
    >>> layout = lay_out(sample, [SchemaColumn("x", "numeric", "input", "double")])
    >>> both = layout.summarise(sample) + layout.summarise(sample)
    >>> both.numeric.tolist(), both.nulls.tolist()
    ([[0, 2, 4]], [[2, 6]])
    """

    numeric: Counts
    cells: Counts
    nulls: Counts

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            self.numeric + other.numeric, self.cells + other.cells, self.nulls + other.nulls
        )

    def __sub__(self, other: Summary) -> Summary:
        return Summary(
            self.numeric - other.numeric, self.cells - other.cells, self.nulls - other.nulls
        )


def lay_out(reference: Sample, schema: Sequence[SchemaColumn]) -> Layout:
    """Fix the cells by the reference.

    Parameters
    ----------
    reference
        Has the columns of the schema.
    schema
        The columns to be counted; only numeric and categorical ones are.
    """
    numeric = [column.name for column in schema if column.kind == "numeric"]
    categorical = [column.name for column in schema if column.kind == "categorical"]
    bins = max(LEAST_BINS, min(MOST_BINS, ALL_BINS // max(1, len(numeric))))
    edges = [_edges(reference.column(name), bins) for name in numeric]
    width = max((each.size for each in edges), default=0)
    padded = np.full((len(numeric), width), np.inf)
    for row, each in zip(padded, edges, strict=True):
        row[: each.size] = each
    categories = tuple(_own_cells(reference.column(name)) for name in categorical)
    return Layout(tuple(numeric), tuple(categorical), padded, categories)


def prepare(reference: Sample, schema: Sequence[SchemaColumn]) -> Prepared:
    """The layout and the reference's own counts, as plain arrays and facts."""
    layout = lay_out(reference, schema)
    arrays, facts = layout.to_plain()
    own = layout.summarise(reference)
    counts = {"numeric": own.numeric, "cells": own.cells, "nulls": own.nulls}
    return Prepared({**arrays, **counts}, facts)


def restore(prepared: Prepared) -> tuple[Layout, Summary]:
    """The inverse of :func:`prepare`."""
    arrays = prepared.arrays
    own = Summary(*(np.asarray(arrays[name]) for name in ("numeric", "cells", "nulls")))
    return Layout.from_plain(arrays, prepared.facts), own


def _edges(column: Column, bins: int) -> Floats:
    values = column.ascending
    if values.size == 0:
        return values
    distinct = values[np.append(True, values[1:] != values[:-1])]
    if distinct.size < bins:
        return np.asarray(distinct)
    places = (np.arange(1, bins) * values.size) // bins
    return np.asarray(np.unique(values[places]), dtype=np.float64)


def _own_cells(column: Column) -> tuple[str, ...]:
    counts = np.bincount(column.present, minlength=len(column.categories))
    held = [text for text, n in zip(column.categories, counts.tolist(), strict=True) if n]
    # By their hash, so that neither frequency nor order of appearance plays a part.
    return tuple(sorted(held, key=_hash)) if len(held) <= MOST_CELLS else ()


def _cells(column: Column, own: Sequence[str]) -> Counts:
    index = {text: place for place, text in enumerate(own)}
    width = len(own) or MOST_CELLS
    cells = [index.get(text, _hash(text) % width) for text in column.categories]
    by_category = np.bincount(column.present, minlength=len(cells))
    counted = np.zeros(MOST_CELLS, dtype=np.int64)
    np.add.at(counted, np.asarray(cells, dtype=np.int64), by_category)
    return counted


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
