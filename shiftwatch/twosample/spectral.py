"""Spectrally regularised statistics of mean differences, and one p-value from several of them.

In:    mean differences under the observed and the permuted labels; the pooled covariance.
Out:   statistics on one scale; a p-value, never 0.
Never: knows a kernel or a column; uses anything that knows the labels but the differences.

A statistic is delta' (C + ridge * w_max)^-1 delta with the pooled covariance C of the features and
its largest eigenvalue w_max; an infinite ridge leaves |delta|^2, plain MMD. Source: Hagrass,
Sriperumbudur & Li, arXiv:2212.09201; with random features Mukherjee & Sriperumbudur,
arXiv:2502.20755. A Cholesky factor gives it at a fraction of the cost of eigenvectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from shiftwatch.twosample.permutation import P_FLOOR, weighted_chi2_tail

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

_TIE_BAND = 1e-4
"""Products are in single precision; closer than this to the observed value counts as a tie."""

_SMALL = 64
"""Triangular matrices up to this size are inverted as general ones."""

_TAIL_SHARE = 10
_TAIL_LEAST = 10
"""The largest tenth of the permuted values, at least ten, tell how the tail falls."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """One statistic under all labels, and the limit law that makes it comparable.

    ``values`` has shape (permutations + 1,), observed first. ``moments`` are the sums of the first
    three powers of the weights of its limit law sum_i weight_i chi2_1. ``covariance``, ``ridge``
    and ``scale`` are what the weights are made of, where they are needed themselves.
    """

    values: Floats
    moments: tuple[float, float, float]
    covariance: Floats
    ridge: float
    scale: float

    def log_scores(self) -> Floats:
        """-log of the gamma tail with the moments of the limit law."""
        return log_scores(self.values, self.moments)

    def limit_tail(self) -> float:
        """P-value of the observed value by the limit law."""
        eigenvalues = np.maximum(np.linalg.eigvalsh(self.covariance), 0.0)
        weights = (
            eigenvalues if math.isinf(self.ridge) else eigenvalues / (eigenvalues + self.ridge)
        )
        return weighted_chi2_tail(float(self.values[0]), weights * self.scale)


def log_scores(values: Floats, moments: tuple[float, float, float]) -> Floats:
    """-log of the tail of sum_i weight_i chi2_1, by the gamma law with its moments (Pearson III).

    Parameters
    ----------
    values
        Shape (n,).
    moments
        Sums of the first three powers of the weights.

    Examples
    --------
    >>> chi2 = log_scores(np.array([3.84]), (1.0, 1.0, 1.0))
    >>> round(float(np.exp(-chi2[0])), 4)
    0.05
    """
    first, second, third = moments
    variance = 2 * second + 1e-300
    shape = variance**3 * 4 / ((8 * third) ** 2 + 1e-300)
    standard = (values - first) / math.sqrt(variance)
    tail = special.gammaincc(shape, np.maximum(0.0, shape + math.sqrt(shape) * standard))
    return np.asarray(-np.log(np.maximum(tail, P_FLOOR)))


def statistics(
    changes: Features, covariance: Floats, ridges: Sequence[float], scale: float
) -> list[Statistic]:
    """A statistic for each ridge.

    Parameters
    ----------
    changes
        Mean of the batch minus mean of the reference, shape (permutations + 1, d), observed first.
    covariance
        Pooled covariance of the rows in use, shape (d, d).
    ridges
        Relative to the largest eigenvalue; infinite for plain MMD.
    scale
        1/m + 1/n.
    """
    plain_only = all(math.isinf(ridge) for ridge in ridges)
    largest = 1.0 if plain_only else _largest_eigenvalue(covariance)
    return [_statistic(changes, covariance, ridge * largest, scale) for ridge in ridges]


def _statistic(changes: Features, covariance: Floats, ridge: float, scale: float) -> Statistic:
    if math.isinf(ridge):
        moments = power_sums(covariance, scale)
    else:
        root = whitener(covariance, ridge)
        # Eigenvalues w / (w + ridge) are 1 - ridge / (w + ridge); the latter are at hand.
        moments = power_sums(np.eye(len(root)) - ridge * (root @ root.T), scale)
        changes = changes @ root.T.astype(np.float32)
    values = np.einsum("bi,bi->b", changes, changes).astype(np.float64)
    return Statistic(values, moments, covariance, ridge, scale)


def power_sums(matrix: Floats, scale: float) -> tuple[float, float, float]:
    """Sums of the first three powers of the eigenvalues of a symmetric matrix times ``scale``.

    Examples
    --------
    >>> power_sums(np.diag([1.0, 2.0]), 1.0)
    (3.0, 5.0, 9.0)
    """
    single = matrix.astype(np.float32)  # six digits of a scale are plenty
    square = single @ single
    sums = np.trace(matrix), np.trace(square), np.einsum("ij,ij", square, single)
    return float(sums[0] * scale), float(sums[1] * scale**2), float(sums[2] * scale**3)


def whitener(covariance: Floats, ridge: float) -> Floats:
    """A matrix G with G' G = (covariance + ridge)^-1."""
    damped = covariance + (ridge + 1e-12) * np.eye(len(covariance))
    factor = np.asarray(np.linalg.cholesky(damped), dtype=np.float64)
    return _inverse_of_lower(factor)


def _inverse_of_lower(factor: Floats) -> Floats:
    """By halves, at a third of the cost of a general inverse."""
    size = len(factor)
    if size <= _SMALL:
        return np.asarray(np.linalg.inv(factor))
    half = size // 2
    inverse = np.zeros_like(factor)
    inverse[:half, :half] = _inverse_of_lower(factor[:half, :half])
    inverse[half:, half:] = _inverse_of_lower(factor[half:, half:])
    inverse[half:, :half] = -inverse[half:, half:] @ factor[half:, :half] @ inverse[:half, :half]
    return inverse


def _largest_eigenvalue(covariance: Floats) -> float:
    """By power iteration; it only sets a scale, and a few per cent do no harm."""
    vector = covariance @ np.ones(len(covariance)) + covariance[:, np.argmax(np.diag(covariance))]
    value = 0.0
    for _ in range(30):
        value = float(np.linalg.norm(vector))
        if value == 0.0:
            return 1e-300
        vector = covariance @ (vector / value)
    return value


def combined(statistics_: Sequence[Statistic]) -> tuple[float, int]:
    """One p-value, exact by permutation down to 1/(permutations + 1); and the strongest statistic.

    Each value is put on the scale of a p-value (:meth:`Statistic.log_scores`); the mean of 1/p over
    the statistics, the harmonic mean of Wilson (2019), PNAS 116, 1195-1200, is compared with its
    own permutation law, so the level is exact whatever the accuracy of the scale. Unlike the
    smallest p it gains where related statistics agree, and a single strong one carries it as well.

    Where no permutation reached the observed value, see :func:`tail_p`; the result is then not
    below the smallest tail of the limit laws times the number of statistics either.
    """
    scores = np.stack([statistic.log_scores() for statistic in statistics_])
    together = np.asarray(special.logsumexp(scores, axis=0))
    strongest = int(np.argmax(scores[:, 0]))
    reached = np.count_nonzero(together >= together[0] - _TIE_BAND * (1 + abs(together[0])))
    p = float(reached / together.size)
    if reached > 1:
        return p, strongest
    bound = len(statistics_) * min(statistic.limit_tail() for statistic in statistics_)
    return max(P_FLOOR, min(p, max(bound, tail_p(together[0], together[1:])))), strongest


def tail_p(observed: float, permuted: Floats) -> float:
    """P-value beyond all permuted values, from how the largest of them fall off.

    Excesses over a high threshold are taken as exponential, as -log of a p-value is. Their mean is
    estimated from k of them, and the chance of an excess t is (1 + t / (k mean))^-k, exact for
    exponential excesses with an estimated mean (the F law with 2 and 2k degrees of freedom), so
    few permutations make it larger and not wrong. Idea of a fitted tail: Knijnenburg et al. (2009),
    Bioinformatics 25, i161-i168.

    Parameters
    ----------
    observed
        Larger than all of ``permuted``.
    permuted
        Shape (permutations,), at least 11.

    Examples
    --------
    >>> permuted = -np.log(np.arange(1, 1000) / 1000)
    >>> bool(1e-5 < tail_p(-np.log(1e-5), permuted) < 4e-5)
    True
    """
    count = max(_TAIL_LEAST, permuted.size // _TAIL_SHARE)
    ordered = np.sort(permuted)
    threshold = ordered[-count - 1]
    mean = float(np.mean(ordered[-count:] - threshold)) + 1e-300
    share = (count + 1) / (permuted.size + 1)
    power = -count * math.log1p((observed - threshold) / (count * mean))
    return max(P_FLOOR, share * math.exp(power))
