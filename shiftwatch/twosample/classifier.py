"""Classifier two-sample test: whether the batch can be told from the reference.

In:    a reference sample, prepared once; the current sample.
Out:   a p-value exact by permutation, the effect 2*AUC-1 of held-out scores, the columns used.
Never: knows a level; takes a textbook null for pooled out-of-fold scores, which is wrong.

The classifier is ridge discriminant analysis in closed form, once on the columns and once with
squares and products beside them. Refitting it under every permutation of the labels is then one
matrix product, so the level is exact (the kernel Fisher discriminant of Harchaoui, Bach & Moulines
2008 with an explicit feature map); the two versions are combined by min-p. The effect comes from
leave-one-out scores, so it is what a fresh row would see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Sample
from shiftwatch.twosample import encoding, permutation
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

_RIDGE = 1e-2
"""Regularisation relative to the largest eigenvalue of the pooled covariance."""

_MAX_PRODUCTS = 300
"""Products of pairs at most; with more pairs a seeded choice of them is used."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Ridge classifier test of a whole scope; see ``settings.ClassifierSettings``."""

    learner: str = "ridge"
    permutations: int = 999
    max_rows: int = 5000

    name = "c2st"

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        """Encode the reference and choose the products: features (rows, width), float32."""
        slice_, kept = encoding.held_out(reference, self.max_rows, rng)
        facts = encoding.fit(slice_)
        encoded, owners = encoding.encode(facts, kept)
        apart, _ = encoding.encode(facts, slice_)
        pairs = _pairs(reference, owners, rng)
        raw = _expand(encoded, pairs)
        centre, scale = _standard(_expand(apart, pairs))
        arrays = {
            "features": (raw - centre) / scale,
            "pairs": pairs,
            "centre": centre,
            "scale": scale,
        }
        return Prepared(arrays, {"encoding": facts, "linear": encoded.shape[1]})

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; rows beyond ``max_rows`` are left out at random."""
        reference: Features = prepared.arrays["features"]
        if min(reference.shape[0], current.rows) < MIN_ROWS:
            return NotTested("too_few_rows", f"{reference.shape[0]} and {current.rows} rows")
        encoded, owners = encoding.encode(prepared.facts["encoding"], current)
        raw = _expand(permutation.drawn(encoded, self.max_rows, rng), prepared.arrays["pairs"])
        features = (raw - prepared.arrays["centre"]) / prepared.arrays["scale"]
        blocks = permutation.blocks(reference, features)
        reference, features = reference[: blocks.rows_reference], features[: blocks.rows_current]
        if encoding.is_constant(reference, features):
            return NotTested("constant")
        used = _Pooled.of(reference, features)
        versions = [used.narrowed(int(prepared.facts["linear"])), used]
        p_value, better = self._p_value(blocks, versions, rng)
        auc = versions[better].auc()
        low, high = _auc_interval(auc, blocks.rows_reference, blocks.rows_current)
        owners = _owners(owners, prepared.arrays["pairs"])
        return Outcome(
            statistic=auc,
            p_value=p_value,
            effect=max(0.0, 2 * auc - 1),
            effect_low=max(0.0, 2 * low - 1),
            effect_high=max(0.0, 2 * high - 1),
            rows_reference=blocks.rows_reference,
            rows_current=blocks.rows_current,
            explanation={
                "auc": round(auc, 4),
                "features": ("columns", "columns, squares and products")[better],
                "columns": versions[better].shares(owners, current.names()),
            },
        )

    def _p_value(
        self, blocks: permutation.Blocks, versions: list[_Pooled], rng: np.random.Generator
    ) -> tuple[float, int]:
        """Combined p-value, and which version was further from its own null."""
        table = permutation.labels(blocks, self.permutations, rng)
        changes = permutation.differences(blocks, table)
        scale = 1.0 / blocks.rows_current + 1.0 / blocks.rows_reference
        statistics, limits = [], []
        for version in versions:
            weights = 1 / version.regularised
            projected = changes[:, : version.width] @ version.vectors
            statistics.append(projected**2 @ weights)
            limits.append(weights * version.eigenvalues * scale)
        stacked = np.stack(statistics)
        spread = stacked[:, 1:].std(axis=1) + 1e-300
        heights = (stacked[:, 0] - stacked[:, 1:].mean(axis=1)) / spread
        return permutation.combined_p(stacked, limits), int(np.argmax(heights))


@dataclass(frozen=True, slots=True, eq=False)
class _Pooled:
    """Features of both samples, centred, with the eigenvectors of their pooled covariance."""

    features: Features
    current: int
    eigenvalues: Floats
    vectors: Floats
    covariance: Floats

    @classmethod
    def of(cls, reference: Features, current: Features) -> _Pooled:
        features = np.concatenate([current, reference])
        features -= features.mean(axis=0)
        covariance = (features.T @ features).astype(np.float64) / len(features)
        return cls._from_covariance(features, len(current), covariance)

    @classmethod
    def _from_covariance(cls, features: Features, current: int, covariance: Floats) -> _Pooled:
        eigenvalues, vectors = np.linalg.eigh(covariance)
        return cls(features, current, np.maximum(eigenvalues, 0.0), vectors, covariance)

    def narrowed(self, width: int) -> _Pooled:
        """The same with only the first columns."""
        narrow = self.covariance[:width, :width]
        return self._from_covariance(self.features[:, :width], self.current, narrow)

    @property
    def width(self) -> int:
        return int(self.features.shape[1])

    @property
    def regularised(self) -> Floats:
        return np.asarray(self.eigenvalues + _RIDGE * self.eigenvalues.max() + 1e-300)

    def direction(self) -> Floats:
        """Ridge discriminant: (C + ridge)^-1 (mean of the batch - mean of the reference)."""
        return np.asarray(self.vectors @ ((self.vectors.T @ self._gap()) / self.regularised))

    def _gap(self) -> Floats:
        batch = self.features[: self.current].mean(axis=0, dtype=np.float64)
        rest = self.features[self.current :].mean(axis=0, dtype=np.float64)
        return np.asarray(batch - rest)

    def auc(self) -> float:
        """Area under the curve of leave-one-out scores of ridge regression on the labels.

        For a linear smoother the score of row i without row i is (fit_i - h_i y_i) / (1 - h_i),
        with leverage h_i (Allen 1974, PRESS).
        """
        rows = len(self.features)
        target = np.zeros(rows)
        target[: self.current] = 1.0
        target -= target.mean()
        whitened = self.features @ (self.vectors / np.sqrt(rows * self.regularised)).astype(
            np.float32
        )
        leverage = np.sum(whitened.astype(np.float64) ** 2, axis=1) + 1.0 / rows
        fitted = (whitened @ (whitened.T @ target.astype(np.float32))).astype(np.float64)
        scores = (fitted - leverage * target) / np.maximum(1 - leverage, 1e-9)
        return _auc(scores[: self.current], scores[self.current :])

    def shares(self, owners: NDArray[np.intp], names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Columns ranked by their share of gap' (C + ridge)^-1 gap; a product counts half each."""
        parts = np.maximum(self.direction() * self._gap(), 0.0)
        owned = owners[: self.width]
        totals = np.zeros(len(names))
        np.add.at(totals, owned[:, 0], parts / 2)
        np.add.at(totals, owned[:, 1], parts / 2)
        shares = totals / (totals.sum() or 1.0)
        order = sorted(range(len(names)), key=lambda index: (-shares[index], names[index]))
        return [
            {"column": names[index], "share": round(float(shares[index]), 4)}
            for index in order
            if shares[index] > 0
        ]


def _pairs(
    reference: Sample, owners: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Pairs of encoded numeric columns to multiply, shape (pairs, 2); squares come first."""
    kinds = [column.kind for column in reference.columns]
    first = [int(np.argmax(owners == index)) for index in range(len(kinds))]
    numeric = np.array([first[i] for i, kind in enumerate(kinds) if kind == "numeric"], dtype=int)
    squares = np.stack([numeric, numeric], axis=1)
    left, right = np.triu_indices(len(numeric), k=1)
    products = np.stack([numeric[left], numeric[right]], axis=1)
    if len(products) > _MAX_PRODUCTS:
        chosen = np.sort(rng.permutation(len(products))[:_MAX_PRODUCTS])
        products = products[chosen]
    return np.concatenate([squares, products]).astype(np.int64)


def _owners(owners: NDArray[np.intp], pairs: NDArray[np.int64]) -> NDArray[np.intp]:
    """The two columns of data behind each feature, shape (width, 2)."""
    return np.concatenate([np.stack([owners, owners], axis=1), owners[pairs]])


def _expand(encoded: Features, pairs: NDArray[np.int64]) -> Features:
    products = encoded[:, pairs[:, 0]] * encoded[:, pairs[:, 1]]
    return np.concatenate([encoded, products], axis=1)


def _standard(raw: Features) -> tuple[Features, Features]:
    """Mean and standard deviation of each feature, the latter 1 where the feature is constant.

    In double precision: in single, the deviation of a constant feature comes out as rounding error,
    and one row that differs would be blown up until it hides every other feature.
    """
    if raw.shape[0] == 0:
        return np.zeros(raw.shape[1], np.float32), np.ones(raw.shape[1], np.float32)
    centre = raw.mean(axis=0, dtype=np.float64)
    spread = raw.std(axis=0, dtype=np.float64)
    scale = np.where(spread > 0, spread, 1.0)
    return centre.astype(np.float32), scale.astype(np.float32)


def _auc(batch: Floats, reference: Floats) -> float:
    """Mann-Whitney probability that a batch row scores higher, ties counting half."""
    ordered = np.sort(reference)
    below = np.searchsorted(ordered, batch, side="left")
    upto = np.searchsorted(ordered, batch, side="right")
    return float(np.mean((below + upto) / 2) / reference.size)


def _auc_interval(auc: float, m: int, n: int) -> tuple[float, float]:
    """95 % interval by the standard error of Hanley & McNeil (1982), Radiology 143, 29-36."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (m - 1) * (q2 - auc**2)
    margin = 1.96 * np.sqrt(max(variance, 0.0) / (m * n))
    return max(0.0, float(auc - margin)), min(1.0, float(auc + margin))
