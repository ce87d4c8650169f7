"""MMD and the classifier test: level, power, explanations, determinism."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.twosample.classifier import Classifier
from shiftwatch.twosample.mmd import Mmd
from shiftwatch.twosample.protocol import MIN_ROWS, JointTest, NotTested, Outcome

TESTS: list[JointTest] = [
    Mmd(permutations=199, features=64),
    Classifier(permutations=199),
    Classifier(learner="trees"),
]
ALL = pytest.mark.parametrize("test", TESTS, ids=["mmd", "ridge", "trees"])
CLOSED_FORM = pytest.mark.parametrize("test", TESTS[:2], ids=["mmd", "ridge"])


def _plain(rng: np.random.Generator, rows: int, width: int = 5) -> Sample:
    values = rng.standard_normal((rows, width))
    return Sample(rows, tuple(numeric(f"x{j}", values[:, j]) for j in range(width)))


def _mixed(rng: np.random.Generator, rows: int, shift: float = 0.0) -> Sample:
    """Two numbers (one with nulls), a common and a many-valued category."""
    amount = rng.exponential(size=rows)
    age = rng.normal(40 + 10 * shift, 10, rows)
    age[rng.random(rows) < 0.1] = np.nan
    plan = rng.choice(["a", "b", ""], rows, p=[0.6 - 0.3 * shift, 0.3 + 0.3 * shift, 0.1])
    city = (rng.zipf(1.6, rows) % 300).astype(str)
    columns: tuple[Column, ...] = (
        numeric("amount", amount),
        numeric("age", age),
        categorical("plan", [text or None for text in plan.tolist()]),
        categorical("city", city.tolist()),
    )
    return Sample(rows, columns)


def _p_values(
    test: JointTest,
    draw: Callable[[np.random.Generator, int], Sample],
    current: Callable[[np.random.Generator, int], Sample],
    sizes: tuple[int, int],
    runs: int,
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    rng = np.random.default_rng(20)
    p_values = []
    for run in range(runs):
        prepared = test.prepare(draw(rng, sizes[0]), np.random.default_rng(run))
        outcome = test.run(prepared, current(rng, sizes[1]), np.random.default_rng(10_000 + run))
        assert isinstance(outcome, Outcome)
        p_values.append(outcome.p_value)
    return np.array(p_values)


@pytest.mark.slow
@CLOSED_FORM
@pytest.mark.parametrize("sizes", [(300, 60), (60, 300), (40, 31)], ids=str)
def test_level_is_kept_on_numbers(test: JointTest, sizes: tuple[int, int]) -> None:
    runs = 400
    p_values = _p_values(test, _plain, _plain, sizes, runs)
    for level in (0.05, 0.2):
        assert np.mean(p_values <= level) <= level + 3 * np.sqrt(level * (1 - level) / runs)


@pytest.mark.slow
@CLOSED_FORM
def test_level_is_kept_on_mixed_columns_with_nulls(test: JointTest) -> None:
    runs = 400
    p_values = _p_values(test, _mixed, _mixed, (400, 100), runs)
    for level in (0.05, 0.2):
        assert np.mean(p_values <= level) <= level + 3 * np.sqrt(level * (1 - level) / runs)


@pytest.mark.slow
@CLOSED_FORM
def test_level_is_kept_where_most_categories_are_rare(test: JointTest) -> None:
    """Half of the categories of a batch are new; a slot known from one side would give it away."""

    def rare(rng: np.random.Generator, rows: int) -> Sample:
        texts = [rng.zipf(2.2, rows).clip(max=10**6).astype(str).tolist() for _ in range(5)]
        return Sample(rows, tuple(categorical(f"c{j}", text) for j, text in enumerate(texts)))

    runs = 300
    p_values = _p_values(test, rare, rare, (500, 500), runs)
    for level in (0.05, 0.2):
        assert np.mean(p_values <= level) <= level + 3 * np.sqrt(level * (1 - level) / runs)


@ALL
def test_a_shift_in_number_and_category_is_found_and_named(test: JointTest) -> None:
    rng = np.random.default_rng(3)
    prepared = test.prepare(_mixed(rng, 2000), np.random.default_rng(1))
    outcome = test.run(prepared, _mixed(rng, 500, shift=1.0), np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    assert outcome.p_value < 1e-9
    assert outcome.effect > 0.1
    top = [entry["column"] for entry in outcome.explanation["columns"][:2]]
    assert set(top) == {"age", "plan"}


@pytest.mark.slow
@CLOSED_FORM
def test_a_change_of_correlation_alone_is_found(test: JointTest) -> None:
    def correlated(rng: np.random.Generator, rows: int) -> Sample:
        values = rng.standard_normal((rows, 10))
        for pair in range(3):
            own = np.sqrt(1 - 0.4**2) * values[:, 2 * pair + 1]
            values[:, 2 * pair + 1] = 0.4 * values[:, 2 * pair] + own
        return Sample(rows, tuple(numeric(f"x{j}", values[:, j]) for j in range(10)))

    p_values = _p_values(test, lambda rng, n: _plain(rng, n, 10), correlated, (1000, 250), 20)
    assert np.mean(p_values <= 0.05) >= 0.9


@ALL
def test_the_answer_does_not_depend_on_the_order_of_rows(test: JointTest) -> None:
    rng = np.random.default_rng(5)
    prepared = test.prepare(_mixed(rng, 500), np.random.default_rng(1))
    current = _mixed(rng, 200, shift=0.3)
    shuffled = current.take(rng.permutation(200))
    first = test.run(prepared, current, np.random.default_rng(2))
    second = test.run(prepared, shuffled, np.random.default_rng(2))
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert first.p_value == second.p_value
    assert first.effect == pytest.approx(second.effect, rel=1e-5)


@ALL
def test_the_same_seed_gives_the_same_answer(test: JointTest) -> None:
    rng = np.random.default_rng(6)
    reference, current = _mixed(rng, 500), _mixed(rng, 200)
    answers = {
        repr(
            test.run(
                test.prepare(reference, np.random.default_rng(1)),
                current,
                np.random.default_rng(2),
            )
        )
        for _ in range(2)
    }
    assert len(answers) == 1


@ALL
def test_too_few_rows_are_named_and_give_no_p_value(test: JointTest) -> None:
    rng = np.random.default_rng(7)
    prepared = test.prepare(_plain(rng, 100), np.random.default_rng(1))
    answer = test.run(prepared, _plain(rng, MIN_ROWS - 1), np.random.default_rng(2))
    assert isinstance(answer, NotTested)
    assert answer.reason == "too_few_rows"
    assert answer.detail.endswith(f"and {MIN_ROWS - 1} rows")


@ALL
def test_one_and_the_same_value_everywhere_is_not_tested(test: JointTest) -> None:
    def flat(rows: int) -> Sample:
        return Sample(rows, (numeric("x", np.full(rows, 3.0)), categorical("c", ["a"] * rows)))

    prepared = test.prepare(flat(100), np.random.default_rng(1))
    assert test.run(prepared, flat(50), np.random.default_rng(2)) == NotTested("constant")


@ALL
def test_infinite_and_constant_columns_do_no_harm(test: JointTest) -> None:
    rng = np.random.default_rng(8)

    def wild(rows: int) -> Sample:
        values = rng.standard_normal(rows)
        values[:3] = np.inf
        return Sample(rows, (numeric("wild", values), numeric("flat", np.full(rows, 7.0))))

    prepared = test.prepare(wild(300), np.random.default_rng(1))
    outcome = test.run(prepared, wild(200), np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    assert 0.001 < outcome.p_value <= 1
    assert np.isfinite(outcome.effect)


@ALL
def test_a_column_that_is_null_on_one_side_only_is_found(test: JointTest) -> None:
    rng = np.random.default_rng(9)
    values = rng.standard_normal(400)
    some = np.where(rng.random(400) < 0.05, np.nan, values)
    prepared = test.prepare(Sample(400, (numeric("x", some),)), np.random.default_rng(1))
    gone = Sample(200, (numeric("x", np.full(200, np.nan)),))
    outcome = test.run(prepared, gone, np.random.default_rng(2))
    assert isinstance(outcome, Outcome)
    assert outcome.p_value < 1e-9
