"""Fits of the discriminant: observed, under permuted labels, and without the rows to be scored.

In:    standardised rows of both sides, and the frame that whitens them.
Out:   standard errors moved by each coordinate, fits under permutations, held-out scores.
Never: gives a p-value; knows columns by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.twosample.auc import auc
from shiftwatch.twosample.evidence import Prior, log_scale
from shiftwatch.twosample.permutation import labels
from shiftwatch.twosample.whitening import Frame

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

PRIORS = (Prior(share=0.3, edge=2.0), Prior(share=0.1, edge=3.0))
"""Of the columns, and of their squares and products."""

_WEIGHTS = (0.97, 0.03)
"""Parts of the level. Squares and products are many and few of them shift, so a small part costs
them little; a large one would cost the means power."""

_MOST_BLOCKS = 512
"""Blocks of both sides together; fewer lose power, more only cost time."""

_LEAST_BLOCKS = 16
"""Blocks of each side at least, as far as it has rows."""

_FOLDS = 10

_COORDINATES_AT_ONCE = 128
"""Coordinates whose differences under all permutations are held at the same time: half a megabyte,
which stays in the cache. All 450 of 50 columns at once took a quarter longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Standardised rows of both sides in random order; shape (rows, width)."""

    frame: Frame
    reference: Features
    current: Features

    def is_constant(self) -> bool:
        """Whether all rows of both sides are one and the same."""
        first = self.reference[0]
        sides = (self.current[:1], self.reference, self.current)  # one row is often enough
        return all(bool((side == first).all()) for side in sides)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Held-out scores of the rows in use, and the fold each row was held out in."""

    reference: Floats
    current: Floats
    reference_folds: NDArray[np.int64]
    current_folds: NDArray[np.int64]

    def area(self) -> float:
        """AUC within each fold, whose rows one and the same rule has scored, on average.

        Scores of different folds are not compared: each fold's rule leans away from the rows it
        left out, which would push the area below one half where nothing shifted.
        """
        folds = np.unique(self.current_folds)
        areas = [
            auc(
                self.current[self.current_folds == fold],
                self.reference[self.reference_folds == fold],
            )
            for fold in folds
        ]
        sizes = np.bincount(self.current_folds)[folds]
        return float(np.average(areas, weights=sizes))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Sums of standardised coordinates and products over blocks; the batch's blocks come first.

    ``sums`` has shape (blocks, width + q) and is scaled so that a mean difference is ``labels @
    sums``, in standard errors. ``coordinates`` are those that are multiplied, of the reference's
    and of the batch's rows.
    """

    sums: Features
    width: int
    size: int
    current: int
    coordinates: tuple[Features, Features]

    @classmethod
    def of(cls, sides: Sides) -> Fit:
        """Whiten, cut into blocks, standardise by the variance between all blocks."""
        frame = sides.frame
        x, y = frame.coordinates(sides.reference), frame.coordinates(sides.current)
        m, n = len(x), len(y)
        size = min(-(-(m + n) // _MOST_BLOCKS), max(1, min(m, n) // _LEAST_BLOCKS))
        parts = ((sides.current, y), (sides.reference, x))
        sums = np.concatenate([frame.block_sums(*part, size) for part in parts])
        sums -= sums.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows_current = n // size * size
        rows = len(sums) * size
        variance = np.maximum(1.0, np.einsum("ij,ij->j", sums, sums, dtype=np.float64) / rows)
        # Centred sums add up to 0, so the reference's sum is minus the batch's.
        spread = 1.0 / rows_current + 1.0 / (rows - rows_current)
        sums *= np.sqrt(spread / variance).astype(np.float32)
        return cls(sums, sides.current.shape[1], size, n // size, (x, y))

    @property
    def rows_current(self) -> int:
        """Rows of the batch in use: at most ``size - 1`` were left out, at random."""
        return self.current * self.size

    @property
    def rows_reference(self) -> int:
        """Rows of the reference in use."""
        return (len(self.sums) - self.current) * self.size

    def observed(self) -> Floats:
        """Mean differences in standard errors, shape (width + q,)."""
        return np.asarray(self.sums[: self.current].sum(axis=0, dtype=np.float64))

    def factors(self, z: NDArray[Any]) -> list[NDArray[Any]]:
        """Log Bayes factors of columns, and of products, for differences of shape (..., width + q)."""
        return [
            prior.log_factor(part)
            for prior, part in zip(PRIORS, np.split(z, [self.width], axis=-1), strict=True)
        ]

    def under_permutations(self, permutations: int, rng: np.random.Generator) -> Floats:
        """Both fits under the observed and permuted labels, on the scale of -log p.

        Returns
        -------
        Shape (2, permutations + 1), the observed ones first.
        """
        table = labels(len(self.sums), self.current, permutations, rng)
        totals = np.zeros((len(PRIORS), permutations + 1))
        for start in range(0, self.sums.shape[1], _COORDINATES_AT_ONCE):
            z = table @ self.sums[:, start : start + _COORDINATES_AT_ONCE]
            parts = np.split(z, [max(0, self.width - start)], axis=1)
            for each, (prior, part) in enumerate(zip(PRIORS, parts, strict=True)):
                totals[each] += prior.log_factor(part).sum(axis=1, dtype=np.float64)
        fits = []
        counts = (self.width, self.sums.shape[1] - self.width)
        for prior, weight, total, count in zip(PRIORS, _WEIGHTS, totals, counts, strict=True):
            if count:
                fits.append(log_scale(total, prior.shape(count)) + np.log(weight))
        if len(fits) == 1:
            fits = [fits[0], np.full(permutations + 1, -np.inf)]
        return np.stack(fits)

    def held_out_scores(self, sides: Sides) -> Scores:
        """Scores of every row in use by the rule fitted without the row's fold of blocks."""
        folds_current = _folds(self.current)
        folds_reference = _folds(len(self.sums) - self.current)
        folds = np.concatenate([folds_current, folds_reference])
        rules = [self._rule(folds, fold, sides.frame) for fold in range(_FOLDS)]
        x, y = self.coordinates
        return Scores(
            _scored(
                (sides.reference, x), np.repeat(folds_reference, self.size), rules, sides.frame
            ),
            _scored((sides.current, y), np.repeat(folds_current, self.size), rules, sides.frame),
            np.repeat(folds_reference, self.size),
            np.repeat(folds_current, self.size),
        )

    def _rule(self, folds: NDArray[np.int64], fold: int, frame: Frame) -> tuple[Floats, Floats]:
        """Weights of coordinates, and a matrix of weights of products of those in pairs."""
        kept = folds != fold
        first = np.arange(len(self.sums)) < self.current
        batch, reference = first & kept, ~first & kept
        places = np.searchsorted(frame.multiplied, frame.pairs)
        many = frame.multiplied.size
        if not (batch.any() and reference.any()):
            return np.zeros(self.width), np.zeros((many, many))
        # Each mean over its own rows; the scale of the standard error hardly changes.
        parts = [self.sums[side].mean(axis=0, dtype=np.float64) for side in (batch, reference)]
        share = 1.0 / self.current + 1.0 / (len(self.sums) - self.current)
        z = (parts[0] - parts[1]) / share
        slopes = [
            prior.slope(part) for prior, part in zip(PRIORS, np.split(z, [self.width]), strict=True)
        ]
        matrix = np.zeros((many, many))
        left, right = places.T
        matrix[left, right] = slopes[1] / frame.pair_scale
        return slopes[0], matrix


def _folds(blocks: int) -> NDArray[np.int64]:
    return np.arange(blocks, dtype=np.int64) % _FOLDS


def _scored(
    rows: tuple[Features, Features],
    folds: NDArray[np.int64],
    rules: Sequence[tuple[Floats, Floats]],
    frame: Frame,
) -> Floats:
    """Of standardised rows, and of those of their coordinates that are multiplied."""
    standardised, coordinates = rows
    # The rules weigh whitened rows; whitened weights do the same to rows that are not.
    weights = np.stack([rule[0] for rule in rules], axis=1).astype(np.float32)
    linear = standardised[: folds.size] @ frame.whitened(weights.T).T
    scores = np.zeros(folds.size)
    for fold, (_, matrix) in enumerate(rules):
        own = folds == fold
        part = coordinates[: folds.size][own]
        inner = part @ matrix.astype(np.float32)
        scores[own] = linear[own, fold] + np.einsum("ij,ij->i", inner, part)
    return scores
