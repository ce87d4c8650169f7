"""Maximum mean discrepancy over mixed columns, by random Fourier features.

In:    a reference sample, prepared once; the current sample.
Out:   a p-value exact by permutation, an effect (MMD), the columns that carry it.
Never: knows a level.

Three bandwidths around the median distance, each as plain MMD (Gretton et al. 2012) and with
spectral regularisation (Hagrass, Sriperumbudur & Li, arXiv:2212.09201; with random features:
Mukherjee & Sriperumbudur, arXiv:2502.20755), are combined by min-p over one set of permutations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Sample
from shiftwatch.twosample import encoding, permutation
from shiftwatch.twosample.protocol import MIN_ROWS, NotTested, Outcome, Prepared

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

_BANDWIDTHS = (0.25, 1.0, 4.0)
"""Multiples of 1/median squared distance: wide, median and narrow kernels."""

_RIDGES = (np.inf, 1e-2)
"""Spectral regularisation relative to the largest eigenvalue; infinite is plain MMD."""

_MEDIAN_ROWS = 500
_EXPLAIN_BELOW = 0.01
_EXPLAIN_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Mmd:
    """Kernel two-sample test of all columns of a scope together; see ``settings.MmdSettings``."""

    permutations: int = 999
    features: int = 256
    max_rows: int = 5000

    name = "mmd"

    def prepare(self, reference: Sample, rng: np.random.Generator) -> Prepared:
        """Encode the reference and keep its features: shape (rows, 3 * features), float32."""
        slice_, kept = encoding.held_out(reference, self.max_rows, rng)
        facts = encoding.fit(slice_)
        encoded, _ = encoding.encode(facts, kept)
        apart, _ = encoding.encode(facts, slice_)
        gamma = 1.0 / _median_squared_distance(apart[:_MEDIAN_ROWS])
        width = (len(_BANDWIDTHS), encoded.shape[1], self.features // 2)
        # Standard deviation sqrt(2 gamma) per coordinate gives exp(-gamma |x - y|^2), Rahimi & Recht.
        scales = np.sqrt(2 * gamma * np.array(_BANDWIDTHS))[:, None, None]
        frequencies = (rng.standard_normal(width) * scales).astype(np.float32)
        features = _features(encoded, frequencies)
        grams = np.stack([part.T @ part for part in _per_bandwidth(features)]).astype(np.float64)
        arrays: dict[str, NDArray[Any]] = {
            "encoded": encoded,
            "frequencies": frequencies,
            "features": features,
            "grams": grams,
        }
        return Prepared(arrays, {"encoding": facts, "rows": kept.rows})

    def run(
        self, prepared: Prepared, current: Sample, rng: np.random.Generator
    ) -> Outcome | NotTested:
        """Compare; rows beyond ``max_rows`` are left out at random."""
        reference: Features = prepared.arrays["features"]
        if min(reference.shape[0], current.rows) < MIN_ROWS:
            return NotTested("too_few_rows", f"{reference.shape[0]} and {current.rows} rows")
        encoded, owners = encoding.encode(prepared.facts["encoding"], current)
        encoded = permutation.drawn(encoded, self.max_rows, rng)
        features = _features(encoded, prepared.arrays["frequencies"])
        blocks = permutation.blocks(reference, features)
        in_use = prepared.arrays["encoded"][: blocks.rows_reference]
        if encoding.is_constant(in_use, encoded[: blocks.rows_current]):
            return NotTested("constant")
        p_value = self._p_value(blocks, prepared, features, rng)
        effect = _unbiased_mmd(reference, features)
        explanation: dict[str, Any] = {}
        if p_value <= _EXPLAIN_BELOW:
            explanation["columns"] = _shares(prepared.arrays, encoded, owners, current.names())
        return Outcome(
            statistic=effect**2,
            p_value=p_value,
            effect=effect,
            effect_low=None,
            effect_high=None,
            rows_reference=blocks.rows_reference,
            rows_current=blocks.rows_current,
            explanation=explanation,
        )

    def _p_value(
        self,
        blocks: permutation.Blocks,
        prepared: Prepared,
        features: Features,
        rng: np.random.Generator,
    ) -> float:
        table = permutation.labels(blocks, self.permutations, rng)
        changes = permutation.differences(blocks, table)
        scale = 1.0 / blocks.rows_current + 1.0 / blocks.rows_reference
        statistics, limits = [], []
        for index, gram in enumerate(prepared.arrays["grams"]):
            part = slice(index * self.features, (index + 1) * self.features)
            covariance = _pooled_covariance(blocks, gram, prepared, features, part)
            eigenvalues, vectors = np.linalg.eigh(covariance)
            eigenvalues = np.maximum(eigenvalues, 0.0)
            squares = (changes[:, part] @ vectors) ** 2
            for ridge in _RIDGES:
                weights = _spectral_weights(eigenvalues, ridge)
                statistics.append(squares @ weights)
                limits.append(weights * eigenvalues * scale)
        return permutation.combined_p(np.stack(statistics), limits)


def _features(encoded: Features, frequencies: Features) -> Features:
    """Random Fourier features of every bandwidth side by side; each bandwidth has norm 1."""
    half = frequencies.shape[2]
    features = np.empty((encoded.shape[0], frequencies.shape[0] * 2 * half), dtype=np.float32)
    for index, matrix in enumerate(frequencies):
        projected = encoded @ matrix
        start = index * 2 * half
        np.cos(projected, out=features[:, start : start + half])
        np.sin(projected, out=features[:, start + half : start + 2 * half])
    features *= np.float32(1 / np.sqrt(half))
    return features


def _per_bandwidth(features: Features) -> list[Features]:
    return np.split(features, len(_BANDWIDTHS), axis=1)


def _median_squared_distance(encoded: Features) -> float:
    norms = np.sum(encoded.astype(np.float64) ** 2, axis=1)
    squared = norms[:, None] + norms - 2 * (encoded @ encoded.T)
    above = squared[np.triu_indices(len(encoded), k=1)]
    positive = above[above > 1e-9]
    return float(np.median(positive)) if positive.size else 1.0


def _spectral_weights(eigenvalues: Floats, ridge: float) -> Floats:
    if np.isinf(ridge):
        return np.ones_like(eigenvalues)
    return np.asarray(1 / (eigenvalues + ridge * eigenvalues.max() + 1e-300))


def _pooled_covariance(
    blocks: permutation.Blocks,
    gram: Floats,
    prepared: Prepared,
    features: Features,
    part: slice,
) -> Floats:
    """Covariance of the rows in use, which knows no labels, so the permutation test stays exact."""
    left_out = prepared.arrays["features"][blocks.rows_reference :, part]
    used = features[: blocks.rows_current, part]
    total = gram - left_out.T @ left_out + used.T @ used
    rows = blocks.rows_reference + blocks.rows_current
    mean = blocks.sums[:, part].sum(axis=0) / rows
    return np.asarray(total / rows - np.outer(mean, mean))


def _unbiased_mmd(reference: Features, features: Features) -> float:
    """MMD at the median bandwidth, from the unbiased estimate of its square, 0 where negative.

    Source: Gretton et al. (2012), JMLR 13, Lemma 6.
    """
    x = _per_bandwidth(reference)[1].mean(axis=0, dtype=np.float64)
    y = _per_bandwidth(features)[1].mean(axis=0, dtype=np.float64)
    m, n = reference.shape[0], features.shape[0]
    within = (m * (x @ x) - 1) / (m - 1) + (n * (y @ y) - 1) / (n - 1)
    return float(np.sqrt(min(1.0, max(0.0, within - 2 * (x @ y)))))


def _shares(
    arrays: Mapping[str, NDArray[Any]],
    encoded: Features,
    owners: NDArray[np.intp],
    names: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Columns ranked by how much of the squared MMD goes when the column is held constant."""
    x, y = arrays["encoded"][:_EXPLAIN_ROWS], encoded[:_EXPLAIN_ROWS]
    frequencies = arrays["frequencies"][1]
    whole_x, whole_y = x @ frequencies, y @ frequencies
    full = _squared_gap(whole_x, whole_y)
    losses = []
    for column in range(len(names)):
        own = owners == column
        without_x = whole_x - x[:, own] @ frequencies[own]
        without_y = whole_y - y[:, own] @ frequencies[own]
        losses.append(max(0.0, full - _squared_gap(without_x, without_y)))
    total = sum(losses) or 1.0
    ranked = sorted(zip(losses, names, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [{"column": name, "share": round(loss / total, 4)} for loss, name in ranked if loss > 0]


def _squared_gap(x: Features, y: Features) -> float:
    half = x.shape[1]
    cosines = np.cos(x).mean(axis=0) - np.cos(y).mean(axis=0)
    sines = np.sin(x).mean(axis=0) - np.sin(y).mean(axis=0)
    return float((cosines @ cosines + sines @ sines) / half)
