"""Plain MMD with an exact kernel: the sums in tiles, the permutation of blocks, the interval."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist

from shiftwatch.sample import Sample, numeric
from shiftwatch.twosample import exact, median, pair
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.protocol import NotTested, Outcome

Floats = NDArray[np.float64]
Generator = np.random.Generator


def _kernel(a: Floats, b: Floats, gamma: float) -> Floats:
    return np.asarray(np.exp(-gamma * cdist(a, b, "sqeuclidean")))


def _plain(x: Floats, y: Floats, gamma: float) -> float:
    """Gretton et al. (2012), Lemma 6, with the whole kernel matrix."""
    m, n = len(x), len(y)
    within = [(_kernel(z, z, gamma).sum() - len(z)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(sum(within) - 2 * _kernel(x, y, gamma).sum() / (m * n))


def _sides(rng: Generator, m: int, n: int, width: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    return rng.standard_normal((m, width)), rng.standard_normal((n, width)) + shift


SIZES = [(2, 2), (3, 2), (17, 40), (300, 300), (769, 31), (801, 799), (1601, 700), (40, 1700)]


@pytest.mark.parametrize(("m", "n"), SIZES)
@pytest.mark.parametrize("width", [1, 7, 50])
def test_the_square_is_that_of_the_plain_formula_over_all_rows(m: int, n: int, width: int) -> None:
    x, y = _sides(np.random.default_rng([1, m, n]), m, n, width, 0.1)
    gamma = 1 / (2 * width)
    found = exact.compare(exact.keep(x, gamma), y, 9, np.random.default_rng(2))
    assert found.square == pytest.approx(_plain(x, y, gamma), abs=1e-6)
    assert found.sizes[found.batch].sum() == n
    assert found.sizes[~found.batch].sum() == m


def test_a_batch_too_small_for_the_kept_blocks_is_compared_with_fifty_times_its_rows() -> None:
    x, y = _sides(np.random.default_rng(3), 2000, 25, 4)
    found = exact.compare(exact.keep(x, 0.1), y, 9, np.random.default_rng(2))
    assert found.sizes[~found.batch].sum() == 1250
    assert found.square == pytest.approx(_plain(x[:1250], y, 0.1), abs=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e5])
def test_where_the_data_lie_does_not_cost_precision(offset: float) -> None:
    x, y = _sides(np.random.default_rng(4), 500, 400, 5, 0.2)
    found = exact.at_once(x + offset, y + offset, 0.1, 9, np.random.default_rng(2))
    assert found.square == pytest.approx(_plain(x, y, 0.1), abs=1e-6)


@pytest.mark.parametrize(("m", "n"), [(300, 300), (801, 799), (1601, 700), (3000, 100)])
def test_permuted_values_are_those_of_rows_that_swap_sides(m: int, n: int) -> None:
    """A label of a group is one of all its rows; the plain formula over rows gives the same."""
    x, y = _sides(np.random.default_rng(5), m, n, 3)
    gamma, size = 0.2, 4
    kept = exact.Kept(*_kept_in_blocks(x, gamma, size))
    sums, (batch, others, single, other_singles) = exact._sums(kept, y.astype(np.float32))
    groups = [*np.split(np.arange(batch * size), batch)]
    groups += [*np.split(n + np.arange(others * size), others)]
    groups += [np.array([row]) for row in range(batch * size, n)]
    groups += [np.array([n + row]) for row in range(others * size, m)]
    sizes = np.array([float(len(group)) for group in groups])
    rng = np.random.default_rng(6)
    whole = rng.permuted(np.arange(batch + others) < batch)
    rest = rng.permuted(np.arange(single + other_singles) < single)
    labels = np.concatenate([whole, rest])
    (value,) = exact._squares(sums, sizes, labels[None].astype(np.float32))
    both = np.concatenate([y, x])
    of_batch = np.concatenate([g for g, label in zip(groups, labels, strict=True) if label])
    others_ = np.setdiff1d(np.arange(m + n), of_batch)
    assert value == pytest.approx(_plain(both[others_], both[of_batch], gamma), abs=1e-6)


def _kept_in_blocks(
    x: Floats, gamma: float, size: int
) -> tuple[NDArray[np.float32], Floats, float, int, NDArray[np.float32]]:
    rows = x.astype(np.float32)
    return rows, np.zeros(x.shape[1]), gamma, size, exact._within(rows, gamma, size)


@pytest.mark.parametrize("size", [1, 2, 5, 384, 500])
def test_sums_of_blocks_are_those_of_the_whole_matrix(size: int) -> None:
    x = np.random.default_rng(7).standard_normal((1003, 4))
    count = 1003 // size
    whole = _kernel(x, x, 0.3) - np.eye(1003)
    used = whole[: count * size, : count * size].reshape(count, size, count, size)
    made = exact._within(x.astype(np.float32), 0.3, size)
    np.testing.assert_allclose(made, used.sum(axis=(1, 3)), rtol=1e-5, atol=1e-5)


def test_small_samples_are_permuted_row_by_row() -> None:
    """With blocks of one row it is the full test: the p-value agrees with one written out."""
    x, y = _sides(np.random.default_rng(8), 60, 40, 2, 0.25)
    found = exact.at_once(x, y, 0.25, 9999, np.random.default_rng(1))
    both, rng = np.concatenate([x, y]), np.random.default_rng(2)
    orders = [rng.permutation(100) for _ in range(2000)]
    values = [_plain(both[order[:60]], both[order[60:]], 0.25) for order in orders]
    plain = (1 + np.count_nonzero(np.array(values) >= _plain(x, y, 0.25))) / 2001
    assert (found.sizes == 1).all()
    assert abs(found.p_value - plain) < 4 * np.sqrt(plain * (1 - plain) / 2000)


@pytest.mark.parametrize(("m", "n", "runs"), [(30, 20, 400), (900, 60, 300), (1300, 900, 150)])
def test_p_values_without_a_shift_are_uniform(m: int, n: int, runs: int) -> None:
    rng = np.random.default_rng(9)
    p_values = [exact.at_once(*_sides(rng, m, n, 2), 0.3, 99, rng).p_value for _ in range(runs)]
    for level in (0.05, 0.2, 0.5):
        reached = sum(p <= level for p in p_values)
        assert stats.binomtest(reached, runs, level).pvalue > 1e-4


def test_rows_that_are_all_the_same_are_ties_and_the_p_value_is_one() -> None:
    found = exact.at_once(np.ones((50, 3)), np.ones((40, 3)), 1.0, 99, np.random.default_rng(1))
    assert found.p_value == 1.0
    assert found.square == pytest.approx(0.0, abs=1e-6)


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(10)
    x, y = _sides(rng, 1100, 300, 4, 0.1)
    answers = [
        exact.at_once(a, b, 0.1, 199, np.random.default_rng(1))
        for a, b in ((x, y), (rng.permutation(x), rng.permutation(y)))
    ]
    assert answers[0].p_value == answers[1].p_value
    assert answers[0].square == pytest.approx(answers[1].square, abs=1e-12)


@pytest.mark.slow
def test_memory_of_ten_thousand_rows_a_side_stays_far_below_the_matrix() -> None:
    x, y = (
        side.astype(np.float32) for side in _sides(np.random.default_rng(11), 10_000, 10_000, 50)
    )
    tracemalloc.start()
    exact.compare(exact.keep(x, 0.01), y, 999, np.random.default_rng(1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


# ------------------------------------------------------------------------------------ kernel: median


def _numbers(values: Floats) -> Sample:
    return Sample(len(values), tuple(numeric(f"x{j}", v) for j, v in enumerate(values.T)))


def _answer(test: Mmd, x: Floats, y: Floats) -> Outcome | NotTested:
    prepared = test.prepare(_numbers(x), np.random.default_rng(1))
    return test.run(prepared, _numbers(y), np.random.default_rng(2))


@pytest.mark.parametrize("rows", [1500, 4000])
def test_the_effect_is_the_exact_distance_at_the_median_of_encoded_rows(rows: int) -> None:
    x, y = _sides(np.random.default_rng(12), rows, 900, 3, 0.3)
    test = Mmd(kernel="median")
    found = _answer(test, x, y)
    assert isinstance(found, Outcome)
    prepared = test.prepare(_numbers(x), np.random.default_rng(1))
    rng = np.random.default_rng(2)
    batch = pair.draw(_numbers(y), 5000, rng)
    if rows > 3000:
        kept, both = median._cached(prepared, batch)
        gamma = kept.gamma
    else:
        both = pair.pool(prepared, batch, rng)
        gamma = both.bandwidths.gamma
    plain = _plain(both.reference.astype(float), both.current.astype(float), gamma)
    assert found.effect == pytest.approx(np.sqrt(plain), abs=1e-5)
    assert (found.rows_reference, found.rows_current) == (len(both.reference), 900)


def test_a_small_p_value_comes_with_columns_and_rows() -> None:
    rng = np.random.default_rng(13)
    x, y = _sides(rng, 1000, 400, 4)
    y[:, 2] += 0.8
    found = _answer(Mmd(kernel="median"), x, y)
    assert isinstance(found, Outcome)
    assert found.p_value < 1e-6
    assert found.explanation["columns"][0]["column"] == "x2"
    assert len(found.explanation["appeared"]) == len(found.explanation["vanished"]) == 10
    assert (y[found.explanation["appeared"], 2] > 0).all()


def test_null_moments_are_those_of_the_permuted_values() -> None:
    """Their mean is nothing and their variance twice the second; three columns make both plain."""
    x, y = _sides(np.random.default_rng(14), 600, 500, 3)
    found = exact.at_once(x, y, 0.15, 9999, np.random.default_rng(1))
    first, second, third = median.null_moments(found)
    values = found.values[1:]
    assert abs(values.mean()) < 0.05 * np.sqrt(2 * second)
    assert values.var() == pytest.approx(2 * second, rel=0.06)
    assert ((values - values.mean()) ** 3).mean() == pytest.approx(8 * third, rel=0.25)
    both = np.concatenate([x, y])
    k = _kernel(both, both, 0.15)
    centred = k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()
    eigenvalues = np.linalg.eigvalsh(centred) / len(both) * (1 / 600 + 1 / 500)
    traces = [(eigenvalues**power).sum() for power in (1, 2, 3)]
    np.testing.assert_allclose([first, second, third], traces, rtol=0.05)


@pytest.mark.parametrize(
    ("shift", "m", "n"), [(0.0, 300, 100), (0.5, 300, 100), (0.15, 2000, 1000)]
)
def test_interval_covers_the_distance_of_two_normals(shift: float, m: int, n: int) -> None:
    """Of N(0, I) and N(s, I): MMD^2 = 2 (1 + 4g)^(-d/2) (1 - exp(-g |s|^2 / (1 + 4g)))."""
    rng = np.random.default_rng(15)
    gamma, width, runs = 0.25, 2, 200 if m < 1000 else 60
    spread = 1 + 4 * gamma
    truth = 2 / spread ** (width / 2) * (1 - np.exp(-gamma * width * shift**2 / spread))
    above = below = 0
    for _ in range(runs):
        found = exact.at_once(*_sides(rng, m, n, width, shift), gamma, 9, rng)
        _, low, high = median.distance(found)
        above += low > np.sqrt(truth)
        below += high < np.sqrt(truth)
    # 5 % of misses are promised, half of them on each side.
    assert above <= stats.binom.isf(1e-3, runs, 0.025)
    assert below <= stats.binom.isf(1e-3, runs, 0.025)


@pytest.mark.slow
def test_far_tails_are_kept_with_few_permutations() -> None:
    """99 permutations end at .01; what is below comes from the tail fitted to them."""
    rng = np.random.default_rng(16)
    runs, test = 2000, Mmd(kernel="median", permutations=99)
    p_values = []
    for run in range(runs):
        x, y = _sides(rng, 120, 60, 3)
        prepared = test.prepare(_numbers(x), np.random.default_rng([1, run]))
        found = test.run(prepared, _numbers(y), np.random.default_rng([2, run]))
        assert isinstance(found, Outcome)
        p_values.append(found.p_value)
    for level in (0.05, 0.01, 0.001):
        reached = np.count_nonzero(np.array(p_values) <= level)
        assert reached <= stats.binom.isf(1e-3, runs, level)
