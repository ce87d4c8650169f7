"""Rows of a sample whatever order they came in: drawn, joined, kept as plain arrays.

In:    samples of one schema; a generator.
Out:   positions of drawn rows, pooled samples, arrays and JSON facts that a sample comes back from.
Never: tests anything; lets the order of rows or columns, or a dictionary's, change a draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample

Positions = NDArray[np.int64]
Keys = NDArray[np.uint64]

_NULL_KEY = 0x9E3779B97F4A7C15
"""Key of a null: any fixed number does."""


def by_name(sample: Sample) -> Sample:
    """The same rows with the columns in order of their names."""
    return Sample(sample.rows, tuple(sorted(sample.columns, key=lambda column: column.name)))


def text_key(*texts: str) -> int:
    """A 64-bit key of texts, the same on every machine.

    Examples
    --------
    >>> text_key("age") == text_key("age"), text_key("a", "b") == text_key("b", "a")
    (True, False)
    """
    digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def keys(sample: Sample) -> Keys:
    """One 64-bit key a row, by what the row holds; shape (rows,).

    Equal rows have equal keys; two different rows share one with chance 2^-64.
    """
    total = np.zeros(sample.rows, dtype=np.uint64)
    for column in sample.columns:
        own = _column_keys(column)
        own ^= own >> np.uint64(29)
        own *= np.uint64(text_key(column.name) | 1)
        total += own
    return total


def _column_keys(column: Column) -> Keys:
    if column.kind == "numeric":
        with np.errstate(invalid="ignore"):  # of a NaN that signals
            plain = np.asarray(column.values, dtype=np.float64) + 0.0  # so that -0.0 is 0.0
        keys_ = plain.view(np.uint64)
        keys_[~column.valid] = _NULL_KEY
        return keys_
    table = [*(text_key(text) for text in column.categories), _NULL_KEY]
    return np.array(table, dtype=np.uint64)[column.values.astype(np.int64)]


def drawn(sample: Sample, rng: np.random.Generator) -> Positions:
    """Positions of all rows in an order that depends on the rows and the generator only."""
    order = _order(keys(sample))
    return np.asarray(order[rng.permutation(sample.rows)], dtype=np.int64)


def _order(keys_: Keys) -> NDArray[np.intp]:
    """Positions by ascending key, of equal keys the earlier row first.

    A stable sort takes six times as long, and is not needed where all keys differ.
    """
    order = np.argsort(keys_)
    ordered = keys_[order]
    return np.argsort(keys_, kind="stable") if np.any(ordered[1:] == ordered[:-1]) else order


def pooled(first: Sample, second: Sample) -> Sample:
    """The rows of both samples, which have the same columns in the same order."""
    pairs = zip(first.columns, second.columns, strict=True)
    return Sample(first.rows + second.rows, tuple(_joined(one, other) for one, other in pairs))


def _joined(one: Column, other: Column) -> Column:
    valid = np.concatenate([one.valid, other.valid])
    if one.kind == "numeric":
        values = np.concatenate([one.values, other.values])
        return Column(one.name, one.kind, one.role, one.type, values, valid)
    index = {text: code for code, text in enumerate(one.categories)}
    table = [index.setdefault(text, len(index)) for text in other.categories]
    codes = np.array([*table, -1], dtype=np.int32)[other.values.astype(np.int64)]
    values = np.concatenate([one.values, codes]).astype(np.int32)
    return Column(one.name, one.kind, one.role, one.type, values, valid, tuple(index))


def kept(sample: Sample) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """A sample as two arrays and JSON facts; :func:`restored` is the inverse."""
    numbers = [np.where(c.valid, c.values, np.nan) for c in sample.columns if c.kind == "numeric"]
    codes = [c.values for c in sample.columns if c.kind != "numeric"]
    arrays: dict[str, NDArray[Any]] = {
        "numbers": np.array(numbers, dtype=np.float64).reshape(len(numbers), sample.rows),
        "codes": np.array(codes, dtype=np.int32).reshape(len(codes), sample.rows),
    }
    columns = [
        {"name": c.name, "kind": c.kind, "categories": list(c.categories)} for c in sample.columns
    ]
    return arrays, {"columns": columns}


def restored(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Sample:
    """The sample that :func:`kept` was given, without roles and types."""
    numbers, codes = iter(arrays["numbers"]), iter(arrays["codes"])
    columns = [_restored(entry, numbers, codes) for entry in facts["columns"]]
    return Sample(int(arrays["numbers"].shape[1]), tuple(columns))


def _restored(entry: Mapping[str, Any], numbers: Any, codes: Any) -> Column:
    if entry["kind"] == "numeric":
        values = next(numbers)
        return Column(entry["name"], "numeric", "input", "", values, ~np.isnan(values))
    values = next(codes)
    texts: Sequence[str] = entry["categories"]
    return Column(entry["name"], "categorical", "input", "", values, values >= 0, tuple(texts))
