"""The machinery the joint tests share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shiftwatch.twosample import permutation


def _gaussian(rows: int, width: int, seed: int, shift: float = 0.0) -> permutation.Features:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, width)) + shift).astype(np.float32)


def test_observed_difference_is_the_difference_of_means() -> None:
    reference, current = _gaussian(60, 3, 1), _gaussian(30, 3, 2, shift=1.0)
    made = permutation.blocks(reference, current)
    table = permutation.labels(len(made.sums), made.current, 9, np.random.default_rng(0))
    observed = permutation.differences(made, table)[0]
    expected = current.mean(axis=0, dtype=float) - reference.mean(axis=0, dtype=float)
    assert made.size == 1
    np.testing.assert_allclose(observed, expected, rtol=1e-5)


def test_every_permutation_keeps_the_number_of_current_blocks() -> None:
    made = permutation.blocks(_gaussian(5000, 2, 1), _gaussian(1000, 2, 2))
    table = permutation.labels(len(made.sums), made.current, 99, np.random.default_rng(0))
    assert made.sums.shape[0] <= permutation.MAX_BLOCKS
    assert set(table.sum(axis=1)) == {made.current}
    assert table[0, : made.current].all()
    assert not table[0, made.current :].any()


def test_blocks_leave_out_fewer_rows_than_one_block_of_each_sample() -> None:
    made = permutation.blocks(_gaussian(5001, 2, 1), _gaussian(997, 2, 2))
    assert 0 <= 997 - made.rows_current < made.size
    assert 0 <= 5001 - made.rows_reference < made.size


def test_canonical_order_does_not_depend_on_the_order_of_rows() -> None:
    rows = _gaussian(200, 4, 3)
    shuffled = rows[np.random.default_rng(1).permutation(200)]
    np.testing.assert_array_equal(
        rows[permutation.canonical_order(rows)], shuffled[permutation.canonical_order(shuffled)]
    )


@pytest.mark.parametrize(("degrees", "most"), [(1, 1.14), (2, 1.07), (10, 1.01), (200, 1.001)])
def test_tail_of_equal_weights_is_the_chi_square_tail_and_never_below_it(
    degrees: int, most: float
) -> None:
    for p in (1e-2, 1e-3, 1e-6, 1e-12, 1e-30):
        x = float(stats.chi2.isf(p, degrees))
        ratio = permutation.weighted_chi2_tail(x, np.ones(degrees)) / p
        assert 0.9999 <= ratio <= most


def test_tail_of_unequal_weights_agrees_with_simulation() -> None:
    weights = np.power(0.7, np.arange(30.0))
    draws = np.random.default_rng(0).chisquare(1, (400_000, 30)) @ weights
    for level in (0.05, 0.01, 0.001):
        tail = permutation.weighted_chi2_tail(float(np.quantile(draws, 1 - level)), weights)
        standard_error = np.sqrt(level / 400_000)
        assert abs(tail - level) < 4 * standard_error + 0.02 * level


def test_tail_is_never_zero_and_never_above_one() -> None:
    assert permutation.weighted_chi2_tail(1e9, np.ones(3)) == pytest.approx(permutation.P_FLOOR)
    assert permutation.weighted_chi2_tail(0.0, np.ones(3)) == 1.0
