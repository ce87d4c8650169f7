"""Both samples of a kernel test in one space, ready to be compared.

In:    a reference, kept once; the current sample; a generator.
Out:   encoded rows and kernel features of both, in random order, with their positions.
Never: lets scales, categories or bandwidths know which tested row is from which sample.

Either they are fitted on reference rows held out from the test, and the reference is encoded once;
or, where the reference is small and every row is needed, on both samples pooled, at each check.
Both are functions that do not change when tested rows swap sides, so a permutation test is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Column, Sample
from shiftwatch.twosample import encoding, kernel, permutation
from shiftwatch.twosample.protocol import Prepared

Features = NDArray[np.float32]
Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

_POOLED_ROWS = 3000
"""A reference up to this many rows is fitted pooled: holding rows out would cost power."""

_HELD_OUT_SHARE = 10
"""Of a larger reference one row in so many is held out."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Rows of one sample in random order; ``positions`` are theirs in the sample as given."""

    encoded: Features
    features: Features
    positions: Positions

    def first(self, rows: int) -> Side:
        """Only the first rows."""
        return Side(self.encoded[:rows], self.features[:rows], self.positions[:rows])


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Both sides, the kernels they are in, and the columns of data behind the encoded ones.

    ``grams`` are features' features of all reference rows, one a bandwidth, where they are cached.
    """

    reference: Side
    current: Side
    bandwidths: kernel.Bandwidths
    frequencies: Features
    owners: NDArray[np.intp]
    names: tuple[str, ...]
    grams: Floats | None = None

    def cut(self, reference: int, current: int) -> Pair:
        """The pair with only the first rows of each side; Gram matrices follow."""
        grams = self.grams
        if grams is not None:
            left_out = self.reference.features[reference:]
            grams = np.stack(
                [
                    gram - left_out[:, p].T @ left_out[:, p]
                    for gram, p in zip(grams, self.parts, strict=True)
                ]
            )
        return Pair(
            self.reference.first(reference),
            self.current.first(current),
            self.bandwidths,
            self.frequencies,
            self.owners,
            self.names,
            grams,
        )

    @property
    def parts(self) -> tuple[slice, ...]:
        """Columns of each bandwidth among the features."""
        width = self.current.features.shape[1]
        return kernel.parts(width, len(self.bandwidths.ladder))

    def covariances(self, sums: Floats) -> list[Floats]:
        """Pooled covariance of the features of each bandwidth; ``sums`` are of all rows."""
        rows = self.reference.features.shape[0] + self.current.features.shape[0]
        made = []
        for index, part in enumerate(self.parts):
            y, mean = self.current.features[:, part], sums[part] / rows
            total = y.T @ y + (self._gram(part) if self.grams is None else self.grams[index])
            made.append(np.asarray(total / rows - np.outer(mean, mean), dtype=np.float64))
        return made

    def _gram(self, part: slice) -> Features:
        x = self.reference.features[:, part]
        return np.asarray(x.T @ x)


def keep(reference: Sample, features: int, max_rows: int, rng: np.random.Generator) -> Prepared:
    """What :func:`make` needs of the reference."""
    if reference.rows <= min(_POOLED_ROWS, max_rows):
        return _keep_columns(reference)
    apart, kept = encoding.held_out_rows(reference.rows, max_rows, rng, _HELD_OUT_SHARE)
    fit = encoding.fit(reference.take(apart))
    fitted, _ = encoding.encode(fit, reference.take(apart))
    encoded, _ = encoding.encode(fit, reference.take(kept))
    chosen = kernel.bandwidths(fitted)
    frequencies = kernel.frequencies(chosen, encoded.shape[1], features, rng)
    expanded = kernel.expand(encoded, frequencies)
    parts = kernel.parts(expanded.shape[1], len(chosen.ladder))
    arrays: dict[str, NDArray[Any]] = {
        "encoded": encoded,
        "features": expanded,
        "frequencies": frequencies,
        "grams": np.stack([expanded[:, p].T @ expanded[:, p] for p in parts]).astype(np.float64),
        "positions": kept,
    }
    facts = {"encoding": fit, "gamma": chosen.gamma, "fine": chosen.fine}
    return Prepared(arrays, facts | {"rows": int(kept.size)})


def _keep_columns(reference: Sample) -> Prepared:
    arrays: dict[str, NDArray[Any]] = {}
    facts = []
    for index, column in enumerate(reference.columns):
        arrays |= {f"values{index}": column.values, f"valid{index}": column.valid}
        fact = {"name": column.name, "kind": column.kind, "role": column.role, "type": column.type}
        facts.append(fact | {"categories": list(column.categories)})
    return Prepared(arrays, {"columns": facts, "rows": reference.rows})


def _columns(prepared: Prepared) -> Sample:
    columns = tuple(
        Column(
            **{**fact, "categories": tuple(fact["categories"])},
            values=prepared.arrays[f"values{index}"],
            valid=prepared.arrays[f"valid{index}"],
        )
        for index, fact in enumerate(prepared.facts["columns"])
    )
    return Sample(prepared.facts["rows"], columns)


def make(
    prepared: Prepared, current: Sample, limits: tuple[int, int], rng: np.random.Generator
) -> Pair:
    """The pair; ``limits`` are features per bandwidth and rows of a side at most."""
    if "columns" in prepared.facts:
        return _pooled(_columns(prepared), current, limits, rng)
    return _cached(prepared, current, limits[1], rng)


def _cached(prepared: Prepared, current: Sample, max_rows: int, rng: np.random.Generator) -> Pair:
    facts, arrays = prepared.facts, prepared.arrays
    encoded, owners = encoding.encode(facts["encoding"], current)
    order = permutation.drawn_rows(encoded, max_rows, rng)
    reference = Side(arrays["encoded"], arrays["features"], arrays["positions"])
    batch = Side(encoded[order], kernel.expand(encoded[order], arrays["frequencies"]), order)
    bandwidths = kernel.Bandwidths(facts["gamma"], facts["fine"])
    names = current.names()
    return Pair(reference, batch, bandwidths, arrays["frequencies"], owners, names, arrays["grams"])


def _pooled(
    reference: Sample, current: Sample, limits: tuple[int, int], rng: np.random.Generator
) -> Pair:
    features, max_rows = limits
    both = joined(reference, current)
    encoded, owners = _varying(*encoding.encode(encoding.fit(both), both))
    orders = [
        permutation.drawn_rows(part, max_rows, rng)
        for part in (encoded[: reference.rows], encoded[reference.rows :])
    ]
    rows = [encoded[: reference.rows][orders[0]], encoded[reference.rows :][orders[1]]]
    # In an order that does not tell the samples apart, as only the first rows are looked at.
    mixed = np.concatenate(rows)
    chosen = kernel.bandwidths(mixed[permutation.drawn_rows(mixed, len(mixed), rng)])
    frequencies = kernel.frequencies(chosen, encoded.shape[1], features, rng)
    sides = [
        Side(part, kernel.expand(part, frequencies), order)
        for part, order in zip(rows, orders, strict=True)
    ]
    return Pair(sides[0], sides[1], chosen, frequencies, owners, current.names())


def _varying(encoded: Features, owners: NDArray[np.intp]) -> tuple[Features, NDArray[np.intp]]:
    """Without the columns, such as indicators of nulls there are none of, that say nothing."""
    varies = encoded.min(axis=0) < encoded.max(axis=0)
    varies[0] = True  # so that a constant sample has a column, too
    return np.ascontiguousarray(encoded[:, varies]), owners[varies]


def joined(first: Sample, second: Sample) -> Sample:
    """The rows of both samples; categories are matched by text, columns by place."""
    columns = zip(first.columns, second.columns, strict=True)
    return Sample(first.rows + second.rows, tuple(_joined(a, b) for a, b in columns))


def _joined(first: Column, second: Column) -> Column:
    values = second.values
    categories: Mapping[str, int] = {text: code for code, text in enumerate(first.categories)}
    if second.kind == "categorical":
        known = dict(categories)
        codes = [known.setdefault(text, len(known)) for text in second.categories]
        values = np.asarray([*codes, -1], dtype=np.int32)[second.values.astype(np.int64)]
        categories = known
    return Column(
        first.name,
        first.kind,
        first.role,
        first.type,
        np.concatenate([first.values, values]),
        np.concatenate([first.valid, second.valid]),
        tuple(categories),
    )
