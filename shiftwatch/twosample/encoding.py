"""Mixed columns as one matrix of numbers: the common ground of the joint tests.

In:    a slice of the reference that is not tested, once; then any sample with the same columns.
Out:   float32 matrix, each column of data contributing about the same squared distance.
Never: tests anything; is fitted on a row that is tested.

Numeric columns are centred by the median, scaled by the interquartile range and clipped; nulls are
the centre plus an indicator. Categories are one-hot, weighted so that two rows differ by about the
same expected squared distance as in a numeric column; those the slice does not have share a slot.
Everything is fitted on rows held out from the test, so the tested rows of both samples stay
exchangeable and a permutation test of them stays exact. Fitted on the tested reference itself, rare
categories would have a slot of their own only on one side: 71 % false alarms at .05 were seen with
five heavy-tailed categorical columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample

Features = NDArray[np.float32]

_CLIP = 6.0
"""Standardised values beyond this are as far as far can be: one wild row must not rule a kernel."""

_MAX_CATEGORIES = 32
"""More categories than this are hashed into as many slots; the hash knows no labels."""

_MIN_VARIETY = 0.05
"""Floor of 1 - sum(share^2), so that a nearly constant column does not get a huge weight."""


_HELD_OUT_SHARE = 5
"""One in so many reference rows is held out for fitting, where there are none to spare."""

_HELD_OUT_ROWS = 1000
"""Rows held out at most: enough for scales and for categories down to a per cent or so."""


def held_out_rows(
    rows: int, max_rows: int, rng: np.random.Generator, share: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the rows to fit on, one in ``share`` where none are spare, and of those to test.

    Examples
    --------
    >>> apart, kept = held_out_rows(4000, 5000, np.random.default_rng(0), 10)
    >>> apart.size, kept.size
    (400, 3600)
    """
    order = rng.permutation(rows)
    cut = min(max(rows // share, rows - max_rows), _HELD_OUT_ROWS)
    return order[:cut], order[cut : cut + max_rows]


def fit(slice_: Sample) -> list[dict[str, Any]]:
    """Facts per column, as JSON, that :func:`encode` needs."""
    return [_fit_column(column) for column in slice_.columns]


def _fit_column(column: Column) -> dict[str, Any]:
    share_null = column.nulls / max(1, column.rows)
    facts: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind,
        # Also where the slice has no null: then the first ones of a batch stand out.
        "null_weight": _weight(np.array([share_null, 1 - share_null])),
    }
    if column.kind == "numeric":
        return facts | _numeric_scale(column)
    return facts | _category_slots(column)


def _numeric_scale(column: Column) -> dict[str, Any]:
    finite = column.present[np.isfinite(column.present)]
    if finite.size == 0:
        return {"centre": 0.0, "scale": 1.0}
    # Half of a number is exact, and half of 1e308 minus half of -1e308 does not overflow.
    low, centre, high = np.quantile(finite / 2, [0.25, 0.5, 0.75])
    scale = 2 * (float(high - low) / 1.349 or _deviation(finite / 2)) or 1.0
    return {"centre": 2 * float(centre), "scale": min(scale, float(np.finfo(np.float64).max))}


def _deviation(values: NDArray[np.float64]) -> float:
    """Standard deviation of numbers whose squares may overflow."""
    peak = float(np.abs(values).max())
    return peak * float((values / peak).std()) if peak else 0.0


def _category_slots(column: Column) -> dict[str, Any]:
    frequency = np.bincount(column.present, minlength=len(column.categories))
    seen = sorted(text for text, n in zip(column.categories, frequency, strict=True) if n)
    hashed = len(seen) > _MAX_CATEGORIES
    known = [] if hashed else seen
    width = _MAX_CATEGORIES if hashed else len(known) + 1
    slots = _slots(column, known, hashed=hashed)
    counts = np.bincount(slots[slots >= 0], minlength=width)
    return {
        "categories": known,
        "hashed": hashed,
        "width": width,
        "weight": _weight(counts / max(1, counts.sum())),
    }


def _weight(shares: NDArray[Any]) -> float:
    return float(1 / np.sqrt(max(_MIN_VARIETY, 1 - np.sum(shares**2))))


def _slots(column: Column, known: Sequence[str], *, hashed: bool) -> NDArray[np.int64]:
    """Slot of each row: known category, the slot after them for others, or hashed; -1 for null."""
    if hashed:
        table = [_hash(text) % _MAX_CATEGORIES for text in column.categories]
    else:
        index = {text: slot for slot, text in enumerate(known)}
        table = [index.get(text, len(known)) for text in column.categories]
    return np.asarray([*table, -1], dtype=np.int64)[column.values.astype(np.int64)]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def encode(facts: Sequence[Mapping[str, Any]], sample: Sample) -> tuple[Features, NDArray[np.intp]]:
    """Matrix of a sample, and which of its columns owns each column of the matrix.

    Parameters
    ----------
    facts
        What :func:`fit` returned.
    sample
        Columns in the same order as the reference's.

    Returns
    -------
    Shape (rows, width) float32, and shape (width,) indices into ``sample.columns``.
    """
    widths = [_width(fact) for fact in facts]
    encoded = np.zeros((sample.rows, sum(widths)), dtype=np.float32)
    stops = np.cumsum(widths).tolist()
    for fact, column, stop, width in zip(facts, sample.columns, stops, widths, strict=True):
        _encode_column(fact, column, encoded[:, stop - width : stop])
    return encoded, np.repeat(np.arange(len(widths)), widths)


def is_constant(reference: Features, current: Features) -> bool:
    """Whether all rows of both samples are one and the same."""
    first = reference[0]
    sides = (reference[:2], current[:1], reference, current)  # a few rows are often enough
    return all(bool((side == first).all()) for side in sides)


def _width(fact: Mapping[str, Any]) -> int:
    """Columns of the matrix that belong to a column of data: the last says which rows are null."""
    return 2 if fact["kind"] == "numeric" else int(fact["width"]) + 1


def _encode_column(fact: Mapping[str, Any], column: Column, out: Features) -> None:
    """Write one column of data into its columns of the matrix, which hold 0."""
    out[~column.valid, -1] = fact["null_weight"]
    if column.kind == "numeric":
        # Infinitely far is clipped like any other far; a NaN, be it one that signals, is not valid.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (column.values / 2 - fact["centre"] / 2) / (fact["scale"] / 2)
        out[:, 0] = np.where(column.valid, np.clip(scaled, -_CLIP, _CLIP), 0.0)
        return
    slots = _slots(column, fact["categories"], hashed=fact["hashed"])
    rows = np.flatnonzero(slots >= 0)
    out[rows, slots[rows]] = fact["weight"]
