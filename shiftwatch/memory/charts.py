"""Two-sided charts over standard scores: cumulative sums, or e-processes.

In:    the scores of one batch; the charts after the batch before.
Out:   the charts after this batch; thresholds that keep a budget of false alarms.
Never: knows which column a chart is of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SLACK = 0.5
"""What a cumulative sum gives away at every check (k): best against a drift of one deviation."""

CAP = 1.2
"""Charts are held at this multiple of their threshold, so that an alarm ends when the shift does."""

_OVERSHOOT = 0.583
"""-zeta(1/2)/sqrt(2 pi): the mean overshoot of a normal random walk (Siegmund 1985, chapter X)."""

KAPPAS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""Exponents of the e-values; small ones find large shifts soon, large ones small shifts at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Cumulative sums, shape (charts, 2): of scores upwards, and downwards."""

    heights: Floats
    starts: Integers
    """Number of the first batch of the present excursion from 0; -1 at 0."""

    @classmethod
    def empty(cls, charts: int) -> Sums:
        """All at 0."""
        return cls(np.zeros((charts, 2)), np.full((charts, 2), -1))

    def after(self, scores: Floats, number: int, ceilings: Floats) -> Sums:
        """The sums after batch ``number``; shapes (charts,) and (charts,).

        Notes
        -----
        C = max(0, C + z - k) and likewise of -z (Page 1954), held at ``ceilings``.
        """
        steps = np.stack([scores, -scores], axis=1) - SLACK
        heights = np.clip(self.heights + steps, 0.0, ceilings[:, None])
        begun = (self.starts < 0) & (heights > 0)
        starts = np.where(heights > 0, np.where(begun, number, self.starts), -1)
        return Sums(heights, starts)


def run_length_threshold(run_length: Floats) -> Floats:
    """Height at which a one-sided cumulative sum of standard normal scores has this run length.

    Notes
    -----
    Siegmund (1985), Sequential Analysis, eq. 2.56: ARL = (exp(b) - b - 1) / (2 k^2) with
    b = 2 k (h + 1.166), solved for h by Newton's method.

    Examples
    --------
    >>> run_length_threshold(np.array([60_000.0])).round(2).tolist()  # 60 charts, 1 in 1000 checks
    [9.14]
    """
    goal = np.asarray(run_length, dtype=np.float64) * 2 * SLACK**2
    b = np.log1p(goal)
    for _ in range(8):  # from below the root, where it gains digits at once
        b = b - (np.exp(b) - b - 1 - goal) / np.maximum(np.exp(b) - 1, 1e-9)
    return np.maximum(b / (2 * SLACK) - 2 * _OVERSHOOT, 0.1)


def tail_threshold(chance: Floats) -> Floats:
    """Height that the sum exceeds with this chance at any one check, in the long run.

    By linearity of expectation, thresholds chosen so keep a budget whatever level each check is
    given. Siegmund (1985), chapter X: P(max >= h) = exp(-2 k (h + 0.583)) for the random walk.

    Examples
    --------
    >>> tail_threshold(np.array([1e-5])).round(2).tolist()
    [10.93]
    """
    return np.maximum(-np.log(chance) / (2 * SLACK) - _OVERSHOOT, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Evidences:
    """Shiryaev-Roberts sums of e-values, shape (charts, exponents)."""

    sums: Floats
    starts: Integers
    """Number of the batch at which the chart was last at its lowest, shape (charts,); -1 before."""

    @classmethod
    def empty(cls, charts: int) -> Evidences:
        """All at 0."""
        return cls(np.zeros((charts, len(KAPPAS))), np.full(charts, -1))

    def after(self, p_values: Floats, number: int, spent: float) -> Evidences:
        """The sums after batch ``number``.

        Parameters
        ----------
        p_values
            Shape (charts,), exactly uniform and independent over batches if nothing has shifted;
            NaN leaves a chart as it is.
        number
            Of the batch.
        spent
            What this check adds to the budget, in expected false alarms.

        Notes
        -----
        R = (spent + R) e with e = kappa p^(kappa - 1), averaged over kappa (Shin, Ramdas & Rinaldo
        2022; Shiryaev-Roberts). R minus all that was spent is a supermartingale, so a chart exceeds
        c within a time with a chance of at most what was spent in it over c, whatever the time.
        """
        known = np.isfinite(p_values)
        p = np.where(known, p_values, 1.0)[:, None]
        kappas = np.array(KAPPAS)
        grown = np.minimum((spent + self.sums) * kappas * p ** (kappas - 1), 1e300)
        sums = np.where(known[:, None], grown, self.sums)
        # As long as a chart holds less than two checks give it, nothing has begun.
        low = sums.mean(axis=1) < 2 * spent
        starts = np.where(low, -1, np.where(self.starts < 0, number, self.starts))
        return Evidences(sums, starts)

    def evidence(self) -> Floats:
        """Average over exponents, shape (charts,)."""
        return np.asarray(self.sums.mean(axis=1))


def log_ratio(value: float, threshold: float, unit: float) -> float:
    """Logarithm of an evidence over that of its threshold, both in units of one check; 1 at it."""
    return max(0.0, math.log1p(value / unit) / math.log1p(threshold / unit))
