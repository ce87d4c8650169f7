"""The classifier test: its fit, its small p-values, its effect and what it says of a shift."""

from __future__ import annotations

import builtins
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.calibration.classifier import correlated, heavy, mixed, moved, normal, small_p
from shiftwatch.errors import ConfigError
from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.settings import ClassifierSettings, TestsSettings
from shiftwatch.twosample import auc, encoding, moves, rows, tail, trees, whitening
from shiftwatch.twosample.classifier import Classifier
from shiftwatch.twosample.discriminant import PRIORS
from shiftwatch.twosample.evidence import Prior, log_scale
from shiftwatch.twosample.protocol import Outcome
from shiftwatch.twosample.registry import build

Floats = NDArray[np.float64]

RIDGE, TREES = Classifier(permutations=199), Classifier(learner="trees")
BOTH = pytest.mark.parametrize("test", [RIDGE, TREES], ids=["ridge", "trees"])


def sample(values: Floats) -> Sample:
    return Sample(len(values), tuple(numeric(f"x{j}", row) for j, row in enumerate(values.T)))


def compare(test: Classifier, reference: Sample, current: Sample, seed: int = 0) -> Outcome:
    prepared = test.prepare(reference, np.random.default_rng([1, seed]))
    outcome = test.run(prepared, current, np.random.default_rng([2, seed]))
    assert isinstance(outcome, Outcome)
    return outcome


# ------------------------------------------------------------------------------------ the evidence


@pytest.mark.parametrize("prior", PRIORS, ids=["columns", "products"])
def test_the_evidence_is_the_likelihood_ratio_of_its_prior(prior: Prior) -> None:
    """Densities of N(0, 1), of N(+-edge, 1) and of N(0, 1 + 25), written out with scipy."""
    z = np.linspace(-30, 30, 301)
    barely = (stats.norm.pdf(z, prior.edge) + stats.norm.pdf(z, -prior.edge)) / 2
    wide = stats.norm.pdf(z, scale=np.sqrt(26.0))
    null = stats.norm.pdf(z)
    ratio = (1 - prior.share) + prior.share * (0.9 * barely + 0.1 * wide) / null
    near = np.abs(z) <= 12
    np.testing.assert_allclose(prior.log_factor(z)[near], np.log(ratio)[near], rtol=1e-9)
    # Further out the wide part is all there is.
    np.testing.assert_allclose(prior.log_factor(z), np.log(ratio), rtol=1e-6)


@pytest.mark.parametrize("prior", PRIORS, ids=["columns", "products"])
def test_the_slope_of_the_evidence_is_its_derivative(prior: Prior) -> None:
    z, step = np.linspace(-11.9, 11.9, 101), 1e-6
    difference = (prior.log_factor(z + step) - prior.log_factor(z - step)) / (2 * step)
    np.testing.assert_allclose(prior.slope(z), difference, rtol=1e-5, atol=1e-6)


def test_the_scale_of_evidence_is_minus_log_p_of_the_gamma_law_it_came_from() -> None:
    values = stats.gamma(3.0, loc=-2.0, scale=5.0).ppf((np.arange(1, 4000) - 0.5) / 3999)
    expected = -stats.gamma(3.0, loc=-2.0, scale=5.0).logsf(values)
    np.testing.assert_allclose(log_scale(values, 3.0), expected, rtol=2e-3, atol=2e-3)


def test_evidence_of_one_value_everywhere_has_no_scale() -> None:
    assert not log_scale(np.full(100, 2.0), 3.0).any()


# ----------------------------------------------------------------------------------------- the tail


def test_a_p_value_that_a_permutation_reached_is_counted() -> None:
    values = np.array([5.0, *np.linspace(0, 10, 99)])
    assert tail.permutation_p(values) == (np.count_nonzero(values[1:] >= 5.0) + 1) / 100


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_p_values_below_the_resolution_are_exact_for_exponential_evidence(scale: float) -> None:
    """At any scale, since the scale is estimated: 40 000 nulls with 99 permutations each."""
    values = np.random.default_rng(1).exponential(scale, (40_000, 100))
    p_values = np.array([tail.permutation_p(row) for row in values])
    for level in (0.01, 0.001, 0.0001):
        band = stats.binom.interval(1 - 2e-4, len(p_values), level)
        assert band[0] <= np.count_nonzero(p_values <= level) <= band[1], level


def test_evidence_with_a_lighter_tail_gives_no_smaller_p_values() -> None:
    values = np.abs(np.random.default_rng(2).standard_normal((20_000, 100)))
    p_values = np.array([tail.permutation_p(row) for row in values])
    for level in (0.001, 0.0001):
        count = np.count_nonzero(p_values <= level)
        assert count <= stats.binom.isf(1e-3, len(p_values), level), level


def test_no_p_value_is_zero_and_ties_beyond_the_threshold_keep_the_resolution() -> None:
    assert 0 < tail.permutation_p(np.array([1e9, *np.linspace(0, 5, 4999)])) < 1e-100
    assert tail.permutation_p(np.array([9.0, *np.zeros(99)])) == 0.01
    assert tail.permutation_p(np.array([9.0, 1.0, 2.0])) == pytest.approx(1 / 3)


@pytest.mark.slow
@pytest.mark.parametrize("law", [normal, heavy, mixed], ids=["normal", "heavy", "mixed"])
def test_small_p_values_are_not_too_frequent_on_any_law(law: Any) -> None:
    """Quick form of the calibration's case: 1000 nulls with 99 permutations."""
    figures = [small_p(law, run) for run in range(1000)]
    for name in figures[0]:
        level = float(name.removeprefix("p <= "))
        count = sum(figure[name] for figure in figures)
        assert count <= stats.binom.isf(1e-4, len(figures), level), name


# ---------------------------------------------------------------------------------- level and power


@pytest.mark.slow
@pytest.mark.parametrize("m", [3400, 900], ids=["map fitted beside", "map fitted on all"])
def test_the_level_is_kept_however_the_map_is_fitted(m: int) -> None:
    rng = np.random.default_rng(3)
    p_values = [
        compare(Classifier(permutations=99), mixed(rng, m), mixed(rng, 150), seed).p_value
        for seed in range(400)
    ]
    for level in (0.05, 0.2):
        count = np.count_nonzero(np.array(p_values) <= level)
        assert count <= stats.binom.isf(1e-3, len(p_values), level)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "least"), [(moved, 0.8), (correlated, 0.95)], ids=["means", "correlation"]
)
def test_power_is_not_below_what_is_promised(law: Any, least: float) -> None:
    rng = np.random.default_rng(4)
    runs = 200
    found = sum(
        compare(Classifier(), normal(rng, 1500), law(rng, 500), seed).p_value <= 0.05
        for seed in range(runs)
    )
    # As many as the promise allows at worst: a simulation of this size cannot say more.
    assert found >= stats.binom.ppf(1e-3, runs, least)


@pytest.mark.slow
def test_trees_find_an_interaction_that_no_product_of_two_columns_shows() -> None:
    """The sign of a product of three columns: means, spreads and correlations are unchanged."""
    rng = np.random.default_rng(5)
    reference = rng.standard_normal((6000, 4))
    batch = rng.standard_normal((3000, 4))
    wrong = np.prod(batch[:, :3], axis=1) < 0
    batch[wrong, 0] *= -1
    outcome = compare(TREES, sample(reference), sample(batch))
    assert outcome.p_value < 1e-6
    top = {entry["column"] for entry in outcome.explanation["columns"][:3]}
    assert top == {"x0", "x1", "x2"}
    assert compare(RIDGE, sample(reference), sample(batch)).p_value > 1e-3


# ---------------------------------------------------------------------------------------- the effect


@BOTH
def test_the_effect_is_the_held_out_auc_of_a_known_shift(test: Classifier) -> None:
    """Two unit normals one standard deviation apart have AUC Phi(1/sqrt 2) = .760."""
    rng = np.random.default_rng(11)
    reference, batch = rng.standard_normal((4000, 1)), rng.standard_normal((2000, 1)) + 1.0
    outcome = compare(test, sample(reference), sample(batch))
    assert outcome.statistic == pytest.approx(0.760, abs=0.025)
    assert outcome.effect_low is not None
    assert outcome.effect_high is not None
    assert outcome.effect_low < 2 * 0.760 - 1 < outcome.effect_high


def test_without_a_shift_the_held_out_auc_is_one_half_on_average() -> None:
    """Pooled leave-one-out scores would be below it."""
    rng = np.random.default_rng(12)
    areas = [
        compare(Classifier(permutations=99), normal(rng, 200), normal(rng, 60), seed).statistic
        for seed in range(200)
    ]
    error = float(np.std(areas)) / len(areas) ** 0.5
    assert float(np.mean(areas)) == pytest.approx(0.5, abs=4 * error)


def test_auc_is_the_rank_statistic_of_scipy_with_ties() -> None:
    rng = np.random.default_rng(13)
    batch, reference = rng.integers(0, 9, 70).astype(float), rng.integers(0, 8, 300).astype(float)
    expected = stats.mannwhitneyu(batch, reference).statistic / (70 * 300)
    assert auc.auc(batch, reference) == pytest.approx(expected, rel=1e-12)


def test_the_p_value_of_trees_is_that_of_scipys_rank_test() -> None:
    rng = np.random.default_rng(14)
    batch, reference = rng.integers(0, 12, 80).astype(float), rng.integers(0, 10, 300).astype(float)
    expected = stats.mannwhitneyu(batch, reference, alternative="greater", method="asymptotic")
    ours = trees._p_value(batch, reference, rng)
    assert ours == pytest.approx(expected.pvalue, rel=1e-9)
    few = batch[:8] + np.linspace(0, 0.1, 8)
    exact = stats.mannwhitneyu(few, reference + 0.05, alternative="greater", method="exact").pvalue
    spread = 4 * float(np.sqrt(exact * (1 - exact) / trees._PERMUTATIONS))
    assert trees._p_value(few, reference + 0.05, rng) == pytest.approx(exact, abs=spread)


# --------------------------------------------------------------------------------- the explanation


@BOTH
def test_rows_that_appeared_and_vanished_are_named_by_position_only(test: Classifier) -> None:
    rng = np.random.default_rng(15)
    reference, batch = rng.standard_normal((1000, 3)), rng.standard_normal((400, 3))
    reference[:300, 1] -= 4.0
    batch[200:, 1] += 4.0
    outcome = compare(test, sample(reference), sample(batch))
    appeared, vanished = (outcome.explanation[name] for name in ("appeared", "vanished"))
    assert len(appeared) == len(set(appeared)) == 10
    assert len(vanished) == len(set(vanished)) == 10
    assert all(position >= 200 for position in appeared)
    assert all(position < 300 for position in vanished)
    assert outcome.explanation["columns"][0]["column"] == "x1"
    json.dumps(outcome.explanation, allow_nan=False)


@BOTH
def test_named_rows_are_the_same_rows_in_another_order(test: Classifier) -> None:
    rng = np.random.default_rng(16)
    reference, batch = (
        sample(rng.standard_normal((600, 3))),
        sample(rng.standard_normal((300, 3)) + 1),
    )
    outcome = compare(test, reference, batch)
    one, two = rng.permutation(600), rng.permutation(300)
    shuffled = compare(test, reference.take(one), batch.take(two))
    assert shuffled.p_value == outcome.p_value
    named = [one[shuffled.explanation["vanished"]], two[shuffled.explanation["appeared"]]]
    assert named[0].tolist() == outcome.explanation["vanished"]
    assert named[1].tolist() == outcome.explanation["appeared"]


@BOTH
def test_without_a_shift_no_row_is_named(test: Classifier) -> None:
    rng = np.random.default_rng(17)
    outcome = compare(test, normal(rng, 600), normal(rng, 300))
    assert outcome.p_value > auc.EXPLAIN_BELOW
    assert not {"appeared", "vanished", "moves"} & set(outcome.explanation)


def test_moves_are_signed_and_in_standard_deviations() -> None:
    rng = np.random.default_rng(18)
    reference, batch = rng.standard_normal((3000, 6)), rng.standard_normal((1500, 6))
    batch[:, 0] -= 0.6
    batch[:, 1] *= 1.5
    batch[:, 3] = 0.7 * batch[:, 2] + np.sqrt(0.51) * batch[:, 3]
    moves = compare(RIDGE, sample(reference), sample(batch)).explanation["moves"]
    told = {(move["column"], move["what"]): move["change_in_sd"] for move in moves}
    assert len(moves) <= 5
    assert told["x0", "mean"] == pytest.approx(-0.6, abs=0.1)
    assert told["x1", "spread"] == pytest.approx(0.5, abs=0.1)
    assert told["x2", "product with x3"] == pytest.approx(0.7, abs=0.1)


# ----------------------------------------------------------------------------------------- the rows


def test_a_kept_sample_comes_back_and_pooling_joins_dictionaries() -> None:
    one = Sample(3, (numeric("x", [1.0, np.nan, -0.0]), categorical("c", ["a", None, "b"])))
    two = Sample(2, (numeric("x", [2.0, 3.0]), categorical("c", ["b", "z"])))
    both = rows.pooled(rows.restored(*rows.kept(one)), two)
    np.testing.assert_array_equal(both.column("x").valid, [True, False, True, True, True])
    texts = [None if c < 0 else both.column("c").categories[c] for c in both.column("c").values]
    assert texts == ["a", None, "b", "b", "z"]


def test_rows_are_drawn_alike_whether_or_not_some_of_them_are_equal() -> None:
    values = np.random.default_rng(2).permutation(500).astype(np.float64)
    for drawn in (values, values // 2):  # all different; pairs
        one = Sample(500, (numeric("x", drawn),))
        expected = np.argsort(rows.keys(one), kind="stable")
        expected = expected[np.random.default_rng(3).permutation(500)]
        np.testing.assert_array_equal(rows.drawn(one, np.random.default_rng(3)), expected)


def test_keys_tell_rows_apart_and_nothing_else() -> None:
    one = Sample(3, (numeric("x", [0.0, 1.0, np.nan]), categorical("c", ["a", "b", "b"])))
    same = Sample(3, (numeric("x", [-0.0, 1.0, np.nan]), categorical("c", ["a", "b", "b"])))
    np.testing.assert_array_equal(rows.keys(one), rows.keys(same))
    assert len(set(rows.keys(one).tolist())) == 3
    turned = one.take(np.array([2, 1, 0]))
    np.testing.assert_array_equal(rows.keys(turned), rows.keys(one)[::-1])


def test_whitened_coordinates_are_uncorrelated_and_stay_with_their_columns() -> None:
    rng = np.random.default_rng(19)
    mixing = np.eye(4) + np.eye(4, k=1)
    frame = whitening.fit(sample(rng.standard_normal((5000, 4)) @ mixing))
    fresh = frame.standardised(sample(rng.standard_normal((5000, 4)) @ mixing))
    inner = frame.coordinates(fresh)
    correlation = np.corrcoef(inner.T)
    assert np.abs(correlation - np.eye(4)).max() < 0.1
    own = np.corrcoef(inner.T, fresh[:, frame.multiplied].T)[:4, 4:]
    assert (own.argmax(axis=1) == np.arange(4)).all()


def test_the_map_has_the_moments_of_the_columns_and_of_the_products() -> None:
    rng = np.random.default_rng(23)
    drawn = sample(rng.standard_normal((700, 70)) * 10.0 ** rng.integers(-3, 4, 70))
    plain, _ = encoding.encode(encoding.fit(drawn), drawn)
    wide = plain.astype(np.float64)
    scale = np.maximum(wide.std(axis=0), 1 / np.sqrt(702))
    frame = whitening.fit(drawn)
    np.testing.assert_array_equal(frame.centre, wide.mean(axis=0).astype(np.float32))
    np.testing.assert_array_equal(frame.scale, scale.astype(np.float32))
    standard = ((wide - wide.mean(axis=0)) / scale).astype(np.float32)
    left, right = frame.pairs.T
    coordinates = frame.whitened(standard).astype(np.float64)
    products = coordinates[:, left] * coordinates[:, right]
    np.testing.assert_allclose(frame.pair_centre, products.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(frame.pair_scale, products.std(axis=0), rtol=1e-9)


def test_sums_of_coordinates_and_products_over_blocks_are_those_of_rows() -> None:
    rng = np.random.default_rng(20)
    frame = whitening.fit(sample(rng.standard_normal((500, 30))))
    standardised = frame.standardised(sample(rng.standard_normal((47, 30))))
    whitened = standardised.astype(float) @ frame.whitening
    left, right = frame.pairs.T
    products = (whitened[:, left] * whitened[:, right] - frame.pair_centre) / frame.pair_scale
    every = np.hstack([whitened, products])[:45].reshape(9, 5, -1).sum(axis=1)
    sums = frame.block_sums(standardised, frame.coordinates(standardised), 5)
    np.testing.assert_allclose(sums, every, rtol=1e-4, atol=1e-3)
    assert len(frame.pairs) == 30 + 300


# --------------------------------------------------------------------------------- the extra is one


def test_trees_without_scikit_learn_are_refused_when_the_tests_are_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "sklearn":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    chosen = TestsSettings(c2st=ClassifierSettings(learner="trees"))
    with pytest.raises(ConfigError, match=r"pip install shiftwatch\[trees\]"):
        build(chosen)
    build(TestsSettings.all())


@pytest.mark.slow
def test_trees_do_not_depend_on_how_many_threads_there_are() -> None:
    rng = np.random.default_rng(21)
    reference, batch = normal(rng, 400), moved(rng, 200)
    answers = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            answers.append(compare(TREES, reference, batch))
    assert answers[0] == answers[1]


def test_changes_of_products_are_those_of_the_plain_formula() -> None:
    rng = np.random.default_rng(21)
    side = rng.standard_normal((300, 4)).astype(np.float32)
    side[:, 1] += side[:, 0]
    mean, variance = moves._moments(moves._unit(side.astype(np.float64)))
    unit = (side.astype(float) - side.mean(axis=0, dtype=float)) / side.std(axis=0, dtype=float)
    for left in range(4):
        for right in range(4):
            product = unit[:, left] * unit[:, right]
            assert mean[left, right] == pytest.approx(product.mean(), abs=1e-9)
            assert variance[left, right] == pytest.approx(product.var(), abs=1e-9)
