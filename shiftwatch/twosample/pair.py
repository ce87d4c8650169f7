"""Both samples of a kernel test in one space, ready to be compared.

In:    a reference, kept once; the current sample; a generator.
Out:   encoded rows and kernel features of both, in random order, with their positions.
Never: lets scales, categories or bandwidths know which tested row is from which sample.

Either they are fitted on reference rows held out from the test, and the reference is encoded once;
or, where the reference is small and every row is needed, on both samples pooled, at each check.
Both are functions that do not change when tested rows swap sides, so a permutation test is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Sample
from shiftwatch.twosample import encoding, kernel, rows
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

    def first(self, count: int) -> Side:
        """Only the first rows."""
        return Side(self.encoded[:count], self.features[:count], self.positions[:count])


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
    grams: Features | None = None

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
        count = self.reference.features.shape[0] + self.current.features.shape[0]
        made = []
        for index, part in enumerate(self.parts):
            y, mean = self.current.features[:, part], sums[part] / count
            total = y.T @ y + (self._gram(part) if self.grams is None else self.grams[index])
            made.append(np.asarray(total / count - np.outer(mean, mean), dtype=np.float64))
        return made

    def _gram(self, part: slice) -> Features:
        x = self.reference.features[:, part]
        return np.asarray(x.T @ x)


def keep(reference: Sample, features: int, max_rows: int, rng: np.random.Generator) -> Prepared:
    """What :func:`make` needs of the reference."""
    if is_pooled(reference.rows, max_rows):
        return keep_rows(reference, rng)
    made = hold_out(reference, max_rows, rng)
    frequencies = kernel.frequencies(made.bandwidths, made.encoded.shape[1], features, rng)
    expanded = kernel.expand(made.encoded, frequencies)
    parts = kernel.parts(expanded.shape[1], len(made.bandwidths.ladder))
    arrays: dict[str, NDArray[Any]] = {
        "encoded": made.encoded,
        "features": expanded,
        "frequencies": frequencies,
        "grams": np.stack([expanded[:, p].T @ expanded[:, p] for p in parts]),
        "positions": made.positions,
    }
    facts = {"encoding": made.encoding, "gamma": made.bandwidths.gamma}
    return Prepared(arrays, facts | {"fine": made.bandwidths.fine, "rows": len(expanded)})


def is_pooled(reference: int, max_rows: int) -> bool:
    """Whether a reference of so many rows is too small to hold some of them out."""
    return reference <= min(_POOLED_ROWS, max_rows)


def keep_rows(reference: Sample, rng: np.random.Generator) -> Prepared:
    """The rows themselves, in random order; of a reference that is fitted pooled."""
    reference = rows.by_name(reference)
    order = rows.drawn(reference, rng)
    arrays, facts = rows.kept(reference.take(order))
    return Prepared(arrays | {"positions": order}, facts | {"rows": reference.rows})


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Rows of a reference encoded by what others of its rows say; ``positions`` are in the sample."""

    encoding: list[dict[str, Any]]
    bandwidths: kernel.Bandwidths
    encoded: Features
    positions: Positions


def hold_out(reference: Sample, max_rows: int, rng: np.random.Generator) -> HeldOut:
    """Hold rows out, fit scales, categories and bandwidths on them, and encode the others."""
    apart, kept = encoding.held_out_rows(reference.rows, max_rows, rng, _HELD_OUT_SHARE)
    reference = rows.by_name(reference)
    fit = encoding.fit(reference.take(apart))
    fitted, _ = encoding.encode(fit, reference.take(apart))
    encoded, _ = encoding.encode(fit, reference.take(kept))
    return HeldOut(fit, kernel.bandwidths(fitted), encoded, kept)


def make(
    prepared: Prepared, current: Sample, limits: tuple[int, int], rng: np.random.Generator
) -> Pair:
    """The pair; ``limits`` are features per bandwidth and rows of a side at most."""
    batch = draw(current, limits[1], rng)
    if "encoding" in prepared.facts:
        return _cached(prepared, batch)
    both = pool(prepared, batch, rng)
    frequencies = kernel.frequencies(both.bandwidths, both.current.shape[1], limits[0], rng)
    return expanded(both, frequencies, prepared.arrays["positions"], batch)


def _cached(prepared: Prepared, batch: Drawn) -> Pair:
    facts, arrays = prepared.facts, prepared.arrays
    encoded, owners = encoding.encode(facts["encoding"], batch.sample)
    frequencies = arrays["frequencies"]
    reference = Side(arrays["encoded"], arrays["features"], arrays["positions"])
    current = Side(encoded, kernel.expand(encoded, frequencies), batch.positions)
    bandwidths = kernel.Bandwidths(facts["gamma"], facts["fine"])
    names = batch.sample.names()
    return Pair(reference, current, bandwidths, frequencies, owners, names, arrays["grams"])


def expanded(both: Both, frequencies: Features, positions: Positions, batch: Drawn) -> Pair:
    """The pair of encoded sides; ``positions`` are of the reference's rows."""
    sides = [
        Side(encoded, kernel.expand(encoded, frequencies), own)
        for encoded, own in ((both.reference, positions), (both.current, batch.positions))
    ]
    names = batch.sample.names()
    return Pair(sides[0], sides[1], both.bandwidths, frequencies, both.owners, names)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Rows of the batch in random order, columns by name; ``positions`` are in the batch given."""

    sample: Sample
    positions: Positions


def draw(current: Sample, max_rows: int, rng: np.random.Generator) -> Drawn:
    """At most ``max_rows`` rows of a batch; which ones depends on contents and the generator."""
    current = rows.by_name(current)
    positions = rows.drawn(current, rng)[:max_rows]
    return Drawn(current.take(positions), positions)


@dataclass(frozen=True, slots=True, eq=False)
class Both:
    """Encoded rows of both sides in random order, columns behind the encoded ones, bandwidths."""

    reference: Features
    current: Features
    owners: NDArray[np.intp]
    bandwidths: kernel.Bandwidths


def pool(prepared: Prepared, batch: Drawn, rng: np.random.Generator) -> Both:
    """Both sides encoded by what all rows of both together say, which knows no labels."""
    reference = rows.restored(prepared.arrays, prepared.facts)
    both = rows.pooled(reference, batch.sample)
    encoded, owners = _varying(*encoding.encode(encoding.fit(both), both))
    # The bandwidths look at the first rows only, so in an order that does not tell the sides apart.
    mixed = rng.permutation(both.rows)[: kernel.DISTANCE_ROWS]
    bandwidths = kernel.bandwidths(encoded[mixed])
    return Both(encoded[: reference.rows], encoded[reference.rows :], owners, bandwidths)


def _varying(encoded: Features, owners: NDArray[np.intp]) -> tuple[Features, NDArray[np.intp]]:
    """Without the columns, such as indicators of nulls there are none of, that say nothing."""
    varies = encoded.min(axis=0) < encoded.max(axis=0)
    varies[0] = True  # so that a constant sample has a column, too
    return np.ascontiguousarray(encoded[:, varies]), owners[varies]
