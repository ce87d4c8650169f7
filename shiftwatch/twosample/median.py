"""MMD with the one Gaussian kernel at the median distance, exact: ``kernel: median``.

In:    a reference sample, prepared once; the current sample.
Out:   a p-value by permutation of blocks, an effect (MMD) with its interval, and what carries it.
Never: approximates the kernel that is tested; knows a level.

Encoding and width of the kernel are those of the aggregated test (:mod:`pair`). Rows and columns are
named, where the p-value is small, by random features of the same kernel: a ranking needs no more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.sample import Sample
from shiftwatch.twosample import encoding, exact, kernel, pair, spectral, tail, witness
from shiftwatch.twosample.protocol import NotTested, Outcome, Prepared

Floats = NDArray[np.float64]

EXPLAIN_BELOW = 0.01
"""Columns and rows are named from this p-value down: above, they would be noise."""


def prepare(reference: Sample, max_rows: int, rng: np.random.Generator) -> Prepared:
    """Keep a small reference as it is, of a larger one the rows and the sums of the kernel."""
    if pair.is_pooled(reference.rows, max_rows):
        return pair.keep_rows(reference, rng)
    made = pair.hold_out(reference, max_rows, rng)
    kept = exact.keep(made.encoded, made.bandwidths.gamma)
    arrays: dict[str, NDArray[Any]] = {"rows": kept.rows, "centre": kept.centre, "sums": kept.sums}
    facts = {"encoding": made.encoding, "gamma": kept.gamma, "size": kept.size}
    return Prepared(arrays | {"positions": made.positions}, facts | {"rows": len(kept.rows)})


def run(
    prepared: Prepared, current: Sample, limits: tuple[int, int, int], rng: np.random.Generator
) -> Outcome | NotTested:
    """Compare; ``limits`` are permutations, features of an explanation, rows of a side at most."""
    permutations, features, max_rows = limits
    batch = pair.draw(current, max_rows, rng)
    if "encoding" in prepared.facts:
        kept, both = _cached(prepared, batch)
    else:
        both = pair.pool(prepared, batch, rng)
        kept = exact.keep(both.reference, both.bandwidths.gamma)
    if encoding.is_constant(both.reference, both.current):
        return NotTested("constant")
    found = exact.compare(kept, both.current, permutations, rng)
    p_value = tail.permutation_p(_scores(found))
    effect, low, high = distance(found)
    explanation: dict[str, Any] = {}
    if p_value <= EXPLAIN_BELOW:
        single = kernel.Bandwidths(kept.gamma, fine=None)
        frequencies = kernel.frequencies(single, both.current.shape[1], features, rng)
        one = replace(both, bandwidths=single)
        made = pair.expanded(one, frequencies, prepared.arrays["positions"], batch)
        explanation = witness.explain(made, 0, None)
    return Outcome(
        statistic=effect**2,
        p_value=p_value,
        effect=effect,
        effect_low=low,
        effect_high=high,
        rows_reference=int(found.sizes[~found.batch].sum()),
        rows_current=int(found.sizes[found.batch].sum()),
        explanation=explanation,
    )


def _cached(prepared: Prepared, batch: pair.Drawn) -> tuple[exact.Kept, pair.Both]:
    facts, arrays = prepared.facts, prepared.arrays
    encoded, owners = encoding.encode(facts["encoding"], batch.sample)
    kept = exact.Kept(
        arrays["rows"], arrays["centre"], facts["gamma"], facts["size"], arrays["sums"]
    )
    reference = (arrays["rows"] + arrays["centre"]).astype(np.float32)
    bandwidths = kernel.Bandwidths(facts["gamma"], fine=None)
    return kept, pair.Both(reference, encoded, owners, bandwidths)


def null_moments(found: exact.Compared) -> tuple[float, float, float]:
    """tr(C^k) (1/m + 1/n)^k, k = 1, 2, 3, of the covariance C of both samples in the kernel's space.

    The limit law of m n / (m + n) times the biased square is sum_i w_i chi2_1 with the eigenvalues w
    of C (Gretton et al. 2012, Theorem 12), and the traces are those of its first three cumulants.
    They are estimated without bias from sums over different groups of rows:

        1 - mean k,   sum K_ab^2 / sum w_a w_b,   sum K_ab K_bc K_ca / sum w_a w_b w_c

    with the centred sums K and the sizes w of groups, all of a, b, c different. The third is not
    below what the first two allow (Cauchy and Schwarz).
    """
    sizes = found.sizes
    rows = float(sizes.sum())
    centred = exact.centre(found.sums, sizes)
    np.fill_diagonal(centred, 0.0)
    powers = [float((sizes**k).sum()) for k in (2, 3)]
    first = 1.0 - float(found.sums.sum(dtype=np.float64)) / (rows * (rows - 1))
    second = float(np.einsum("ij,ij", centred, centred)) / (rows**2 - powers[0])
    triples = rows**3 - 3 * rows * powers[0] + 2 * powers[1]
    third = float(np.einsum("ij,ij", centred @ centred, centred)) / triples
    third = max(third, second**2 / max(first, 1e-300))
    n = float(sizes[found.batch].sum())
    scale = 1 / n + 1 / (rows - n)
    return max(first, 0.0) * scale, second * scale**2, third * scale**3


def _scores(found: exact.Compared) -> Floats:
    """The squares on the scale of -log p; the limit law is that of the biased ones."""
    moments = null_moments(found)
    return spectral.log_scores(found.values + moments[0], moments)


def distance(found: exact.Compared) -> tuple[float, float, float]:
    """MMD with a 95 % interval; see :func:`witness.interval`."""
    moments = null_moments(found)
    return witness.interval(found.square, found.square + moments[0], _between(found), moments)


def _between(found: exact.Compared) -> float:
    """4 var(h(x)) / m + 4 var(h(y)) / n with the witness h, from its means over blocks.

    The means of blocks of so many rows have a variance as many times smaller.
    """
    sums = found.sums.astype(np.float64)
    sums[np.diag_indices(len(sums))] += found.sizes
    batch, sizes = found.batch, found.sizes
    n, m = float(sizes[batch].sum()), float(sizes[~batch].sum())
    heights = (sums[:, batch].sum(axis=1) / n - sums[:, ~batch].sum(axis=1) / m) / sizes
    size = sizes[0]
    spreads = [np.var(heights[(sizes == size) & side], ddof=1) * size for side in (~batch, batch)]
    return float(4 * spreads[0] / m + 4 * spreads[1] / n)
