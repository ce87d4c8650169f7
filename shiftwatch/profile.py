"""What the report shows of a column: aggregates over edges fixed by the reference.

In:    the reference column once; the current column per batch.
Out:   ColumnProfile with the counts of both sides.
Never: keeps a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.values import PROFILE_QUANTILES, ColumnProfile, SchemaColumn

Floats = NDArray[np.float64]

_BINS = 24
_TOP_CATEGORIES = 12


def prepare(reference: Column) -> Prepared:
    """Edges, counts and quantiles of the reference column, or its most frequent categories."""
    facts: dict[str, Any] = {"rows": reference.rows, "nulls": reference.nulls}
    if reference.kind == "numeric":
        edges = _edges(reference.ascending)
        arrays = {"edges": edges, "counts": reference.binned(edges)}
        return Prepared(arrays, facts | {"quantiles": _quantiles(reference.ascending)})
    if reference.kind == "categorical":
        counts = np.bincount(reference.present, minlength=len(reference.categories))
        order = np.argsort(-counts, kind="stable")
        facts["categories"] = [reference.categories[index] for index in order]
        return Prepared({"counts": counts[order].astype(np.int64)}, facts)
    return Prepared({}, facts)


def profile(column: SchemaColumn, prepared: Prepared, current: Column | None) -> ColumnProfile:
    """Both sides of one column; the current side is empty where the batch lacks the column."""
    facts = prepared.facts
    details: Mapping[str, Any] = {}
    if column.kind == "numeric":
        details = _numeric(prepared, current)
    elif column.kind == "categorical":
        details = _categorical(prepared, current)
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        role=column.role,
        type=column.type,
        rows_reference=facts["rows"],
        rows_current=current.rows if current is not None else 0,
        nulls_reference=facts["nulls"],
        nulls_current=current.nulls if current is not None else 0,
        **details,
    )


def _numeric(prepared: Prepared, current: Column | None) -> dict[str, Any]:
    edges = prepared.arrays["edges"]
    details = {
        "edges": tuple(edges.tolist()),
        "counts_reference": tuple(prepared.arrays["counts"].tolist()),
        "quantiles_reference": tuple(prepared.facts["quantiles"]),
    }
    if current is not None:
        details["counts_current"] = tuple(current.binned(edges).tolist())
        details["quantiles_current"] = tuple(_quantiles(current.ascending))
    return details


def _categorical(prepared: Prepared, current: Column | None) -> dict[str, Any]:
    known: Sequence[str] = prepared.facts["categories"]
    reference = dict(zip(known, prepared.arrays["counts"].tolist(), strict=True))
    now: dict[str, int] = {}
    if current is not None:
        counts = np.bincount(current.present, minlength=len(current.categories)).tolist()
        now = {text: n for text, n in zip(current.categories, counts, strict=True) if n}
    new = sorted((text for text in now if text not in reference), key=lambda t: (-now[t], t))
    shown = [*known[:_TOP_CATEGORIES], *new[:_TOP_CATEGORIES]]
    return {
        "new_categories": tuple(new[:_TOP_CATEGORIES]),
        "categories": tuple(shown),
        "counts_reference": tuple(reference.get(text, 0) for text in shown),
        "counts_current": tuple(now.get(text, 0) for text in shown) if current is not None else (),
    }


def _edges(ascending: Floats) -> Floats:
    """Equal widths between the 0.5 and 99.5 % quantiles: wild values fall in the open end bins."""
    first, last = ascending.searchsorted(-np.inf, "right"), ascending.searchsorted(np.inf, "left")
    finite = ascending[first:last]
    if finite.size == 0:
        return np.array([0.0])
    low, high = np.quantile(finite / 2, [0.005, 0.995])  # halves: differences may overflow
    if low == high:
        return np.array([2 * low])
    return 2 * np.linspace(low, high, _BINS + 1)


def _quantiles(ascending: Floats) -> list[float]:
    """Order statistics, so that each is a value that occurs."""
    if ascending.size == 0:
        return []
    places = np.floor(np.asarray(PROFILE_QUANTILES) * (ascending.size - 1))
    quantiles: list[float] = ascending[places.astype(np.int64)].tolist()
    return quantiles
