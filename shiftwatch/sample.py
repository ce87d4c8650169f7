"""Rows from one distribution, by column, as numpy arrays.

In:    arrays, from source and model.
Out:   Sample and Column.
Never: knows files, Arrow or the model; is imported by the daemon's own process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shiftwatch.values import Kind, Role

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a sample.

    Parameters
    ----------
    name
        Name as in the file.
    kind
        ``numeric``: ``values`` are float64, nulls and NaN both False in ``valid``.
        ``categorical``: ``values`` are int32 codes into ``categories``, -1 for null.
        ``timestamp``: float64 unix seconds. ``unsupported``: an empty array.
    role
        What the column is for.
    type
        The Arrow type as text, for messages and the schema.
    values
        Shape (rows,), or (0,) for an unsupported column.
    valid
        Shape (rows,): False where the value is null or NaN.
    categories
        Texts that the codes refer to, in order of first appearance; empty if not categorical.
    exact
        Shape (rows,), where float64 would round whole numbers into ties, else None; 0 for null.
        See ``whole``.
    single
        Whether the values were stored as float32 or float16, with a reference of float64.
    """

    name: str
    kind: Kind
    role: Role
    type: str
    values: Floats | Codes
    valid: Mask
    categories: tuple[str, ...] = ()
    exact: NDArray[np.int64] | None = None
    single: bool = False

    @property
    def rows(self) -> int:
        """Rows including nulls."""
        return int(self.valid.size)

    @cached_property
    def nulls(self) -> int:
        """Rows that are null or NaN."""
        return int(self.valid.size - np.count_nonzero(self.valid))

    @property
    def present(self) -> Floats | Codes:
        """The values of the rows that are not null; the column's own where none is."""
        return self.values if self.values.size == 0 or not self.nulls else self.values[self.valid]

    @cached_property
    def ascending(self) -> Floats:
        """The present values of a numeric column in ascending order, read-only.

        Sorted once, however many ask: tests, profile and summary all count in it.
        """
        ordered = np.sort(np.asarray(self.present, dtype=np.float64))
        ordered.flags.writeable = False
        return ordered

    def binned(self, edges: Floats) -> NDArray[np.int64]:
        """How many present values fall below the first edge, between each two, and from the last on.

        A bin holds its lower edge. To look the edges up among sorted values takes a tenth of the
        time of looking every value up among the edges.

        Examples
        --------
        >>> numeric("x", [0.5, 1.0, 1.5, 2.0]).binned(np.array([1.0, 2.0])).tolist()
        [1, 2, 1]
        """
        below = self.ascending.searchsorted(edges, side="left")
        return np.diff(below, prepend=0, append=self.ascending.size)

    def take(self, rows: NDArray[np.int64]) -> Column:
        """The same column with only these rows, in this order."""
        values = self.values if self.values.size == 0 else self.values[rows]
        exact = None if self.exact is None else self.exact[rows]
        return replace(self, values=values, valid=self.valid[rows], exact=exact)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Columns of equal length."""

    rows: int
    columns: tuple[Column, ...]
    _places: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # By name at once: looking through them would cost the square of the columns.
        places = {column.name: place for place, column in enumerate(self.columns)}
        object.__setattr__(self, "_places", places)

    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of this name; KeyError if there is none."""
        return self.columns[self._places[name]]

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name in self._places

    def of_kind(self, *kinds: Kind) -> Sample:
        """Only the columns of these kinds."""
        return Sample(self.rows, tuple(c for c in self.columns if c.kind in kinds))

    def with_columns(self, columns: Iterable[Column]) -> Sample:
        """These columns beside the present ones."""
        return Sample(self.rows, (*self.columns, *columns))

    def take(self, rows: NDArray[np.int64]) -> Sample:
        """The same columns with only these rows, in this order."""
        return Sample(int(rows.size), tuple(column.take(rows) for column in self.columns))


def numeric(name: str, values: Sequence[float] | Floats, role: Role = "input") -> Column:
    """A numeric column from plain numbers; NaN is null.

    Examples
    --------
    >>> numeric("age", [31.0, float("nan"), 47.0]).nulls
    1
    """
    array = np.asarray(values, dtype=np.float64)
    return Column(name, "numeric", role, "double", array, ~np.isnan(array))


def categorical(name: str, texts: Sequence[str | None], role: Role = "input") -> Column:
    """A categorical column from texts; None is null.

    Examples
    --------
    >>> categorical("plan", ["basic", None, "basic"]).categories
    ('basic',)
    """
    index: dict[str, int] = {}
    codes = np.fromiter(
        (-1 if text is None else index.setdefault(text, len(index)) for text in texts),
        dtype=np.int32,
        count=len(texts),
    )
    return Column(name, "categorical", role, "string", codes, codes >= 0, tuple(index))
