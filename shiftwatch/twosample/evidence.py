"""Evidence for a shift in a few of many coordinates, and the same on the scale of -log p.

In:    standardised differences of coordinates, about N(0, 1) each where nothing shifted.
Out:   sums of log Bayes factors; values near -log p, to be compared with permuted ones.
Never: gives a p-value.

A coordinate has shifted with a small prior probability, most likely by about as much as can just be
found, sometimes by far more. The log Bayes factor of that against "not shifted" adds up over the
coordinates (spike and slab; Johnstone & Silverman 2004, Annals of Statistics 32, 1594-1649).
Measured for ten coordinates of which three are shifted: the power of the sum of squares, and more
where fewer of more coordinates are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

_WIDE_SHARE = 0.1
"""Of the shifted coordinates, those that may have moved by any amount."""

_WIDE_VARIANCE = 25.0
_FAR = 12.0
"""Beyond this the wide part is all there is; single precision would end soon after."""

_GROWTH = 0.5 * _WIDE_VARIANCE / (1 + _WIDE_VARIANCE)
_TAIL_FLOOR = 1e-300


@dataclass(frozen=True, slots=True)
class Prior:
    """Share of coordinates expected to shift, and by how many standard errors if barely."""

    share: float
    edge: float

    def log_factor(self, z: NDArray[np.floating]) -> NDArray[np.floating]:
        """Log Bayes factor of every coordinate, in the precision of ``z``.

        log(1 - s + s (.9 exp(-e^2/2) cosh(e z) + .1 (1 + v)^-1/2 exp(z^2 v / (2 (1 + v))))), with
        share s, edge e and v = 25.
        """
        size = np.abs(z)
        near = np.minimum(size, _FAR)
        barely, wide = self._weights()
        rise = np.exp(self.edge * near)  # cosh by hand: exp is many times as fast
        total = rise + 1 / rise
        total *= 0.5 * barely
        grown = np.exp(_GROWTH * near * near)
        grown *= wide
        total += grown
        total += 1 - self.share
        return np.asarray(np.log(total) + _GROWTH * (size * size - near * near))

    def slope(self, z: Floats) -> Floats:
        """Derivative of the log factor: about the shift, shrunk where it may well be none."""
        near = np.clip(z, -_FAR, _FAR)
        barely, wide = self._weights()
        grown = wide * np.exp(_GROWTH * near * near)
        factor = 1 - self.share + barely * np.cosh(self.edge * near) + grown
        rise = barely * self.edge * np.sinh(self.edge * near) + 2 * _GROWTH * near * grown
        return np.asarray(rise / factor + 2 * _GROWTH * (z - near))

    def _weights(self) -> tuple[float, float]:
        barely = self.share * (1 - _WIDE_SHARE) * np.exp(-0.5 * self.edge**2)
        return float(barely), float(self.share * _WIDE_SHARE / np.sqrt(1 + _WIDE_VARIANCE))

    def shape(self, coordinates: int) -> float:
        """Shape of the gamma law with the skewness of the sum over independent coordinates."""
        grid = np.linspace(-9.0, 9.0, 3601)
        density = np.exp(-0.5 * grid**2)
        density /= density.sum()
        values = self.log_factor(grid)
        centred = values - density @ values
        second, third = density @ centred**2, density @ centred**3
        return float(4 * second**3 / third**2 * coordinates)


def log_scale(values: Floats, shape: float) -> Floats:
    """Values as -log of a gamma tail whose median and upper tenth are those of the values.

    Median and tenth are taken over all values, the observed one included, so the scale knows no
    labels and a permutation test stays exact. It only makes two statistics comparable.

    Parameters
    ----------
    values
        Shape (B + 1,).
    shape
        Of the gamma law, > 0.
    """
    middle, upper = np.quantile(values, [0.5, 0.9])
    if not upper > middle:
        return np.zeros_like(values)
    low, high = special.gammaincinv(shape, [0.5, 0.9])
    placed = low + (values - middle) * (high - low) / (upper - middle)
    tail = special.gammaincc(shape, np.maximum(placed, 0.0))
    return np.asarray(-np.log(np.maximum(tail, _TAIL_FLOOR)))
