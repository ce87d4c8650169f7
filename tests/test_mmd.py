"""The kernel test from inside: kernels, statistics, tail, interval, rows that came and went."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.twosample import encoding, kernel, pair, rows, spectral, witness
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.protocol import Outcome

Floats = NDArray[np.float64]


def _numbers(values: Floats) -> Sample:
    return Sample(len(values), tuple(numeric(f"x{j}", v) for j, v in enumerate(values.T)))


def _rare(rng: np.random.Generator, rows: int) -> Sample:
    texts = [rng.zipf(2.2, rows).clip(max=10**6).astype(str).tolist() for _ in range(3)]
    numbers = np.where(rng.random(rows) < 0.05, np.nan, rng.standard_t(1.5, rows))
    columns = [categorical(f"c{j}", text) for j, text in enumerate(texts)]
    return Sample(rows, (numeric("x", numbers), *columns))


def _squared(a: Floats, b: Floats) -> Floats:
    return np.asarray(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2))


def _pair(x: Floats, y: Floats, gamma: float, features: int = 256) -> pair.Pair:
    """Rows as they are, no encoding in between."""
    chosen = kernel.Bandwidths(gamma, fine=True)
    drawn = kernel.frequencies(chosen, x.shape[1], features, np.random.default_rng(1))
    sides = [
        pair.Side(part, kernel.expand(part, drawn), np.arange(len(part)))
        for part in (x.astype(np.float32), y.astype(np.float32))
    ]
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    return pair.Pair(sides[0], sides[1], chosen, drawn, np.arange(x.shape[1]), names)


def _distance(made: pair.Pair) -> tuple[float, float, float]:
    features = [made.reference.features, made.current.features]
    covariances = made.covariances(np.concatenate(features).sum(axis=0, dtype=float))
    covariance = covariances[made.bandwidths.median]
    scale = sum(1 / len(part) for part in features)
    return witness.distance(made, spectral.power_sums(covariance, scale))


@pytest.mark.parametrize(("width", "tolerance"), [(1, 0.01), (2, 0.05), (20, 0.25)])
def test_inner_products_of_features_are_the_kernel(width: int, tolerance: float) -> None:
    rows = np.random.default_rng(1).standard_normal((50, width))
    gamma = 1 / np.median(_squared(rows, rows)[np.triu_indices(50, 1)])
    made = _pair(rows, rows, gamma, features=1024)
    features = made.current.features[:, made.parts[made.bandwidths.median]]
    np.testing.assert_allclose(
        features @ features.T, np.exp(-gamma * _squared(rows, rows)), atol=tolerance
    )


@pytest.mark.parametrize("fine", [True, False, None])
def test_features_are_the_cosines_and_sines_of_every_frequency(fine: bool | None) -> None:
    rows = np.random.default_rng(20).standard_normal((700, 9)).astype(np.float32)
    chosen = kernel.Bandwidths(0.1, fine)
    drawn = kernel.frequencies(chosen, 9, 64, np.random.default_rng(1))
    assert drawn.shape == (len(chosen.ladder), 9, 32)
    angles = np.einsum("nw,bwf->nbf", rows.astype(float), drawn.astype(float))
    plain = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(700, -1) / np.sqrt(32)
    np.testing.assert_allclose(kernel.expand(rows, drawn), plain, atol=1e-5)
    spreads = [matrix.std() for matrix in drawn]
    expected = [np.sqrt(0.2 * rung.multiple) for rung in chosen.ladder]
    np.testing.assert_allclose(spreads, expected, rtol=0.15)


def test_rows_are_encoded_as_scaled_numbers_slots_and_indicators_of_nulls() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    texts = ["a", "b", "b", None, "a"]
    fit = encoding.fit(Sample(5, (numeric("x", values), categorical("c", texts))))
    fresh = (numeric("x", [np.nan, 1e9, 2.0]), categorical("c", [None, "new", "b"]))
    made, owners = encoding.encode(fit, Sample(3, fresh))
    scale = 2.0 / 1.349
    number = np.array([0.0, 6.0, (2.0 - 2.0) / scale])
    nulls = np.array([fit[0]["null_weight"], 0.0, 0.0])
    slots = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]]) * fit[1]["weight"]
    other = np.array([fit[1]["null_weight"], 0.0, 0.0])
    expected = np.column_stack([number, nulls, slots, other])
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    assert owners.tolist() == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(("width", "narrowest"), [(1, 64), (2, 64), (30, 4)])
def test_narrow_kernels_are_used_where_few_columns_let_them_see(
    width: int, narrowest: float
) -> None:
    rows = np.random.default_rng(2).random((500, width)).astype(np.float32)
    chosen = kernel.bandwidths(rows)
    assert chosen.ladder[-1].multiple == narrowest
    assert chosen.ladder[chosen.median].multiple == 1


@pytest.mark.parametrize("ridge", [np.inf, 0.3, 1e-4])
def test_statistic_is_the_one_written_with_eigenvectors(ridge: float) -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((400, 20)) * np.geomspace(1, 0.1, 20)
    covariance = np.cov(rows.T)
    changes = rng.standard_normal((5, 20)).astype(np.float32)
    (made,) = spectral.statistics(changes, covariance, (ridge,), 0.5)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    divisor = 1.0 if np.isinf(ridge) else eigenvalues + ridge * eigenvalues.max()
    expected = ((changes @ vectors) ** 2 / divisor).sum(axis=1)
    # The largest eigenvalue comes from power iteration, to a few per cent.
    np.testing.assert_allclose(made.values, expected, rtol=0.03)
    weights = 0.5 * eigenvalues / divisor
    powers = [(weights**k).sum() for k in (1, 2, 3)]
    np.testing.assert_allclose(made.moments, powers, rtol=0.05)


def _chi_squares(values: Floats) -> list[spectral.Statistic]:
    """Statistics whose limit law is chi-square with 3 degrees of freedom."""
    return [spectral.Statistic(row, (3.0, 3.0, 3.0), np.eye(3), np.inf, 1.0) for row in values]


def test_scores_of_a_chi_square_statistic_are_minus_log_of_its_p_value() -> None:
    x = np.array([0.5, 3.0, 20.0, 60.0])
    (statistic,) = _chi_squares(x[None])
    np.testing.assert_allclose(statistic.log_scores(), -stats.chi2.logsf(x, 3), rtol=1e-9)


def test_combined_p_value_under_the_null_is_uniform_on_its_grid() -> None:
    rng = np.random.default_rng(4)
    runs = 3000
    p_values = np.array(
        [spectral.combined(_chi_squares(rng.chisquare(3, (3, 100))))[0] for _ in range(runs)]
    )
    for level in (0.01, 0.05, 0.2, 0.5):
        rate = np.mean(p_values <= level)
        assert abs(rate - level) < 4 * np.sqrt(level * (1 - level) / runs)


def test_equal_statistics_are_ties_and_the_p_value_is_one() -> None:
    assert spectral.combined(_chi_squares(np.full((2, 50), 5.0)))[0] == 1.0


def test_a_shift_in_one_statistic_is_not_diluted_by_five_that_are_still() -> None:
    values = np.random.default_rng(5).chisquare(3, (6, 1000))
    values[4, 0] = 80.0
    p_value, strongest = spectral.combined(_chi_squares(values))
    assert 0 < p_value < 1e-9
    assert strongest == 4


def test_tail_beyond_the_permutations_is_right_where_scores_are_exponential() -> None:
    """-log p of an exact p-value is exponential; 99 of them tell P(p <= .0001) as it is."""
    rng = np.random.default_rng(6)
    runs = 200_000
    scores = rng.exponential(size=(runs, 100))
    beyond = np.flatnonzero(scores[:, 0] > scores[:, 1:].max(axis=1))
    p_values = np.array([spectral.tail_p(scores[run, 0], scores[run, 1:]) for run in beyond])
    for level in (1e-3, 1e-4):
        rate = np.count_nonzero(p_values <= level) / runs
        assert abs(rate - level) <= 3 * np.sqrt(level / runs)


def test_tail_is_never_zero() -> None:
    assert spectral.tail_p(1e300, np.linspace(0, 1, 99)) > 0


def test_a_pooled_fit_does_not_know_which_side_a_row_is_on() -> None:
    both = rows.pooled(_rare(np.random.default_rng(7), 90), _rare(np.random.default_rng(8), 60))
    order = np.random.default_rng(9).permutation(150)
    assert encoding.fit(both) == encoding.fit(both.take(order))


@pytest.mark.parametrize("max_rows", [200, 5000])
def test_small_references_are_kept_whole_and_larger_ones_give_rows_to_fit_on(
    max_rows: int,
) -> None:
    reference = _rare(np.random.default_rng(10), 400)
    test = Mmd(permutations=99, features=64, max_rows=max_rows)
    prepared = test.prepare(reference, np.random.default_rng(1))
    outcome = test.run(prepared, _rare(np.random.default_rng(11), 100), np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    assert outcome.rows_reference == min(400, max_rows)
    assert json.dumps(prepared.facts, allow_nan=False)


@pytest.mark.slow
def test_level_is_kept_where_the_reference_is_fitted_on_rows_held_out() -> None:
    rng = np.random.default_rng(12)
    test = Mmd(permutations=199, features=64, max_rows=200)
    runs = 400
    p_values = []
    for run in range(runs):
        prepared = test.prepare(_rare(rng, 400), np.random.default_rng(run))
        outcome = test.run(prepared, _rare(rng, 100), np.random.default_rng([1, run]))
        assert isinstance(outcome, Outcome)
        p_values.append(outcome.p_value)
    for level in (0.05, 0.2):
        rate = np.mean(np.array(p_values) <= level)
        assert rate <= level + 3 * np.sqrt(level * (1 - level) / runs)


def test_distance_approaches_the_exact_unbiased_estimate() -> None:
    """Gretton et al. (2012), Lemma 6, written out with the exact kernel."""
    rng = np.random.default_rng(13)
    x, y = rng.standard_normal((400, 3)), rng.standard_normal((300, 3)) + 0.5
    gamma = 0.2
    kxx, kyy, kxy = (np.exp(-gamma * _squared(u, v)) for u, v in ((x, x), (y, y), (x, y)))
    exact = (kxx.sum() - 400) / (400 * 399) + (kyy.sum() - 300) / (300 * 299) - 2 * kxy.mean()
    found, _, _ = _distance(_pair(x, y, gamma, features=1024))
    assert found**2 == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.5, 1.5])
def test_interval_covers_the_distance_of_two_normals(shift: float) -> None:
    """Of N(0, I) and N(s, I): MMD^2 = 2 (1 + 4g)^(-d/2) (1 - exp(-g |s|^2 / (1 + 4g)))."""
    rng = np.random.default_rng(14)
    gamma, width, runs = 0.25, 2, 300
    spread = 1 + 4 * gamma
    truth = 2 / spread ** (width / 2) * (1 - np.exp(-gamma * width * shift**2 / spread))
    above = below = 0
    for _ in range(runs):
        x, y = rng.standard_normal((300, width)), rng.standard_normal((100, width)) + shift
        _, low, high = _distance(_pair(x, y, gamma, features=128))
        above += low > np.sqrt(truth)
        below += high < np.sqrt(truth)
    # 5 % of misses are promised, half of them on each side.
    assert above <= stats.binom.isf(1e-3, runs, 0.025)
    assert below <= stats.binom.isf(1e-3, runs, 0.025)


def test_upper_end_falls_with_the_rows_where_nothing_differs() -> None:
    rng = np.random.default_rng(15)
    highs = []
    for count in (100, 1000, 10_000):
        x, y = rng.standard_normal((count, 2)), rng.standard_normal((count, 2))
        highs.append(_distance(_pair(x, y, 0.25, features=64))[2])
    # It goes with 1/sqrt(rows), so by about 10 from the first to the last.
    assert highs[0] < 0.25
    assert highs[2] < 0.25 * highs[0]


def _clusters(rng: np.random.Generator, rows: int, planted: Floats) -> Floats:
    values = rng.standard_normal((rows, 2))
    values[: len(planted)] = planted
    return values


@pytest.mark.parametrize("rows", [500, 4000])
def test_rows_that_appeared_and_vanished_are_named_by_where_they_stand(rows: int) -> None:
    rng = np.random.default_rng(16)
    away = rng.standard_normal((rows // 10, 2)) * 0.2
    before = _clusters(rng, rows, away + np.array([5, 0]))
    after = _clusters(rng, 400, away[:40] + np.array([0, -5]))
    order, other = rng.permutation(rows), rng.permutation(400)
    test = Mmd(permutations=99)
    prepared = test.prepare(_numbers(before[order]), np.random.default_rng(1))
    outcome = test.run(prepared, _numbers(after[other]), np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    appeared, vanished = (outcome.explanation[key] for key in ("appeared", "vanished"))
    assert len(appeared) == len(vanished) == 10
    assert (after[other][appeared][:, 1] < -4).all()
    assert (before[order][vanished][:, 0] > 4).all()


def test_named_rows_do_not_depend_on_the_order_of_the_batch() -> None:
    rng = np.random.default_rng(17)
    test = Mmd(permutations=99)
    prepared = test.prepare(_numbers(rng.standard_normal((300, 3))), np.random.default_rng(1))
    batch = _numbers(rng.standard_normal((200, 3)) + 1)
    order = rng.permutation(200)
    first = test.run(prepared, batch, np.random.default_rng(2))
    second = test.run(prepared, batch.take(order), np.random.default_rng(2))
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert first.explanation["appeared"] == order[second.explanation["appeared"]].tolist()
    assert first.explanation["vanished"] == second.explanation["vanished"]


def test_nothing_is_explained_where_nothing_is_found() -> None:
    rng = np.random.default_rng(18)
    test = Mmd(permutations=99)
    prepared = test.prepare(_numbers(rng.standard_normal((300, 3))), np.random.default_rng(1))
    outcome = test.run(prepared, _numbers(rng.standard_normal((100, 3))), np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    assert outcome.p_value > 0.01
    assert outcome.explanation == {}


def test_columns_that_only_became_correlated_are_named_first() -> None:
    rng = np.random.default_rng(19)
    before, after = rng.standard_normal((1000, 8)), rng.standard_normal((400, 8))
    after[:, 5] = 0.7 * after[:, 2] + np.sqrt(1 - 0.7**2) * after[:, 5]
    test = Mmd()
    prepared = test.prepare(_numbers(before), np.random.default_rng(1))
    outcome = test.run(prepared, _numbers(after), np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    assert {entry["column"] for entry in outcome.explanation["columns"][:2]} == {"x2", "x5"}
