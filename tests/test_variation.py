"""The interval of the total variation distance, against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.twosample.variation import total_variation

Floats = NDArray[np.float64]


def zipf(size: int, exponent: float = 1.2) -> Floats:
    weights = 1 / np.arange(1, size + 1) ** exponent
    return np.asarray(weights / weights.sum())


LAWS = {
    "even": np.array([0.5, 0.5]),
    "rare": np.array([0.99, 0.01]),
    "very rare": np.array([0.998, 0.002]),
    "three": np.array([0.9, 0.09, 0.01]),
    "twenty": zipf(20),
    "two hundred": zipf(200),
    "a thousand equal": zipf(1000, 0),
}


@pytest.mark.parametrize(("m", "n"), [(5000, 500), (300, 60), (100, 1000)])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_interval_holds_the_laws_distance_in_95_percent(law: Floats, m: int, n: int) -> None:
    rng, runs = np.random.default_rng(1), 400
    for mixed in (0.0, 0.02, 0.2):
        other = (1 - mixed) * law + mixed * law[::-1]
        true = float(np.abs(law - other).sum()) / 2
        held = 0
        for _ in range(runs):
            reference, current = rng.multinomial(m, law), rng.multinomial(n, other)
            seen = reference + current > 0
            found = total_variation(reference[seen], current[seen])
            assert 0 <= found.low <= found.value <= found.high <= 1
            held += found.low - 1e-12 <= true <= found.high + 1e-12
        assert held >= stats.binom.ppf(1e-4, runs, 0.95), mixed


def test_a_rare_category_that_stays_rare_is_surely_below_the_tolerance() -> None:
    found = total_variation(np.array([19_800, 200]), np.array([4950, 50]))
    assert found.high < 0.005


def test_a_shift_is_surely_one_and_complete_separation_is_one() -> None:
    found = total_variation(np.array([4000, 1000]), np.array([300, 200]))
    assert found.value == pytest.approx(0.2)
    assert 0.1 < found.low < 0.2 < found.high < 0.27
    apart = total_variation(np.array([0, 0, 77]), np.array([30, 19, 0]))
    assert (apart.value, apart.high) == (1.0, 1.0)
